/* check.h - what the checks of one kernel share: random input in guarded memory, comparison, counting. */
#ifndef VB_CHECK_CHECK_H
#define VB_CHECK_CHECK_H
#include "check/kernelcheck.h"
#include "oracle/oracle.h"
#include "simd/kernels.h"

#include <stddef.h>

/* Each buffer of a check lives in a slot of its own, ending where a page that may not be touched begins. */
enum { VB_CHECK_SLOTS = 16, VB_CHECK_SLOT_BYTES = 1 << 20 };

typedef struct {
    const vb_kernels *k;
    const vb_check_opts *opts;
    vb_check_counts *counts;
    char name[64]; /* of the kernel under test */
    char first[200];
    uint64_t random;
    uint8_t *slots;
} vb_check;

vb_status vb_check_start(vb_check *c, vb_err *err);
void vb_check_end(vb_check *c);

/* Slot i as a buffer of n bytes, filled with 0xa5, 64 of the same before it. */
void *vb_check_buffer(vb_check *c, int slot, size_t n);
/* 1: the bytes before the buffer of n bytes are still what vb_check_buffer wrote. */
int vb_check_intact(const vb_check *c, int slot, size_t n);

uint32_t vb_check_random(vb_check *c, uint32_t below);
int vb_check_leaves_out(vb_check *c); /* 1: this slow check is not to be made (opts->every) */
/* Kinds of random floats: ordinary, of one magnitude (so that integers get large), of all magnitudes with zeros,
 * subnormal numbers and the places where functions change their form, or all around the guard. */
typedef enum { VB_FILL_PLAIN, VB_FILL_EQUAL, VB_FILL_WILD, VB_FILL_TINY, VB_FILLS } vb_fill;
void vb_check_floats(vb_check *c, float *x, int n, vb_fill fill);
float *vb_check_float_buffer(vb_check *c, int slot, int n, vb_fill fill);
/* n blocks of a format with finite scales. */
void vb_check_blocks(vb_check *c, vb_format format, uint8_t *w, int n, vb_fill fill);

/* Counts one check. `bad` is what the kernel returned; where `expected` is not finite it must say so. */
void vb_check_compare(vb_check *c, const float *expected, const float *found, int n, uint32_t bad);
void vb_check_bytes(vb_check *c, const void *expected, const void *found, size_t n);
void vb_check_fail(vb_check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* One function for each family of kernels; `which` tells the member. */
void vb_check_matvec(vb_check *c, int format);
void vb_check_matvec4(vb_check *c, int format);
void vb_check_matmul(vb_check *c, int format);
void vb_check_few(vb_check *c, int format);
void vb_check_dequantize(vb_check *c, int format);
void vb_check_quantize(vb_check *c, int act);
void vb_check_settle(vb_check *c, int which);
void vb_check_element(vb_check *c, int which);
void vb_check_norm(vb_check *c, int which);
void vb_check_mix(vb_check *c, int which);
void vb_check_rope(vb_check *c, int pairing);
void vb_check_conv(vb_check *c, int which);
void vb_check_delta(vb_check *c, int which);
void vb_check_kv_write(vb_check *c, int kv);
void vb_check_attend(vb_check *c, int kv);
void vb_check_attend_fours(vb_check *c, int kv);
void vb_check_norm_layer(vb_check *c, int which);
void vb_check_act(vb_check *c, int curve);
enum { VB_ELEMENT_ADD, VB_ELEMENT_SCALE, VB_ELEMENT_SILU, VB_ELEMENT_GELU_TANH, VB_ELEMENT_SOFTCAP, VB_ELEMENT_CLAMPED,
       VB_ELEMENT_SIGMOID };

#endif
