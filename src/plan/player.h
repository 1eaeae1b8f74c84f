/* player.h - what every player offers: open on a plan, keep states, evaluate tokens.
 *
 * A player is opened once a model; a state (KV cache) once a session. A state has no length of its own: the caller
 * says at which position new tokens start, so rewinding is starting earlier. Keys and values can be cut anywhere; what
 * memories hold (plan.h) belongs to one position: a state keeps some of them and `start` says where the next one is. Positions of one state are evaluated
 * from one thread at a time; one player evaluates one batch at a time.
 */
#ifndef VB_PLAN_PLAYER_H
#define VB_PLAN_PLAYER_H
#include "plan/device.h"

typedef struct {
    vb_arith arith;
    const char *isa; /* NULL: the best of this machine; a name this machine lacks is an error */
    int threads;     /* >= 1 */
    int like_ggml;   /* VB_GGML_..., only the oracle */
    vb_device device; /* has some steps performed, only the cpu player's; once opened, the player closes it. ops NULL: none */
    float verify;     /* share of the device's steps that are computed once more here, 0 to 1 */
} vb_play_opts;

/* Who watches the named values of a part, in the order of being called. */
enum { VB_WATCHERS = 4 };
typedef struct {
    struct {
        vb_tap_fn fn;
        void *ud;
    } of[VB_WATCHERS];
    int n;
    int (*between)(void *ud); /* called between steps; not 0: stop; NULL: nobody */
    void *between_ud;
} vb_taps;
/* Shows them the value that a step gave a token, if it has a name; they may change it. An error: not in a way that the
 * steps behind it could bear. */
vb_status vb_taps_show(const vb_taps *taps, const vb_plan *plan, const vb_step *s, int position, float *x, vb_err *err);
/* Between two steps: VB_E_STOPPED if somebody wants no more of it. */
vb_status vb_taps_between(const vb_taps *taps, vb_err *err);

/* Tokens of one state: ids[0..n) go to positions start..start+n; the outputs (logits) of the last `want` go to `logits`
 * (want x out_width), want may be 0. Of a plan with `whole` a part is a text: start is 0, the text is all n tokens. */
typedef struct {
    void *state;
    int start;
    const vb_token *ids;
    int n;
    float *logits;
    int want;
    const vb_taps *taps; /* NULL: nobody watches */
} vb_part;

typedef struct {
    const char *name;
    vb_status (*open)(void **player, const vb_plan *plan, const vb_play_opts *opts, vb_err *err);
    void (*close)(void *player);
    const char *(*isa)(const void *player);                       /* "avx2"; "scalar", "openblas" for the others */
    const char *(*kernel)(const void *player, const vb_step *step); /* vb_kernel_name */
    vb_status (*state_open)(void **state, void *player, int context, vb_kv kv, vb_err *err); /* kv not default */
    vb_status (*state_copy)(void *to, const void *from, int n, vb_err *err); /* the first n positions */
    void (*state_close)(void *state);
    /* The last position, at most n, from which tokens can be evaluated when 0..n were: n itself without memories. */
    int (*state_start)(const void *state, int n);
    /* n positions from `from` on as vb_kv_bytes says, and back: the first n of the `held` positions in `buf`.
     * For each layer all keys, then all values; a head's positions one behind the other; behind the `held` the
     * memories (vb_memory_bytes) of the last one: the state must be able to start at from + n. Where there are
     * memories, all held positions are put. NULL: this player keeps states in a form of its own. */
    void (*state_get)(const void *state, int from, int n, uint8_t *buf);
    void (*state_put)(void *state, int from, int n, const uint8_t *buf, int held);
    /* What was evaluated for a state, counted in tokens times layers (what stands before or behind the layers counts as
     * one): here, and on the device. NULL: all here. */
    void (*state_rows)(const void *state, uint64_t rows[2]);
    /* ids are in range and positions fit the context: the caller has checked. A value that is not finite is an
     * error that names step, layer and position (A3). */
    vb_status (*eval)(void *player, const vb_part *parts, int n, vb_err *err);
    uint64_t (*scratch_bytes)(const void *player, int tokens, int wanted);
} vb_player;

/* Bytes of a state over `context` positions; the same for all players that keep KV in its stored form. */
uint64_t vb_kv_bytes(const vb_plan *plan, int context, vb_kv kv);
vb_status vb_kv_check(const vb_plan *plan, vb_kv kv, vb_err *err); /* q8_0 needs head sizes that are multiples of 32 */

/* Bytes of the memories of one position; a state keeps those of at most VB_MEMORIES_KEPT positions. */
uint64_t vb_memory_bytes(const vb_plan *plan);
enum { VB_MEMORIES_KEPT = 6 };

#endif
