/* quant.h - weight formats as numbers: what base/quant.def says, made into an enum and lookups. */
#ifndef VB_BASE_QUANT_H
#define VB_BASE_QUANT_H
#include <stddef.h>

typedef enum {
#define VB_FORMAT(ID, text, gguf, block, bytes, ACT) VB_FMT_##ID,
#include "base/quant.def"
    VB_FORMATS,        /* how many formats have kernels */
    VB_FMT_NONE = 255, /* known by name only */
} vb_format;

/* What activations become before they meet a weight row in int8 mode. */
typedef enum { VB_ACT_F32, VB_ACT_Q32, VB_ACT_Q256 } vb_act_kind;

typedef struct {
    const char *name;
    int gguf;    /* type number in files */
    int block;   /* elements */
    int bytes;   /* of a block */
    vb_act_kind act;
    vb_format format; /* VB_FMT_NONE: known, but without kernels */
} vb_format_info;

const vb_format_info *vb_format_of(vb_format format);        /* format < VB_FORMATS */
const vb_format_info *vb_format_of_gguf(unsigned long type); /* NULL: unknown number */
const vb_format_info *vb_format_by_name(const char *name);   /* NULL: no such format */

#endif
