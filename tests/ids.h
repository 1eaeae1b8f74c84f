/* ids.h - token ids from a JSON array, for test programs. Stops the program on a bad file. */
#ifndef VB_TESTS_IDS_H
#define VB_TESTS_IDS_H
#include "verbatim.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    vb_token *id;
    int n;
} ids;

static inline ids ids_make(int n)
{
    ids out = {calloc((size_t)n, sizeof(vb_token)), n};
    if (out.id == NULL) exit(1);
    return out;
}

static inline ids ids_of(const json_t *array)
{
    ids out = ids_make((int)json_array_size(array));
    for (int i = 0; i < out.n; i++) out.id[i] = (vb_token)json_integer_value(json_array_get(array, (size_t)i));
    return out;
}

static inline json_t *json_read(const char *path)
{
    json_error_t e;
    json_t *root = json_load_file(path, 0, &e);
    if (root == NULL) {
        fprintf(stderr, "%s:%d: %s\n", path, e.line, e.text);
        exit(1);
    }
    return root;
}

static inline ids ids_read(const char *path, int limit)
{
    json_t *root = json_read(path);
    ids out = ids_of(root);
    json_decref(root);
    if (limit > 0 && out.n > limit) out.n = limit;
    return out;
}

#endif
