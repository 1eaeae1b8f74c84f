/* expr.c - see expr.h. */
#include "grammar/expr.h"

#include <stdlib.h>
#include <string.h>

enum { LAST_POINT = 0x10ffff };

static void failed(vb_rules *r, vb_status status)
{
    if (r->failed == VB_OK) r->failed = status;
}

/* Room for `more` further elements; NULL and a remembered failure if there is none. */
static void *grow(vb_rules *r, void *data, int *cap, int n, int more, int most, size_t size)
{
    if (r->failed != VB_OK) return NULL;
    if (more > most - n) {
        failed(r, VB_E_ARGUMENT);
        return NULL;
    }
    if (n + more <= *cap) return data;
    int wanted = (n + more) * 2;
    void *larger = realloc(data, (size_t)wanted * size);
    if (larger == NULL) {
        failed(r, VB_E_MEMORY);
        return NULL;
    }
    *cap = wanted;
    return larger;
}

static int add(vb_rules *r, vb_expr expr)
{
    vb_expr *room = grow(r, r->exprs, &r->cap_exprs, r->n_exprs, 1, VB_GRAMMAR_EXPRS_MOST, sizeof *room);
    if (room == NULL) return VB_EXPR_EMPTY;
    r->exprs = room;
    expr.before = -1;
    r->exprs[r->n_exprs] = expr;
    return r->n_exprs++;
}

void vb_rules_start(vb_rules *r)
{
    memset(r, 0, sizeof *r);
    add(r, (vb_expr){.kind = VB_EMPTY});
    add(r, (vb_expr){.kind = VB_NEVER});
}

void vb_rules_free(vb_rules *r)
{
    free(r->exprs);
    free(r->bytes);
    free(r->ranges);
    free(r->rules);
    memset(r, 0, sizeof *r);
}

vb_status vb_rules_check(const vb_rules *r, vb_err *err)
{
    if (r->failed == VB_E_MEMORY) VB_FAIL(err, VB_E_MEMORY, "grammar: out of memory");
    if (r->failed != VB_OK)
        VB_FAIL(err, VB_E_ARGUMENT, "grammar: expected at most %d expressions and %d bytes, found more",
                VB_GRAMMAR_EXPRS_MOST, VB_GRAMMAR_BYTES_MOST);
    return VB_OK;
}

int vb_rule_new(vb_rules *r)
{
    int *room = grow(r, r->rules, &r->cap_rules, r->n_rules, 1, VB_GRAMMAR_EXPRS_MOST, sizeof *room);
    if (room == NULL) return 0;
    r->rules = room;
    r->rules[r->n_rules] = -1;
    return r->n_rules++;
}

void vb_rule_set(vb_rules *r, int rule, int expr)
{
    if (r->failed == VB_OK) r->rules[rule] = expr;
}

void vb_rules_unheld(vb_rules *r, const char *what)
{
    for (int i = 0; i < r->n_unheld; i++)
        if (strcmp(r->unheld[i], what) == 0) return;
    if (r->n_unheld < VB_UNHELD_MOST) r->unheld[r->n_unheld++] = what;
}

int vb_expr_literal(vb_rules *r, const char *text, size_t len)
{
    if (len == 0) return VB_EXPR_EMPTY;
    if (len > VB_GRAMMAR_BYTES_MOST) failed(r, VB_E_ARGUMENT);
    int n = len > VB_GRAMMAR_BYTES_MOST ? 0 : (int)len;
    char *room = grow(r, r->bytes, &r->cap_bytes, r->n_bytes, n, VB_GRAMMAR_BYTES_MOST, 1);
    if (room == NULL) return VB_EXPR_EMPTY;
    r->bytes = room;
    memcpy(r->bytes + r->n_bytes, text, len);
    int expr = add(r, (vb_expr){.kind = VB_LITERAL, .a = r->n_bytes, .b = n});
    r->n_bytes += n;
    return expr;
}

int vb_expr_text(vb_rules *r, const char *text)
{
    return vb_expr_literal(r, text, strlen(text));
}

