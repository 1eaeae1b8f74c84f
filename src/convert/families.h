/* families.h - how each family's tensors and settings are called in a Hugging Face folder, and what becomes of them.
 *
 * A family is a line of families.def, lists of rules (one for each tensor), settings that its folders may leave out, and
 * a function that writes its keys. Names in rules stand without the prefixes of the classes around a model ("model.",
 * "transformer.", "language_model.", ...). A first '*' is the layer, a second one the expert.
 */
#ifndef VB_CONVERT_FAMILIES_H
#define VB_CONVERT_FAMILIES_H
#include "convert/keys.h"

#include <stddef.h>

/* When a tensor must be there. VB_OR: if it is not, the next rule, which leads to the same output, counts. */
typedef enum { VB_MUST, VB_MAY, VB_DENSE, VB_ROUTED, VB_FULL, VB_LINEAR, VB_OR = 16 } vb_when;

typedef enum {
    VB_KEEP,
    VB_PAIRS_Q, VB_PAIRS_K,       /* rows of a head: halves (i, i + n/2) become neighbours */
    VB_TURNED,                    /* columns become rows */
    VB_BY_HEAD,                   /* head by head q, k, v becomes all q, all k, all v */
    VB_FIRST_HALF, VB_SECOND_HALF, /* of the rows, of each expert */
    VB_TURNED_EVEN, VB_TURNED_ODD, /* columns become rows, of which every other is taken */
    VB_EVEN, VB_ODD,              /* every other number of a row */
    VB_STACK,                     /* one tensor an expert */
    VB_PACKED, VB_PACKED_EVEN, VB_PACKED_ODD, /* NAME_blocks and NAME_scales, 4-bit blocks of 32 */
    /* Value heads, which stand grouped by the key head they ask, become an equal number of rounds of all key heads. */
    VB_TILED_ROWS, VB_TILED_QKV, VB_TILED_COLUMNS, VB_TILED_HEADS, VB_TILED_DECAY, VB_TILED_TAPS
} vb_change;

typedef struct {
    const char *from, *to;
    const char *shape; /* a letter a dimension, sizes.h; '*': any */
    int when;          /* a vb_when */
    vb_change change;
} vb_rule;

typedef struct {
    const char *arch;                /* general.architecture */
    const vb_rule *const *rules;     /* lists that end with a rule without `from`; behind the last one NULL */
    const char *defaults;            /* settings as JSON; NULL: none */
    void (*keys)(vb_keys *k);
    const char *curve; /* what its feed-forward bends by, under the names that settings have for it: "silu|swish" */
    int pairs;    /* q and k rotate neighbours (VB_PAIRS_Q, VB_PAIRS_K count) */
    int plus_one; /* norms are kept without the 1 that is added to them */
    int tied;     /* a head in the folder is a copy of the embedding */
} vb_family;

/* By the class that config.json names; NULL: unknown. */
const vb_family *vb_family_of(const char *class_name);
const char *vb_family_names(void); /* "bert, nomic-bert, ...", for errors */

#define VB_FAMILY(id, name) extern const vb_family vb_family_##id;
#define VB_CLASS(id, name)
#include "convert/families.def"

#endif
