/* device.h - how a player has sections of its plan performed elsewhere, to the same bits.
 *
 *   host memory --> values that come into the section --> device: steps from..from+n
 *   host memory <-- values that go out of it, keys and values of its tokens <--'
 *
 * Host memory is the truth. What a device keeps of earlier positions is a copy of the player's state, so a player can
 * perform any section itself at any time and gets the same bits: when the device does not take it, when it fails, or to
 * look after it. A player calls one device from one thread at a time, but for `forget`, which any thread may call.
 */
#ifndef VB_PLAN_DEVICE_H
#define VB_PLAN_DEVICE_H
#include "plan/plan.h"

/* One token of the batch. */
typedef struct {
    vb_token id;
    int position;
    int last;          /* position that it sees: its own */
    const void *state; /* the player's, for `head` below */
    uint64_t state_id; /* belongs to this state alone, for ever */
} vb_device_row;

/* Where one head's keys and values are in the player's state, laid as base/kv.h says: a value `value_stride` bytes
 * behind the one before, a tile of keys VB_KEYS times `key_stride`. */
typedef struct {
    uint8_t *keys, *values; /* from position 0 on */
    size_t key_stride, value_stride;
} vb_head_rows;

/* Tokens of one state stand one behind the other in increasing positions. */
typedef struct {
    const vb_device_row *rows;
    int tokens;
    const int *wanted; /* [n_wanted] rows whose outputs are asked for, increasing */
    int n_wanted;
    vb_kv kv; /* of all states of the batch */
    /* A row of rope_floats for each token; rope i's n_rot/2 cosines, then as many sines, at rope_at[i]. */
    const float *ropes;
    int rope_floats;
    const int *rope_at;
    const void *player; /* for the two functions */
    /* A row of a value; of a `wanted` value the row-th wanted one. */
    float *(*value)(const void *player, vb_val v, int row);
    vb_head_rows (*head)(const void *state, int slot, int head);
} vb_batch;

typedef struct {
    void (*close)(void *device);
    const char *(*name)(const void *device); /* "NVIDIA H200", "llvmpipe (LLVM 15.0.6, 256 bits)" */
    const char *(*about)(const void *device); /* its driver, and how its floats are told to behave */
    int (*takes)(const void *device, int step);
    /* VB_OK: what goes out of the section is in host memory. Otherwise what stands there for earlier steps and
     * positions is as it was, so that the player can do the section itself. VB_E_FORMAT: a result is not finite.
     * VB_E_UNSUPPORTED: the device cannot do this batch, or has failed for good, which it has said in one line. */
    vb_status (*perform)(void *device, const vb_batch *batch, int from, int n, vb_err *err);
    /* A state's rows from that position on are no longer what they were; 0: it is gone, or is another one now. */
    void (*forget)(void *device, uint64_t state_id, int from);
    uint64_t (*bytes)(const void *device); /* of its memory that is in use */
} vb_device_ops;

typedef struct {
    const vb_device_ops *ops;
    void *self;
} vb_device;

#endif