static int by_lo(const void *a, const void *b)
{
    const vb_range *x = a, *y = b;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

int vb_ranges_settle(vb_range *out, const vb_range *ranges, int n, int inverted)
{
    vb_range joined[VB_RANGES_MOST + 1];
    int k = 0, m = 0;
    uint32_t from = 0;
    memcpy(out, ranges, (size_t)n * sizeof *out);
    qsort(out, (size_t)n, sizeof *out, by_lo);
    for (int i = 0; i < n; i++) {
        if (k > 0 && out[i].lo <= joined[k - 1].hi + 1) {
            if (out[i].hi > joined[k - 1].hi) joined[k - 1].hi = out[i].hi;
        } else joined[k++] = out[i];
    }
    for (int i = 0; i < k; i++) {
        if (!inverted) out[m++] = joined[i];
        else if (joined[i].lo > from) out[m++] = (vb_range){from, joined[i].lo - 1};
        from = joined[i].hi + 1;
    }
    if (inverted && from <= LAST_POINT) out[m++] = (vb_range){from, LAST_POINT};
    return m;
}

int vb_expr_class(vb_rules *r, const vb_range *ranges, int n, int inverted)
{
    vb_range settled[VB_RANGES_MOST + 1];
    if (n > VB_RANGES_MOST) {
        failed(r, VB_E_ARGUMENT);
        return VB_EXPR_EMPTY;
    }
    n = vb_ranges_settle(settled, ranges, n, inverted);
    if (n == 0) return VB_EXPR_NEVER;
    vb_range *room = grow(r, r->ranges, &r->cap_ranges, r->n_ranges, n, VB_GRAMMAR_EXPRS_MOST, sizeof *room);
    if (room == NULL) return VB_EXPR_EMPTY;
    r->ranges = room;
    memcpy(r->ranges + r->n_ranges, settled, (size_t)n * sizeof *settled);
    r->n_ranges += n;
    return add(r, (vb_expr){.kind = VB_CLASS, .a = r->n_ranges - n, .b = n});
}

int vb_expr_rule(vb_rules *r, int rule)
{
    return add(r, (vb_expr){.kind = VB_RULE, .a = rule});
}

int vb_expr_repeat(vb_rules *r, int what, int least, int most)
{
    if (least == 1 && most == 1) return what;
    if (most == 0 || what == VB_EXPR_EMPTY) return VB_EXPR_EMPTY;
    if (what == VB_EXPR_NEVER) return least == 0 ? VB_EXPR_EMPTY : VB_EXPR_NEVER;
    return add(r, (vb_expr){.kind = VB_REPEAT, .a = what, .b = least, .c = most});
}

/* Puts `next` behind the last child of a list of that kind; an expression of another kind becomes a list first. */
static int append(vb_rules *r, vb_expr_kind kind, int list, int next)
{
    if (r->failed != VB_OK) return VB_EXPR_EMPTY;
    if (r->exprs[list].kind != kind) list = add(r, (vb_expr){.kind = kind, .a = list});
    if (r->failed != VB_OK) return VB_EXPR_EMPTY;
    r->exprs[next].before = r->exprs[list].a;
    r->exprs[list].a = next;
    return list;
}

/* The two constants may stand anywhere, so that they cannot be linked as siblings: a fresh one takes their place. */
static int own(vb_rules *r, int expr)
{
    return expr == VB_EXPR_EMPTY || expr == VB_EXPR_NEVER ? add(r, r->exprs[expr]) : expr;
}

int vb_expr_then(vb_rules *r, int sequence, int next)
{
    if (r->failed != VB_OK || next == VB_EXPR_EMPTY) return sequence;
    if (sequence == VB_EXPR_EMPTY) return next;
    return append(r, VB_SEQUENCE, own(r, sequence), own(r, next));
}

int vb_expr_or(vb_rules *r, int choice, int other)
{
    if (r->failed != VB_OK || other == VB_EXPR_NEVER) return choice;
    if (choice == VB_EXPR_NEVER) return other;
    return append(r, VB_CHOICE, own(r, choice), own(r, other));
}
