/* jinja_value.h - what a template computes with: values after Python's model, in one arena a render.
 *
 * A value is 32 bytes, passed by value or const pointer. Strings are cuts of bytes that never change; `mark`, if not
 * NULL, runs beside the bytes and holds 1 where a byte came from the data. Lists and dicts never change once made.
 * Only namespaces, loops, cyclers, joiners and generators (used up once) have state.
 *
 *   s:    H e l l o   B o b     "Hello " + message.content
 *   mark: 0 0 0 0 0 0 1 1 1     NULL when nothing is data
 */
#ifndef VB_TEXT_JINJA_VALUE_H
#define VB_TEXT_JINJA_VALUE_H
#include "base/arena.h"
#include "base/err.h"
#include "text/jinja.h"

#include <time.h>

typedef enum {
    VB_J_UNDEF, VB_J_NONE, VB_J_BOOL, VB_J_INT, VB_J_FLOAT, VB_J_STR,
    VB_J_LIST, VB_J_TUPLE, VB_J_VIEW, VB_J_GEN, VB_J_DICT, /* view: keys(), items(); gen: map(), select() */
    VB_J_SPACE, VB_J_MACRO, VB_J_FUNC, VB_J_METHOD, VB_J_LOOP, VB_J_CYCLER, VB_J_JOINER
} vb_jtype;

typedef struct vb_jval vb_jval;
typedef struct vb_jlist vb_jlist;
typedef struct vb_jdict vb_jdict;
typedef struct vb_jloop vb_jloop;
typedef struct vb_jmacro vb_jmacro;
typedef struct vb_jscope vb_jscope;
typedef struct vb_jnode vb_jnode;
typedef struct vb_jfunc vb_jfunc;
typedef struct vb_jinja vb_jinja;

struct vb_jval {
    vb_jtype type;
    int owner;  /* of an undefined value: the type it was looked up in, or VB_J_OWNER_*; of a string: VB_J_SAFE or 0 */
    size_t len; /* of a string; of an undefined value's name */
    union {
        int64_t i; /* also booleans */
        double f;
        const char *s; /* UTF-8, not NUL-terminated */
        vb_jlist *list; /* list, tuple, view, gen, cycler, joiner */
        vb_jdict *dict; /* dict, namespace */
        vb_jmacro *macro;
        vb_jloop *loop;
        const vb_jfunc *func;
        struct vb_jbound *bound;
    } u;
    const uint8_t *mark;
};
enum { VB_J_OWNER_NOBODY = -1, VB_J_OWNER_UNSAFE = -2, VB_J_OWNER_MESSAGE = -3 };
/* What the filters `safe` and `escape` return, Python's Markup. Nothing is escaped when it is printed, but what is
 * added to such a text with `+` is. */
enum { VB_J_SAFE = 1 };

struct vb_jlist {
    vb_jval *items;
    size_t n, cap;
    size_t pos;       /* of a cycler: the current item; of a joiner: uses */
    const char *name; /* of a view or generator: "dict_items" */
};
typedef struct {
    vb_jval key, value;
} vb_jpair;
struct vb_jdict {
    vb_jpair *pairs; /* in order of insertion */
    size_t n, cap;
};
struct vb_jbound { /* a method and the value it belongs to */
    const vb_jfunc *func;
    vb_jval self;
};

/* A text under construction; mark stays NULL until data arrives. Its bytes may be shared by strings: only ever
 * appended to. */
typedef struct {
    char *s;
    uint8_t *mark;
    size_t len, cap;
} vb_jbuf;

struct vb_jinja {
    vb_arena arena;
    const char *source; /* the template with newlines normalised */
    size_t source_len;
    size_t at;          /* offset in source of what is being done now, for errors */
    size_t steps;
    int depth;
    vb_err *err;
    vb_jbuf *out;       /* where output goes now */
    vb_jbuf tail;       /* of the last concatenation, so that s = s + x costs only x */
    vb_jscope *scope;
    vb_jval filter_input; /* of the filter block or set block under way */
    int flow;           /* a break or continue on its way to its loop */
    const uint8_t *ones; /* marks for strings of the input, one for every byte the input has */
    size_t n_ones;
    struct tm now;
};

/* --- a render (jinja.c), for both languages --- */
typedef vb_status (*vb_jbody)(vb_jinja *j, const vb_jinja_job *job, const vb_jval *input, vb_jbuf *out);
/* Makes an interpreter and values of the input, lets `body` print into a buffer, and hands the text over. */
vb_status vb_j_render(const vb_jinja_job *job, vb_jbody body, vb_jinja_text *out, vb_err *err);
/* The bodies of the two languages. */
vb_status vb_j_run(vb_jinja *j, const vb_jinja_job *job, const vb_jval *input, vb_jbuf *out);
vb_status vb_g_run(vb_jinja *j, const vb_jinja_job *job, const vb_jval *input, vb_jbuf *out);
/* input[key]; NULL if it is absent or null. */
vb_status vb_j_input(vb_jinja *j, const vb_jval *input, const char *key, vb_jval **out);
/* The template's text, checked for its size and for UTF-8. */
vb_status vb_j_load_source(vb_jinja *j, const char *tmpl, size_t len);

