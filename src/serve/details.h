/* details.h - what lists say about a model without loading it. Read from the file once and kept while it does not change. */
#ifndef VB_SERVE_DETAILS_H
#define VB_SERVE_DETAILS_H
#include "serve/catalogue.h"
#include "serve/text.h"
#include "store/figures.h"

typedef struct {
    vb_figures figures;
    int can; /* what requests may ask for: a sum of VB_CAN_... */
    uint8_t sha256[32];
    int64_t modified_ns; /* the weights' file, since 1970 */
} vb_details;

typedef struct vb_details_cache vb_details_cache;
vb_details_cache *vb_details_open(void); /* NULL: out of memory */
void vb_details_close(vb_details_cache *cache);
/* What cannot be read stays empty. */
void vb_details_get(vb_details_cache *cache, const vb_catalogued *model, vb_details *out);
/* Of a model that is open. */
void vb_details_read(const vb_model *model, vb_details *out);
/* The object that Ollama calls details; `all` with context and embedding length. */
void vb_details_put(vb_out *out, const vb_details *d, int all);

#endif
