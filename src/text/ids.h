/* ids.h - where encoders put tokens: what fits is stored, everything is counted. */
#ifndef VB_TEXT_IDS_H
#define VB_TEXT_IDS_H
#include "verbatim.h"

typedef struct {
    vb_token *ids;
    size_t cap, n;
} vb_ids;

static inline void vb_ids_push(vb_ids *out, vb_token id)
{
    if (out->n < out->cap) out->ids[out->n] = id;
    out->n++;
}

#endif
