/* number.c - see number.h. Numbers have no exponent here, so their order is that of their digits.
 *
 *   sign      [least, most] = -[.., ..] and [.., ..] of numbers that are not negative
 *   digits    0 .. 347 = 0..9 | 10..99 | 100..347         one length at a time
 *   tight     347: a prefix of the bound's digits is still bound by it, any other one is free
 *   fraction  the same behind the point, where shorter is smaller or equal
 */
#include "grammar/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS_MOST = 18, FRACTION_MOST = 40, FREE_DIGITS = 12 };
static const uint64_t INTEGER_MOST = 9999999999999999u; /* without a bound */

/* A number that is not negative: whole part and the digits behind the point. */
typedef struct {
    uint64_t whole;
    char fraction[FRACTION_MOST + 1]; /* '0' .. '9', no zeros at the end */
    int n, open;                      /* open: the number itself is left out */
} limit;

static int digit(vb_jg_rules *j, int lo, int hi)
{
    vb_range range = {(uint32_t)('0' + lo), (uint32_t)('0' + hi)};
    return lo > hi ? VB_EXPR_NEVER : vb_expr_class(j->r, &range, 1, 0);
}

static int then(vb_jg_rules *j, int a, int b)
{
    return a == VB_EXPR_NEVER || b == VB_EXPR_NEVER ? VB_EXPR_NEVER : vb_expr_then(j->r, a, b);
}

static int free_digits(vb_jg_rules *j, int least, int most)
{
    return vb_expr_repeat(j->r, digit(j, 0, 9), least, most);
}

/* --- whole numbers -------------------------------------------------------------------------------------------- */

typedef struct {
    char lo[DIGITS_MOST + 3], hi[DIGITS_MOST + 3]; /* the same number of digits */
    int n;
} span;

static int whole_from(vb_jg_rules *j, const span *s, int i, int tight_lo, int tight_hi)
{
    int left = s->n - i - 1;
    if (i == s->n) return VB_EXPR_EMPTY;
    if (!tight_lo && !tight_hi) return free_digits(j, left + 1, left + 1);
    int lo = tight_lo ? s->lo[i] - '0' : 0, hi = tight_hi ? s->hi[i] - '0' : 9;
    if (lo == hi) return then(j, digit(j, lo, lo), whole_from(j, s, i + 1, tight_lo, tight_hi));
    int expr = VB_EXPR_NEVER;
    if (tight_lo) expr = vb_expr_or(j->r, expr, then(j, digit(j, lo, lo), whole_from(j, s, i + 1, 1, 0)));
    if (tight_hi) expr = vb_expr_or(j->r, expr, then(j, digit(j, hi, hi), whole_from(j, s, i + 1, 0, 1)));
    return vb_expr_or(j->r, expr, then(j, digit(j, lo + tight_lo, hi - tight_hi), free_digits(j, left, left)));
}

/* Numbers lo .. hi without zeros in front. */
static int whole(vb_jg_rules *j, uint64_t lo, uint64_t hi)
{
    int expr = VB_EXPR_NEVER;
    uint64_t first = 0, last = 9;
    for (int n = 1; n <= DIGITS_MOST + 1 && lo <= hi; n++) {
        uint64_t from = lo > first ? lo : first, to = hi < last ? hi : last;
        span s = {.n = n};
        if (from <= to) {
            snprintf(s.lo, sizeof s.lo, "%llu", (unsigned long long)from);
            snprintf(s.hi, sizeof s.hi, "%llu", (unsigned long long)to);
            expr = vb_expr_or(j->r, expr, whole_from(j, &s, 0, 1, 1));
        }
        first = last + 1;
        last = last * 10 + 9;
    }
    return expr;
}

/* --- fractions ------------------------------------------------------------------------------------------------ */

typedef struct {
    const limit *lo, *hi;
    int n; /* digits that are looked at */
} fraction;

static int digit_of(const limit *l, int i)
{
    return i < l->n ? l->fraction[i] - '0' : 0;
}

/* May the number end before digit i, when all digits so far are those of the tight bounds? */
static int may_stop(const fraction *f, int i, int tight_lo, int tight_hi)
{
    int on_lo = f->lo->n <= i, on_hi = f->hi->n <= i; /* nothing but zeros follows in the bound */
    return (!tight_lo || (on_lo && !f->lo->open)) && (!tight_hi || !on_hi || !f->hi->open);
}

static int behind_bounds(vb_jg_rules *j, const fraction *f, int tight_lo, int tight_hi)
{
    int zeros = vb_expr_repeat(j->r, digit(j, 0, 0), 0, FREE_DIGITS);
    if (tight_hi && (f->hi->open || (tight_lo && f->lo->open))) return VB_EXPR_NEVER;
    if (tight_hi) return zeros;
    if (!f->lo->open) return free_digits(j, 0, FREE_DIGITS);
    int digits = f->n + 1, few = 1; /* so few that a double still tells the number from its bound */
    for (uint64_t whole = f->lo->whole; whole >= 10; whole /= 10) digits++;
    if (digits < FREE_DIGITS) few = FREE_DIGITS - digits;
    return then(j, vb_expr_repeat(j->r, digit(j, 0, 0), 0, few), then(j, digit(j, 1, 9), free_digits(j, 0, 2)));
}

