/* probes.h - the cases on which a device is tried, and what is right: operations, each on 64 Ki triples of words. */
#ifndef VB_GPU_PROBES_H
#define VB_GPU_PROBES_H
#include <stdint.h>

enum { VB_PROBE_CASES = 1 << 16 };

/* Where the operands come from. */
typedef enum {
    VB_PROBE_MIDDLE,   /* floats whose sums and products are far from any edge; half of them close to each other */
    VB_PROBE_EDGES,    /* zeros, ones, the smallest and largest normal numbers, infinities, NaN, with anything normal */
    VB_PROBE_TINY,     /* subnormal numbers, and normal ones whose products are subnormal */
    VB_PROBE_VALUES,   /* what steps store (A5), of sizes at which functions bend; first both sides of each bend */
    VB_PROBE_POSITIVE, /* 2^-100 to 2^100 */
    VB_PROBE_WORDS,    /* any */
    VB_PROBE_COUNT,    /* 0, 1, 2, ... */
    VB_PROBE_DOMAINS
} vb_probe_domain;

/* What a device has to offer, or it is not asked: no step will ask it there. */
typedef enum { VB_PROBE_NEEDS_NOTHING, VB_PROBE_NEEDS_SUBNORMALS, VB_PROBE_NEEDS_DOT } vb_probe_needs;

typedef struct {
    const char *name; /* "x * y + z" */
    uint32_t op;      /* shaders/probes.inc */
    vb_probe_domain domain;
    vb_probe_needs needs;
} vb_probe;

extern const vb_probe vb_probes[];
extern const int vb_n_probes;

/* The domain's operands: x[64 Ki], y, z. */
void vb_probe_fill(uint32_t *operands, vb_probe_domain domain);
uint32_t vb_probe_part(const vb_probe *p); /* of the shader */
/* What is right for case i. */
uint32_t vb_probe_answer(const vb_probe *p, const uint32_t *operands, uint32_t i);
/* Whether `found` will do: the same word, or a NaN for a NaN; without subnormals, anything where one may have been
 * made. */
int vb_probe_agrees(const vb_probe *p, uint32_t found, uint32_t answer, int subnormals);

#endif
