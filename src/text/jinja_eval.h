/* jinja_eval.h - running a tree: scopes, calls, and the tables of what can be called.
 *
 * Scopes are lexical and by reference: a macro sees the variables of the place where it was defined, as they are when
 * it runs. `if` opens no scope; a loop's body, macros, `with`, filter and set blocks do, so what they set is gone
 * afterwards - namespaces are the way out.
 *
 * Filters, tests, methods and global functions are rows of vb_jfunc tables. A row names its parameters, so binding of
 * positional and named arguments, and the errors about them, exist once (jinja_call.c).
 */
#ifndef VB_TEXT_JINJA_EVAL_H
#define VB_TEXT_JINJA_EVAL_H
#include "text/jinja_tree.h"

typedef struct {
    const char *s;
    size_t len;
    vb_jval value;
} vb_jvar;
struct vb_jscope {
    vb_jvar *vars;
    size_t n, cap;
    vb_jscope *parent;
};

struct vb_jmacro {
    const vb_jnode *node;
    vb_jscope *scope; /* where it was defined */
};

struct vb_jloop {
    const vb_jnode *node;
    vb_jscope *outside;
    const vb_jlist *items;
    size_t index;
    int depth;
    vb_jval seen; /* what loop.changed() saw last */
};

typedef struct { /* evaluated arguments */
    vb_jlist pos;
    vb_jdict named;
} vb_jargs;

enum { VB_J_MAX_PARAMS = 6 };
typedef struct {
    vb_jval self;                       /* what a filter, test or method is applied to */
    const vb_jval *arg[VB_J_MAX_PARAMS]; /* by parameter; NULL: not given */
    const vb_jargs *all;
} vb_jcall;

struct vb_jfunc {
    const char *name;
    const char *params; /* "width first"; "*" alone or at the end: any more */
    int required;
    vb_status (*call)(vb_jinja *j, const vb_jcall *c, vb_jval *out);
};

/* --- jinja_eval.c, jinja_ops.c: expressions --- */
vb_status vb_j_eval(vb_jinja *j, const vb_jnode *node, vb_jval *out);
vb_status vb_j_eval_args(vb_jinja *j, const vb_jnode *row, vb_jargs *out);
vb_status vb_j_binary(vb_jinja *j, int op, const vb_jval *a, const vb_jval *b, vb_jval *out);
vb_status vb_j_attr(vb_jinja *j, const vb_jval *v, const char *name, size_t len, vb_jval *out); /* v.name */
vb_status vb_j_item(vb_jinja *j, const vb_jval *v, const vb_jval *key, vb_jval *out);           /* v[key] */
vb_status vb_j_slice(vb_jinja *j, const vb_jval *v, const vb_jval part[3], vb_jval *out);

/* --- jinja_exec.c: statements --- */
vb_status vb_j_exec(vb_jinja *j, const vb_jnode *row);
/* What `row` prints, as a text. Its variables go into `scope`. */
vb_status vb_j_capture(vb_jinja *j, const vb_jnode *row, vb_jscope *scope, vb_jval *out);
vb_status vb_j_scope_new(vb_jinja *j, vb_jscope *parent, vb_jscope **out);
vb_status vb_j_set(vb_jinja *j, vb_jscope *scope, const char *name, size_t len, const vb_jval *value);
const vb_jval *vb_j_lookup(const vb_jscope *scope, const char *name, size_t len);
vb_status vb_j_loop_call(vb_jinja *j, vb_jloop *loop, const vb_jargs *args, vb_jval *out); /* loop(items) */

/* --- jinja_call.c: calls --- */
vb_status vb_j_call(vb_jinja *j, const vb_jval *what, const vb_jargs *args, vb_jval *out);
vb_status vb_j_call_func(vb_jinja *j, const vb_jfunc *func, const vb_jval *self, const vb_jargs *args, vb_jval *out);
vb_status vb_j_filter_by_name(vb_jinja *j, const char *name, size_t len, const vb_jval *self, const vb_jargs *args,
                              vb_jval *out);
vb_status vb_j_test_by_name(vb_jinja *j, const char *name, size_t len, const vb_jval *self, const vb_jargs *args,
                            int *out);

/* --- the tables; each ends with a row without a name --- */
extern const vb_jfunc vb_j_filters_text[];  /* jinja_filter.c */
extern const vb_jfunc vb_j_filters_list[];  /* jinja_list.c */
extern const vb_jfunc vb_j_filters_pick[];  /* jinja_pick.c */
extern const vb_jfunc vb_j_tests[];         /* jinja_test.c */
extern const vb_jfunc vb_j_globals[];       /* jinja_global.c */
const vb_jfunc *vb_j_find(const vb_jfunc *table, const char *name, size_t len); /* NULL: no such row */
/* The method of a type, NULL if it has none of that name; jinja_method.c. */
const vb_jfunc *vb_j_method(vb_jtype type, const char *name, size_t len);
/* Would this method change its value? Templates may not. */
int vb_j_is_unsafe(vb_jtype type, const char *name, size_t len);

/* --- shared by several tables --- */
vb_status vb_j_format(vb_jinja *j, const vb_jval *format, const vb_jval *value, vb_jval *out);    /* format % value */
vb_status vb_j_format_braces(vb_jinja *j, const vb_jval *format, const vb_jargs *args, vb_jval *out); /* "{}".format */
vb_status vb_j_escape(vb_jinja *j, const vb_jval *text, vb_jval *out); /* for HTML, unless it is safe already */
vb_status vb_j_replace(vb_jinja *j, const vb_jval *text, const vb_jval *from, const vb_jval *to, int64_t most,
                       vb_jval *out);
enum { VB_J_UPPER, VB_J_LOWER, VB_J_CAPITALIZE, VB_J_TITLE, VB_J_SWAP, VB_J_WORDS };
vb_status vb_j_case(vb_jinja *j, const vb_jval *text, int how, vb_jval *out);
vb_status vb_j_pad(vb_jinja *j, const vb_jval *text, int64_t width, const vb_jval *fill, int align, vb_jval *out);
vb_status vb_j_lines(vb_jinja *j, const vb_jval *text, int keep_ends, vb_jval *out);
/* The items of `list` in the order of `keys` (as many); equal ones stay as they are. */
vb_status vb_j_sort(vb_jinja *j, const vb_jval *list, const vb_jval *keys, int reverse, vb_jval *out);
enum { VB_J_LEFT, VB_J_CENTER, VB_J_RIGHT };

#endif
