/* expr.h - what may be written, as rules of expressions: the form that GBNF, patterns and schemas are read into.
 *
 * Expressions are small numbers and are built bottom up. Building never fails on the spot: when memory or a limit is
 * exceeded the set of rules remembers it, gives VB_EXPR_EMPTY from then on, and vb_rules_check says so at the end.
 *
 * Invariant: an expression stands in at most one place of another one; what is needed twice becomes a rule.
 */
#ifndef VB_GRAMMAR_EXPR_H
#define VB_GRAMMAR_EXPR_H
#include "base/err.h"

enum {
    VB_GRAMMAR_DEPTH_MOST = 64,      /* of nesting, in every text that is read */
    VB_GRAMMAR_REPEAT_MOST = 2000,   /* of any bound of a repetition */
    VB_GRAMMAR_EXPRS_MOST = 200000,
    VB_GRAMMAR_BYTES_MOST = 1 << 20, /* of literals and of texts that are read */
    VB_GRAMMAR_UNBOUNDED = -1,
    VB_RANGES_MOST = 256,
    VB_UNHELD_MOST = 16,
};

typedef enum { VB_EMPTY, VB_NEVER, VB_LITERAL, VB_CLASS, VB_RULE, VB_SEQUENCE, VB_CHOICE, VB_REPEAT } vb_expr_kind;
enum { VB_EXPR_EMPTY = 0, VB_EXPR_NEVER = 1 };

typedef struct {
    vb_expr_kind kind;
    int a;    /* literal: first byte; class: first range; rule: which; others: last child */
    int b, c; /* literal, class: how many; repetition: least and most */
    int before; /* the sibling in front of this one; -1: none */
} vb_expr;

typedef struct {
    uint32_t lo, hi; /* code points, both included */
} vb_range;

typedef struct {
    vb_expr *exprs;
    int n_exprs, cap_exprs;
    char *bytes;
    int n_bytes, cap_bytes;
    vb_range *ranges;
    int n_ranges, cap_ranges;
    int *rules; /* the expression of each; -1: not defined yet */
    int n_rules, cap_rules;
    const char *unheld[VB_UNHELD_MOST]; /* static names of what was asked for and no rule says */
    int n_unheld;
    vb_status failed;
} vb_rules;

void vb_rules_start(vb_rules *r);
void vb_rules_free(vb_rules *r);
vb_status vb_rules_check(const vb_rules *r, vb_err *err);

void vb_rules_unheld(vb_rules *r, const char *what);

/* A new rule, to be defined later; only then may it be reached. */
int vb_rule_new(vb_rules *r);
void vb_rule_set(vb_rules *r, int rule, int expr);

int vb_expr_literal(vb_rules *r, const char *text, size_t len);
int vb_expr_text(vb_rules *r, const char *text); /* up to its NUL */
/* One code point of the ranges, which may overlap and stand in any order; `inverted`: one of all others. */
int vb_expr_class(vb_rules *r, const vb_range *ranges, int n, int inverted);
/* The same as ranges: sorted, joined where they touch, turned inside out if wanted. `out` has room for n + 1, and their
 * number is the result. */
int vb_ranges_settle(vb_range *out, const vb_range *ranges, int n, int inverted);
int vb_expr_rule(vb_rules *r, int rule);
int vb_expr_repeat(vb_rules *r, int what, int least, int most);
/* Lists that grow at their end: begin with VB_EXPR_EMPTY for a sequence, VB_EXPR_NEVER for a choice. */
int vb_expr_then(vb_rules *r, int sequence, int next);
int vb_expr_or(vb_rules *r, int choice, int other);

#endif
