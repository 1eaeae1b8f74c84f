/* json.h - JSON from files that strangers wrote: measured in one pass before a tree is built of it.
 *
 * jansson descends once a level and spends many times the text on its tree. What is nested too deep, or has more values
 * than the tokenizer of any model, is therefore refused by a scan that needs no memory.
 */
#ifndef VB_CONVERT_JSON_H
#define VB_CONVERT_JSON_H
#include "base/err.h"

#include <jansson.h>

enum {
    VB_JSON_DEPTH = 64,            /* levels; deeper ones than any file of a model has */
    VB_JSON_CONTAINERS = 1500000,  /* arrays and objects; the merges of Gemma 3 are half a million */
    VB_JSON_VALUES = 6000000,
    VB_JSON_TEXT = 16 << 20, /* bytes of one text */
    VB_JSON_BYTES = 128 << 20,
};

/* The object in `data`; `name` stands in errors. */
vb_status vb_json_parse(json_t **out, const char *data, size_t size, const char *name, vb_err *err);
/* The same of a file; VB_E_NOT_FOUND: there is none. */
vb_status vb_json_file(json_t **out, const char *path, vb_err *err);

#endif
