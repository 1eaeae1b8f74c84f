/* go_tree.h - a template of Go's language as tokens (go_lex.c) and as a tree (go_parse.c, go_pipe.c).
 *
 * As in jinja_tree.h nodes live in the render's arena, rows of children are chained by `next`, and every node knows its
 * offset in the source.
 */
#ifndef VB_TEXT_GO_TREE_H
#define VB_TEXT_GO_TREE_H
#include "text/go.h"
#include "text/jinja_value.h"

typedef enum {
    VB_G_T_END, VB_G_T_TEXT, VB_G_T_OPEN, VB_G_T_CLOSE, /* {{ and }} */
    VB_G_T_SPACE, /* counts: `.A .B` are two operands, `.A.B` is one */
    VB_G_T_WORD, VB_G_T_DOT, VB_G_T_FIELD, VB_G_T_VARIABLE, /* a field without its dot, a variable with its $ */
    VB_G_T_STRING, VB_G_T_RAW, VB_G_T_CHAR, VB_G_T_NUMBER,  /* with their quotes */
    VB_G_T_ASSIGN, VB_G_T_DECLARE, VB_G_T_PIPE, VB_G_T_LEFT, VB_G_T_RIGHT, VB_G_T_COMMA
} vb_gtoken_type;

typedef struct {
    vb_gtoken_type type;
    size_t at;
    const char *s;
    size_t len;
} vb_gtoken;
/* All of j->source; the last token is VB_G_T_END. */
vb_status vb_g_lex(vb_jinja *j, vb_gtoken **out);

typedef enum {
    /* statements                what the children are */
    VB_G_N_LIST,     /* a: statements */
    VB_G_N_TEXT,     /* value */
    VB_G_N_ACTION,   /* a: pipe */
    VB_G_N_IF, VB_G_N_WITH, VB_G_N_RANGE, /* a: pipe, b: list, c: list or NULL */
    VB_G_N_TEMPLATE, /* value: name, a: pipe or NULL */
    VB_G_N_BREAK, VB_G_N_CONTINUE,
    /* expressions */
    VB_G_N_PIPE,     /* a: commands, b: variables that it sets; flag: they exist already */
    VB_G_N_COMMAND,  /* a: operands */
    VB_G_N_FIELD,    /* a: names behind the dot */
    VB_G_N_VARIABLE, /* s, a: names behind it */
    VB_G_N_CHAIN,    /* b: operand, a: names behind it */
    VB_G_N_NAME,     /* s */
    VB_G_N_CALL,     /* func */
    VB_G_N_DOT, VB_G_N_NIL,
    VB_G_N_CONST     /* value */
} vb_gkind;

typedef struct vb_gnode vb_gnode;
typedef struct vb_gfunc vb_gfunc;
struct vb_gnode {
    vb_gkind kind;
    int flag;
    size_t at;
    const char *s;
    size_t len;
    vb_jval value;
    const vb_gfunc *func;
    vb_gnode *a, *b, *c, *next;
};

/* A template and those it defines; the first one is the whole file's, without a name. */
typedef struct vb_gtemplate vb_gtemplate;
struct vb_gtemplate {
    vb_jval name;
    vb_gnode *list;
    vb_gtemplate *next;
};

typedef struct {
    vb_jinja *j;
    const vb_gtoken *now;
    int depth, loops;
    struct {
        const char *s;
        size_t len;
    } *vars; /* names that are known here */
    size_t n_vars, cap_vars, base; /* those of the template that is being read start at base */
    vb_gtemplate *all;
} vb_gparser;

vb_status vb_g_parse(vb_jinja *j, vb_gtemplate **out);

/* --- between the files of the parser --- */
vb_status vb_g_node(vb_gparser *p, vb_gkind kind, vb_gnode **out); /* at the current token */
vb_status vb_g_unexpected(vb_gparser *p, const char *where);
void vb_g_skip(vb_gparser *p); /* spaces */
int vb_g_at_word(const vb_gparser *p, const char *word);
vb_status vb_g_know(vb_gparser *p, const char *s, size_t len); /* a variable from here on */
/* A pipeline up to its end, a token of this type. `where` names its statement. */
vb_status vb_g_pipeline(vb_gparser *p, const char *where, vb_gtoken_type end, vb_gnode **out);
vb_status vb_g_unquote(vb_gparser *p, const vb_gtoken *token, vb_jval *out);

/* --- looking at a tree (go_look.c) --- */
vb_status vb_g_facts(vb_jinja *j, const vb_gtemplate *all, vb_go_facts *out, int *response);
/* Takes away all that comes behind the first .Response. */
void vb_g_cut(vb_gtemplate *whole);

#endif
