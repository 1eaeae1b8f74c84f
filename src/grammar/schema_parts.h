/* schema_parts.h - what the files that read a schema share. */
#ifndef VB_GRAMMAR_SCHEMA_PARTS_H
#define VB_GRAMMAR_SCHEMA_PARTS_H
#include "grammar/json.h"
#include "grammar/schema.h"

enum { VB_SCHEMA_NODES_MOST = 10000, VB_SCHEMA_REFS_MOST = 1000 };

typedef struct {
    vb_jg_rules json;
    vb_rules *r;
    json_t *root;
    json_t *made;  /* an array that owns schemas made by joining others */
    int nodes, depth;
    struct {
        const json_t *target;
        int rule;
    } refs[VB_SCHEMA_REFS_MOST];
    int n_refs, n_read; /* referred to; of them read */
    vb_err *err;
} vb_schema;

/* What the schema allows, as an expression. */
vb_status vb_schema_expr(vb_schema *s, const json_t *schema, int *out);
vb_status vb_schema_object(vb_schema *s, const json_t *schema, int *out);
vb_status vb_schema_array(vb_schema *s, const json_t *schema, int *out);
/* A count that a keyword asks for; `missing` if it is not there. */
vb_status vb_schema_count(vb_schema *s, const json_t *schema, const char *key, int missing, int *out);

/* schema_join.c: the same schema without $ref and allOf; it lives as long as `s`. */
vb_status vb_schema_flat(vb_schema *s, const json_t *schema, const json_t **out);
/* What fits both; both are flat. */
vb_status vb_schema_join(vb_schema *s, const json_t *a, const json_t *b, const json_t **out);
vb_status vb_schema_resolve(vb_schema *s, const char *ref, const json_t **out);
/* 1: besides anyOf, oneOf, $ref and allOf it says something about values. */
int vb_schema_says_more(const json_t *schema);

#endif