/* --- limits and errors --- */
vb_status vb_j_fail(vb_jinja *j, vb_status code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
vb_status vb_j_step(vb_jinja *j, size_t n);
vb_status vb_j_enter(vb_jinja *j); /* one level deeper; pair with j->depth-- */
void *vb_j_alloc(vb_jinja *j, size_t n, size_t size); /* NULL: j->err is filled; return VB_E_MEMORY */
vb_status vb_j_undefined(vb_jinja *j, const vb_jval *v); /* fails, saying what is undefined */
const char *vb_j_type_name(const vb_jval *v);

#define VB_J_BAD(j, ...) return vb_j_fail(j, VB_E_FORMAT, __VA_ARGS__)

/* --- making values --- */
extern const vb_jval vb_j_none;
vb_jval vb_j_undef(const char *name, size_t len, int owner);
vb_jval vb_j_bool(int value);
vb_jval vb_j_int(int64_t value);
vb_jval vb_j_float(double value);
vb_jval vb_j_text(const char *text); /* a literal of this program */
vb_jval vb_j_cut(const vb_jval *str, size_t from, size_t len); /* bytes */
vb_status vb_j_list_new(vb_jinja *j, vb_jtype type, size_t cap, vb_jval *out);
vb_status vb_j_list_add(vb_jinja *j, const vb_jval *list, const vb_jval *item);
vb_status vb_j_pair(vb_jinja *j, const vb_jval *a, const vb_jval *b, vb_jval *out); /* a tuple */
vb_status vb_j_dict_new(vb_jinja *j, vb_jtype type, size_t cap, vb_jval *out);
vb_status vb_j_dict_set(vb_jinja *j, vb_jdict *dict, const vb_jval *key, const vb_jval *value);
vb_status vb_j_dict_find(vb_jinja *j, const vb_jdict *dict, const vb_jval *key, vb_jval **found);

/* --- texts under construction --- */
vb_status vb_j_add(vb_jinja *j, vb_jbuf *buf, const char *s, const uint8_t *mark, size_t len);
vb_status vb_j_add_text(vb_jinja *j, vb_jbuf *buf, const char *text);
vb_status vb_j_add_str(vb_jinja *j, vb_jbuf *buf, const vb_jval *str);
vb_status vb_j_add_char(vb_jinja *j, vb_jbuf *buf, uint32_t code, int data);
vb_status vb_j_add_fill(vb_jinja *j, vb_jbuf *buf, const vb_jval *str, int64_t times);
vb_jval vb_j_done(const vb_jbuf *buf);
vb_status vb_j_concat(vb_jinja *j, const vb_jval *a, const vb_jval *b, vb_jval *out); /* both strings */

/* --- asking values --- */
int vb_j_is_str(const vb_jval *v, const char *text);
int vb_j_is_number(const vb_jval *v); /* booleans too, as in Python */
int vb_j_is_listlike(const vb_jval *v); /* list, tuple, view, gen */
double vb_j_number(const vb_jval *v);
int vb_j_truth(const vb_jval *v);
int vb_j_is_data(const vb_jval *str);
vb_status vb_j_equal(vb_jinja *j, const vb_jval *a, const vb_jval *b, int *out);
vb_status vb_j_order(vb_jinja *j, const vb_jval *a, const vb_jval *b, int *out); /* <0, 0, >0 */
vb_status vb_j_contains(vb_jinja *j, const vb_jval *in, const vb_jval *what, int *out);
vb_status vb_j_items(vb_jinja *j, const vb_jval *v, vb_jval *list); /* iterates: keys of dicts, characters of strings */
vb_status vb_j_length(vb_jinja *j, const vb_jval *v, int64_t *out);
vb_status vb_j_need_int(vb_jinja *j, const vb_jval *v, const char *what, int64_t *out);
vb_status vb_j_need_str(vb_jinja *j, const vb_jval *v, const char *what);

/* --- values as text (jinja_text.c, jinja_json.c) --- */
vb_status vb_j_str(vb_jinja *j, const vb_jval *v, vb_jval *out); /* Python's str() */
vb_status vb_j_add_repr(vb_jinja *j, vb_jbuf *buf, const vb_jval *v);
void vb_j_float_text(double value, char out[40]); /* Python's repr() */
/* The shortest decimal digits that read back as `value`, without the point; *exponent is that of the first. */
int vb_j_digits(double value, char digits[20], int *exponent);
typedef struct {
    int ascii, sort;
    const vb_jval *indent; /* a string or NULL */
    vb_jval comma, colon;
} vb_jjson;
vb_status vb_j_add_json(vb_jinja *j, vb_jbuf *buf, const vb_jval *v, const vb_jjson *how);
/* JSON text to a value; `data` marks its strings. `what` names the text in errors. */
vb_status vb_j_from_json(vb_jinja *j, const char *text, size_t len, int data, vb_jval *out);

/* --- characters (jinja_char.c) --- */
size_t vb_j_char(const char *s, size_t len, uint32_t *code); /* bytes of the character at s; len > 0 */
size_t vb_j_space(const char *s, size_t len);      /* bytes of the white space character at s, or 0 */
size_t vb_j_space_before(const char *s, size_t len); /* the same for the one that ends at s + len */
size_t vb_j_count(const char *s, size_t len);      /* characters */
size_t vb_j_offset(const char *s, size_t len, size_t chars); /* byte offset of a character, at most len */
int vb_j_printable(uint32_t code);
enum { VB_J_TRIM_LEFT = 1, VB_J_TRIM_RIGHT = 2 };
vb_jval vb_j_trim(const vb_jval *str, const vb_jval *chars, int sides); /* chars NULL: white space */
/* Where `what` is in text[from, len); (size_t)-1 if nowhere. */
size_t vb_j_search(const char *text, size_t len, size_t from, const char *what, size_t n);

#endif
