/* jinja_tree.h - a template as tokens (jinja_lex.c) and as a tree (jinja_parse.c, jinja_stmt.c).
 *
 * Nodes live in the render's arena. Children hang on a, b, c, d; rows of children (statements, items, arguments) are
 * chained by `next`. Every node knows its offset in the source, from which errors make line and column.
 */
#ifndef VB_TEXT_JINJA_TREE_H
#define VB_TEXT_JINJA_TREE_H
#include "text/jinja_value.h"

typedef enum {
    VB_J_T_END, VB_J_T_TEXT, VB_J_T_VAR_BEGIN, VB_J_T_VAR_END, VB_J_T_BLOCK_BEGIN, VB_J_T_BLOCK_END,
    VB_J_T_NAME, VB_J_T_STRING, VB_J_T_INT, VB_J_T_FLOAT, VB_J_T_OP
} vb_jtoken_type;

typedef struct {
    vb_jtoken_type type;
    size_t at;
    const char *s; /* a string is unescaped already */
    size_t len;
} vb_jtoken;

typedef struct {
    vb_jinja *j;
    size_t pos;
    enum { VB_J_IN_TEXT, VB_J_IN_VAR, VB_J_IN_BLOCK } mode;
    int brackets; /* open ones inside a tag; while there are any, no tag ends */
    char open[VB_JINJA_MAX_NESTING];
} vb_jlex;
vb_status vb_j_lex(vb_jlex *lex, vb_jtoken *out);

typedef enum {
    /* expressions                      what the children are */
    VB_J_N_CONST,   /* value */
    VB_J_N_NAME,    /* s */
    VB_J_N_TUPLE,   /* a: items */
    VB_J_N_LIST,    /* a: items */
    VB_J_N_DICT,    /* a: items, key and value in turn */
    VB_J_N_ATTR,    /* a.s */
    VB_J_N_ITEM,    /* a[b] */
    VB_J_N_SLICE,   /* a:b:c, each may be NULL; only as b of ITEM */
    VB_J_N_CALL,    /* a(b: arguments) */
    VB_J_N_FILTER,  /* a | s(b); a NULL: what a filter block captured */
    VB_J_N_TEST,    /* a is s(b) */
    VB_J_N_ARG,     /* a; s: its keyword; op: '*' or 'd' for *a and **a */
    VB_J_N_NOT, VB_J_N_NEG, VB_J_N_POS, /* a */
    VB_J_N_AND, VB_J_N_OR, /* a, b */
    VB_J_N_BINARY,  /* a op b; op: + - * / f % p for //, ** and ~ for joining */
    VB_J_N_COMPARE, /* a, then b: row of CMP */
    VB_J_N_CMP,     /* op a; op: = ! < l > g i n for == != < <= > >= in, not in */
    VB_J_N_COND,    /* a if b else c; c may be NULL */
    /* statements */
    VB_J_N_TEXT,    /* value */
    VB_J_N_PRINT,   /* a: row of expressions */
    VB_J_N_IF,      /* a: test, b: body, c: else, a row; op 1: c is an elif */
    VB_J_N_FOR,     /* a: target, b: iterable, c: body, d: else, e: filter; op 1: recursive */
    VB_J_N_SET,     /* a: target, b: expression */
    VB_J_N_SET_BLOCK, /* a: target, b: filters or NULL, c: body */
    VB_J_N_FIELD,   /* target a.s of a namespace */
    VB_J_N_MACRO,   /* s, a: parameters (NAME, b: default or NULL), c: body; op: VB_J_USES_* */
    VB_J_N_CALL_BLOCK, /* a: CALL, b: MACRO made of the body */
    VB_J_N_FILTER_BLOCK, /* a: FILTER, c: body */
    VB_J_N_WITH,    /* a: row of SET, c: body */
    VB_J_N_SCOPE,   /* c: body */
    VB_J_N_BREAK, VB_J_N_CONTINUE
} vb_jkind;
enum { VB_J_USES_CALLER = 1, VB_J_USES_VARARGS = 2, VB_J_USES_KWARGS = 4 };

struct vb_jnode {
    vb_jkind kind;
    int op;
    size_t at;
    const char *s;
    size_t len;
    vb_jval value;
    vb_jnode *a, *b, *c, *d, *e, *next;
};

typedef struct {
    vb_jinja *j;
    vb_jlex lex;
    vb_jtoken now, ahead;
    int depth;
    int loops; /* around the statement, inside the same macro */
    int uses;  /* VB_J_USES_* of the macro being parsed */
} vb_jparser;

/* The whole template of j->source; *out is the row of its statements, NULL if there are none. */
vb_status vb_j_parse(vb_jinja *j, vb_jnode **out);

/* --- between the two files of the parser --- */
vb_status vb_j_next(vb_jparser *p);
int vb_j_at_op(const vb_jparser *p, const char *op);
int vb_j_at_name(const vb_jparser *p, const char *name);
vb_status vb_j_expect_op(vb_jparser *p, const char *op);
vb_status vb_j_expect_name(vb_jparser *p, vb_jtoken *out); /* any name */
vb_status vb_j_expect_word(vb_jparser *p, const char *word);
vb_status vb_j_unexpected(vb_jparser *p, const char *expected);
vb_status vb_j_deeper(vb_jparser *p); /* pair with p->depth-- */
vb_status vb_j_node(vb_jparser *p, vb_jkind kind, vb_jnode **out); /* at the current token */
vb_status vb_j_primary(vb_jparser *p, vb_jnode **out);
vb_status vb_j_expression(vb_jparser *p, vb_jnode **out);
vb_status vb_j_or(vb_jparser *p, vb_jnode **out); /* without `a if b else c` */
/* One expression, or several with commas as a tuple. `cond`: conditional ones too. */
vb_status vb_j_tuple(vb_jparser *p, int cond, vb_jnode **out);
vb_status vb_j_filters(vb_jparser *p, vb_jnode **node); /* | a | b ... around *node */
vb_status vb_j_filter(vb_jparser *p, vb_jnode **node);  /* one of them, its name being next */

#endif
