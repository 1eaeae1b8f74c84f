/* cast_json.h - a cast as JSON (docs/DIALOGUE.md). */
#ifndef VB_CAST_CAST_JSON_H
#define VB_CAST_CAST_JSON_H
#include "base/err.h"
#include "verbatim_dialogue.h"

typedef struct vb_cast_json vb_cast_json; /* what was read; all that is below lives as long */
typedef struct {
    uint64_t entity, tick;
    const char *text;
} vb_cast_text;
typedef struct {
    vb_cast_opts opts; /* without `recall` */
    const char *model;
    const char *recall_path, *recall_model; /* model NULL: nothing is recalled; path NULL: in memory alone */
    const vb_cast_text *texts;              /* to be added to what is recalled */
    int n_texts;
} vb_cast_said;

vb_status vb_cast_json_read(vb_cast_json **out, const char *text, size_t len, vb_err *err);
const vb_cast_said *vb_cast_json_said(const vb_cast_json *json);
void vb_cast_json_close(vb_cast_json *json); /* accepts NULL */

extern const char vb_villager[]; /* the cast that is built in */

#endif