static int fraction_from(vb_jg_rules *j, const fraction *f, int i, int tight_lo, int tight_hi)
{
    if (!tight_lo && !tight_hi) return free_digits(j, 0, FREE_DIGITS);
    if (i == f->n) return behind_bounds(j, f, tight_lo, tight_hi);
    int lo = tight_lo ? digit_of(f->lo, i) : 0, hi = tight_hi ? digit_of(f->hi, i) : 9;
    int expr = i > 0 && may_stop(f, i, tight_lo, tight_hi) ? VB_EXPR_EMPTY : VB_EXPR_NEVER;
    if (lo > hi) return expr;
    if (lo == hi)
        return vb_expr_or(j->r, expr, then(j, digit(j, lo, lo), fraction_from(j, f, i + 1, tight_lo, tight_hi)));
    if (tight_lo) expr = vb_expr_or(j->r, expr, then(j, digit(j, lo, lo), fraction_from(j, f, i + 1, 1, 0)));
    if (tight_hi) expr = vb_expr_or(j->r, expr, then(j, digit(j, hi, hi), fraction_from(j, f, i + 1, 0, 1)));
    return vb_expr_or(j->r, expr, then(j, digit(j, lo + tight_lo, hi - tight_hi), free_digits(j, 0, FREE_DIGITS)));
}

/* What follows a whole part that is that of the bounds marked tight. */
static int tail(vb_jg_rules *j, const limit *lo, const limit *hi, int tight_lo, int tight_hi)
{
    fraction f = {lo, hi, lo->n > hi->n ? lo->n : hi->n};
    if (f.n == 0) f.n = 1;
    int expr = may_stop(&f, 0, tight_lo, tight_hi) ? VB_EXPR_EMPTY : VB_EXPR_NEVER;
    int digits = tight_lo || tight_hi ? fraction_from(j, &f, 0, tight_lo, tight_hi) : free_digits(j, 1, FREE_DIGITS);
    return vb_expr_or(j->r, expr, then(j, vb_expr_text(j->r, "."), digits));
}

/* Numbers between two that are not negative. */
static int between(vb_jg_rules *j, const limit *lo, const limit *hi, int integer)
{
    uint64_t from = lo->whole, to = hi->whole;
    if (integer) {
        from += lo->n > 0 || lo->open;
        if (hi->n == 0 && hi->open && to-- == 0) return VB_EXPR_NEVER;
        return whole(j, from, to);
    }
    if (from > to) return VB_EXPR_NEVER;
    if (from == to) return then(j, whole(j, from, from), tail(j, lo, hi, 1, 1));
    int expr = then(j, whole(j, from, from), tail(j, lo, hi, 1, 0));
    expr = vb_expr_or(j->r, expr, then(j, whole(j, to, to), tail(j, lo, hi, 0, 1)));
    if (to - from < 2) return expr;
    return vb_expr_or(j->r, expr, then(j, whole(j, from + 1, to - 1), tail(j, lo, hi, 0, 0)));
}

/* --- bounds --------------------------------------------------------------------------------------------------- */

/* The shortest digits that mean the same double: d.ddd e x. */
static vb_status limit_of(limit *l, double value, int open, vb_err *err)
{
    char text[64], digits[32];
    int precision = 0, n = 0;
    do snprintf(text, sizeof text, "%.*e", precision, value);
    while (strtod(text, NULL) != value && ++precision < 18);
    int exponent = atoi(strchr(text, 'e') + 1);
    for (const char *c = text; *c != 'e'; c++)
        if (*c != '.') digits[n++] = *c;
    while (n > 0 && digits[n - 1] == '0') n--;
    *l = (limit){.open = open};
    if (exponent >= DIGITS_MOST || n - exponent > FRACTION_MOST)
        VB_FAIL(err, VB_E_UNSUPPORTED,
                "schema: expected a bound of up to %d digits before and %d behind the point, found %g", DIGITS_MOST,
                FRACTION_MOST, value);
    for (int i = 0; i <= exponent; i++) l->whole = l->whole * 10 + (uint64_t)(i < n ? digits[i] - '0' : 0);
    for (int i = exponent + 1; i < n; i++) l->fraction[l->n++] = i < 0 ? '0' : digits[i];
    return VB_OK;
}

/* Numbers of one sign: bounds of their absolute values, `most` infinite: none. */
static vb_status one_sign(int *out, vb_jg_rules *j, const vb_bounds *b, int integer, vb_err *err)
{
    limit lo, hi = {.whole = INTEGER_MOST};
    *out = VB_EXPR_NEVER;
    if (b->least > b->most || (b->least == b->most && (b->above || b->below))) return VB_OK;
    VB_TRY(limit_of(&lo, b->least, b->above, err));
    if (b->most < 1e16) VB_TRY(limit_of(&hi, b->most, b->below, err));
    else if (lo.whole > hi.whole) hi.whole = 999999999999999999u;
    *out = between(j, &lo, &hi, integer);
    return VB_OK;
}

vb_status vb_number_between(int *out, vb_jg_rules *j, const vb_bounds *b, int integer, vb_err *err)
{
    int positive = VB_EXPR_NEVER, negative = VB_EXPR_NEVER;
    vb_bounds up = {b->least > 0 ? b->least : 0, b->most, b->least >= 0 && b->above, b->below};
    vb_bounds down = {b->most < 0 ? -b->most : 0, -b->least, b->most < 0 ? b->below : 1, b->above};
    VB_TRY(one_sign(&positive, j, &up, integer, err));
    VB_TRY(one_sign(&negative, j, &down, integer, err));
    *out = vb_expr_or(j->r, positive, then(j, vb_expr_text(j->r, "-"), negative));
    return VB_OK;
}
