/* core.h - one opened device as the rest of the room sees it: memory, shaders, tapes.
 *
 *   tape      commands recorded once and played often: dispatches and copies, each behind all before it
 *   dispatch  a shader, the ranges of memory it may touch, and numbers; the convention is shaders/step.glsl
 *
 * Invariant: no call below aborts or waits without an end. Whatever goes wrong is a vb_status, and from the first
 * failure of the device on every call fails with VB_E_UNSUPPORTED ("lost"). No Vulkan type is seen outside of the files
 * that implement this (inside.h).
 */
#ifndef VB_GPU_CORE_H
#define VB_GPU_CORE_H
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

typedef struct vb_gpu vb_gpu;

/* What the driver says of a device. */
typedef struct {
    char name[256], driver[256]; /* driver: name, version and what it says of itself */
    const char *type;            /* "discrete", "integrated", "virtual", "cpu", "other" */
    uint64_t heap_bytes, free_bytes; /* of device memory; free: by the driver's budget, 0: it does not say */
    uint64_t most_range, most_alloc, range_alignment;
    int modes; /* float modes offered: VB_GPU_RTE | VB_GPU_SIGNED_ZERO | VB_GPU_SUBNORMALS */
    int integer_dot, imports, unified; /* unified: host and device share their memory */
    const char *lacks; /* what it would need to be started: "Vulkan 1.2"; NULL: nothing */
} vb_gpu_facts;
enum { VB_GPU_RTE = 1, VB_GPU_SIGNED_ZERO = 2, VB_GPU_SUBNORMALS = 4 };

/* Devices in the driver's order. Returns their number (filling at most cap); VB_E_UNSUPPORTED: no loader, no driver. */
int vb_gpu_list(vb_gpu_facts *facts, int cap, vb_err *err);
vb_status vb_gpu_start(vb_gpu **out, int index, vb_err *err); /* by its place in that list */
void vb_gpu_stop(vb_gpu *g); /* NULL is fine; buffers and tapes must have been freed before */
const vb_gpu_facts *vb_gpu_facts_of(const vb_gpu *g);
int vb_gpu_lost(const vb_gpu *g);
int vb_gpu_keeps_subnormals(const vb_gpu *g); /* offered by the driver, so that no result may depend on luck */

/* --- memory */
typedef enum {
    VB_GPU_LOCAL, /* fastest for shaders */
    VB_GPU_UP,    /* the host writes it in order, the device reads it */
    VB_GPU_DOWN   /* the device writes it, the host reads it */
} vb_gpu_kind;
typedef struct {
    void *inside;
    uint64_t bytes;
    uint8_t *host; /* VB_GPU_UP and DOWN, or an import: where the host sees it; NULL for LOCAL unless it is unified */
} vb_gpu_buffer;
/* On failure *out is all zeros. */
vb_status vb_gpu_alloc(vb_gpu_buffer *out, vb_gpu *g, vb_gpu_kind kind, uint64_t bytes, vb_err *err);
/* Host memory as a buffer, without a copy; *at: where `host` begins in it. Only where g->imports and unified. */
vb_status vb_gpu_import(vb_gpu_buffer *out, uint64_t *at, vb_gpu *g, const void *host, uint64_t bytes, vb_err *err);
void vb_gpu_free(vb_gpu *g, vb_gpu_buffer *b); /* zeroed is fine */
uint64_t vb_gpu_in_use(const vb_gpu *g);       /* bytes allocated now */

/* --- shaders: one a line of shaders.def */
typedef enum {
#define VB_SHADER(ID, file) VB_SHADER_##ID,
#include "gpu/shaders.def"
    VB_SHADERS
} vb_gpu_shader;

/* What a shader sees as a, b, out, ... (shaders/step.glsl). */
enum {
    VB_GPU_A,     /* read */
    VB_GPU_B,     /* read */
    VB_GPU_OUT,   /* read and written */
    VB_GPU_ROWS,  /* read: the batch */
    VB_GPU_W,     /* read: weights */
    VB_GPU_W2,    /* read: bias, sinks, factors */
    VB_GPU_K,     /* read and written: keys */
    VB_GPU_V,     /* read and written: values */
    VB_GPU_NOTES, /* atomic: first row of each step that is not finite */
    VB_GPU_BINDINGS
};

typedef struct {
    const vb_gpu_buffer *buffer; /* NULL: the shader does not touch it */
    uint64_t at, bytes;          /* multiples of 4 */
} vb_gpu_range;

enum { VB_GPU_NUMBERS = 23, VB_GPU_VARIANTS = 4 };
typedef struct {
    vb_gpu_shader shader;
    uint32_t variant[VB_GPU_VARIANTS]; /* specialisation constants 0 to 3; each combination becomes a pipeline once */
    vb_gpu_range range[VB_GPU_BINDINGS];
    uint32_t c[VB_GPU_NUMBERS];
    uint32_t x, y, z; /* work groups; 0 counts as 1 */
} vb_gpu_dispatch;

/* --- tapes */
typedef struct vb_gpu_tape vb_gpu_tape;
vb_status vb_gpu_tape_open(vb_gpu_tape **out, vb_gpu *g, vb_err *err);
void vb_gpu_tape_close(vb_gpu_tape *t); /* NULL is fine; waits until it is not in use */
vb_status vb_gpu_tape_dispatch(vb_gpu_tape *t, const vb_gpu_dispatch *d, vb_err *err);
vb_status vb_gpu_tape_copy(vb_gpu_tape *t, vb_gpu_range to, vb_gpu_range from, vb_err *err);
/* Afterwards it can be played, and the host sees what it wrote. */
vb_status vb_gpu_tape_end(vb_gpu_tape *t, vb_err *err);
/* work: about as many bytes as the tape reads, times the rows that meet them; submissions are kept small enough for a
 * driver's watchdog. Returns at once unless too much is in flight. Buffers of kind UP must not be written before
 * vb_gpu_wait. A lack of memory in here loses the device. */
vb_status vb_gpu_play(vb_gpu *g, vb_gpu_tape *t, uint64_t work, vb_err *err);
/* For all that was played; at most 10 seconds a submission, 5 minutes on a device that is a processor. */
vb_status vb_gpu_wait(vb_gpu *g, vb_err *err);

#endif
