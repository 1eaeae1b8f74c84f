/* ids.h - where encoders put tokens: what fits is stored, everything is counted.
 *
 * Whoever wants to know no more than that a text is too long sets `stops`: an encoder that finds vb_ids_too_many behind a
 * word returns VB_E_STOPPED.
 */
#ifndef VB_TEXT_IDS_H
#define VB_TEXT_IDS_H
#include "verbatim.h"

typedef struct {
    vb_token *ids;
    size_t cap, n;
    int stops;
} vb_ids;

static inline void vb_ids_push(vb_ids *out, vb_token id)
{
    if (out->n < out->cap) out->ids[out->n] = id;
    out->n++;
}

static inline vb_status vb_ids_too_many(const vb_ids *out)
{
    return out->stops && out->n > out->cap ? VB_E_STOPPED : VB_OK;
}

#endif
