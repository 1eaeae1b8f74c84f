/* go_eval.h - running a tree of Go's language: its values, variables and functions.
 *
 * Values are those of jinja_value.h, of the types none, bool, int, float, string, list and dict. What Go knows beyond
 * that stands in `owner` of lists and dicts: which of Ollama's types it is (go_data.c). That decides which fields there
 * are, how it is printed, and how it becomes JSON. A nil slice or map is a list or dict without any.
 */
#ifndef VB_TEXT_GO_EVAL_H
#define VB_TEXT_GO_EVAL_H
#include "text/go_tree.h"

typedef enum {
    VB_G_ANY, /* from JSON: lists and maps of anything */
    VB_G_TEXT, VB_G_INT, VB_G_STRINGS, VB_G_LIST,
    VB_G_MESSAGES, VB_G_MESSAGE, VB_G_CALLS, VB_G_CALL, VB_G_CALLED, VB_G_ARGUMENTS,
    VB_G_TOOLS, VB_G_TOOL, VB_G_FUNCTION, VB_G_PARAMETERS, VB_G_PROPERTIES, VB_G_PROPERTY, VB_G_PROPERTY_LIST,
    VB_G_NESTED, /* properties inside of a property, which keep their order */
    VB_G_TYPES   /* of a property */
} vb_gtype;

typedef struct {
    const char *s;
    size_t len;
    vb_jval value;
} vb_gvar;

typedef struct {
    vb_jinja *j;
    const vb_gtemplate *all;
    vb_gvar *vars; /* those of the template that runs start at base */
    size_t n_vars, cap_vars, base;
} vb_go;

struct vb_gfunc {
    const char *name;
    int least, most; /* operands; most -1: any number */
    /* NULL: `and` and `or`, which do not evaluate more than they need; `stops` is the truth at which they stop. */
    vb_status (*call)(vb_go *g, const vb_jval *args, size_t n, vb_jval *out);
    int stops;
};
const vb_gfunc *vb_g_function(const char *name, size_t len); /* NULL: unknown */

/* --- running --- */
vb_status vb_g_exec(vb_go *g, const vb_gnode *list, const vb_jval *dot);
vb_status vb_g_eval(vb_go *g, const vb_gnode *pipe, const vb_jval *dot, vb_jval *out);
vb_status vb_g_push(vb_go *g, const char *s, size_t len, const vb_jval *value);
vb_status vb_g_assign(vb_go *g, const vb_gnode *variable, const vb_jval *value);

/* --- values --- */
const char *vb_g_type_name(const vb_jval *v);
int vb_g_truth(const vb_jval *v);
size_t vb_g_count(const vb_jval *v); /* items of a list or dict */
/* v.name, also of what has a method of that name; *found 0: there is no such field. */
vb_status vb_g_field(vb_go *g, const vb_jval *v, const char *name, size_t len, vb_jval *out, int *found);
/* An entry of a map, or the zero value of its kind. */
vb_status vb_g_entry(vb_go *g, const vb_jval *map, const vb_jval *key, vb_jval *out);

/* --- data (go_data.c) --- */
/* A value of JSON as one of these types. */
vb_status vb_g_read(vb_go *g, vb_jval *json, vb_gtype type, vb_jval *out);
int vb_g_is_struct(const vb_jval *v);
/* Of a struct's field i: its name in JSON, and whether it is left out there when empty. */
const char *vb_g_json_name(const vb_jval *v, size_t i, int *omit);
/* A type for TypeScript, of a property. */
vb_status vb_g_script_type(vb_go *g, const vb_jval *property, vb_jbuf *buf);

/* --- as text --- */
/* What a value of a type with a String method says; *has 0: it has none. */
vb_status vb_g_own_text(vb_go *g, vb_jbuf *buf, const vb_jval *v, int *has);
vb_status vb_g_add_value(vb_go *g, vb_jbuf *buf, const vb_jval *v); /* as %v */
/* Whole numbers without a point; the fewest digits; an exponent from 1e21 on and below 1e-6 (JSON), or 1e6 and 1e-4. */
void vb_g_float_text(double value, int json, char out[48]);
vb_status vb_g_add_json(vb_go *g, vb_jbuf *buf, const vb_jval *v);
vb_status vb_g_format(vb_go *g, const vb_jval *format, const vb_jval *args, size_t n, vb_jbuf *buf); /* printf */

#endif
