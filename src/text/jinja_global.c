/* jinja_global.c - functions a template finds without defining them. */
#include "text/jinja_eval.h"

#include <string.h>

static vb_status range(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    int64_t start = 0, stop, step = 1, n;
    VB_TRY(vb_j_need_int(j, c->arg[0], "bound of range()", &stop));
    if (c->arg[1] != NULL) {
        start = stop;
        VB_TRY(vb_j_need_int(j, c->arg[1], "bound of range()", &stop));
    }
    if (c->arg[2] != NULL) VB_TRY(vb_j_need_int(j, c->arg[2], "step of range()", &step));
    if (step == 0) VB_J_BAD(j, "expected a step other than 0 for range()");
    if (__builtin_sub_overflow(stop, start, &n)) n = VB_JINJA_MAX_RANGE + 1;
    if (n < -INT64_MAX) n = -INT64_MAX;
    n = (step > 0) == (n > 0) ? n / step + (n % step != 0) : 0;
    if (n > VB_JINJA_MAX_RANGE || n < 0)
        return vb_j_fail(j, VB_E_UNSUPPORTED, "expected at most %d items for range(), found more", VB_JINJA_MAX_RANGE);
    VB_TRY(vb_j_list_new(j, VB_J_LIST, (size_t)n, out));
    for (int64_t i = 0; i < n; i++) {
        vb_jval item = vb_j_int(start + i * step);
        VB_TRY(vb_j_list_add(j, out, &item));
    }
    return VB_OK;
}

static vb_status add_pairs(vb_jinja *j, vb_jdict *to, const vb_jdict *from)
{
    for (size_t i = 0; i < from->n; i++) VB_TRY(vb_j_dict_set(j, to, &from->pairs[i].key, &from->pairs[i].value));
    return VB_OK;
}

/* dict() and namespace(): dicts or rows of pairs, then names. */
static vb_status make_dict(vb_jinja *j, const vb_jcall *c, vb_jtype type, vb_jval *out)
{
    VB_TRY(vb_j_dict_new(j, type, 0, out));
    for (size_t i = 0; i < c->all->pos.n; i++) {
        const vb_jval *from = &c->all->pos.items[i];
        vb_jval rows, pair;
        if (from->type == VB_J_DICT) {
            VB_TRY(add_pairs(j, out->u.dict, from->u.dict));
            continue;
        }
        VB_TRY(vb_j_items(j, from, &rows));
        for (size_t k = 0; k < rows.u.list->n; k++) {
            VB_TRY(vb_j_items(j, &rows.u.list->items[k], &pair));
            if (pair.u.list->n != 2) VB_J_BAD(j, "expected pairs to make a dict of, found something else");
            VB_TRY(vb_j_dict_set(j, out->u.dict, &pair.u.list->items[0], &pair.u.list->items[1]));
        }
    }
    return add_pairs(j, out->u.dict, &c->all->named);
}

static vb_status dict(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return make_dict(j, c, VB_J_DICT, out);
}

static vb_status space(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return make_dict(j, c, VB_J_SPACE, out);
}

static vb_status cycler(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    if (c->all->pos.n == 0) VB_J_BAD(j, "expected something to cycle through");
    VB_TRY(vb_j_list_new(j, VB_J_CYCLER, c->all->pos.n, out));
    for (size_t i = 0; i < c->all->pos.n; i++) VB_TRY(vb_j_list_add(j, out, &c->all->pos.items[i]));
    return VB_OK;
}

static vb_status joiner(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval text = vb_j_text(", ");
    VB_TRY(vb_j_list_new(j, VB_J_JOINER, 1, out));
    return vb_j_list_add(j, out, c->arg[0] != NULL ? c->arg[0] : &text);
}

static vb_status raise_exception(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval text;
    VB_TRY(vb_j_str(j, c->arg[0], &text));
    *out = text;
    return vb_j_fail(j, VB_E_ARGUMENT, "the template refuses: %.*s", (int)(text.len > 300 ? 300 : text.len), text.u.s);
}

/* Only conversions that depend on nothing but the date; the caller's locale is switched off for the whole render. */
static vb_status strftime_now(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    char format[256], text[1024];
    VB_TRY(vb_j_need_str(j, c->arg[0], "a text as date format"));
    if (c->arg[0]->len >= sizeof format - 1 || memchr(c->arg[0]->u.s, 0, c->arg[0]->len) != NULL)
        VB_J_BAD(j, "expected a date format of fewer characters");
    snprintf(format, sizeof format, "%.*s", (int)c->arg[0]->len, c->arg[0]->u.s);
    for (const char *p = format; *p; p++) {
        if (*p != '%') continue;
        p++;
        if (*p == '-' || *p == '_') p++; /* without padding, padded by blanks */
        if (*p == 0 || strchr("aAbBcdDeFHIjklmMnpPrRStTuUVwWxXyYGgCh%", *p) == NULL)
            VB_J_BAD(j, "expected a date format that is known, found '%s'", format);
    }
    size_t n = strftime(text, sizeof text, format, &j->now);
    vb_jbuf buf = {0};
    VB_TRY(vb_j_add(j, &buf, text, NULL, n));
    *out = vb_j_done(&buf);
    return VB_OK;
}

const vb_jfunc vb_j_globals[] = {
    {"range", "start stop step", 1, range},
    {"namespace", "*", 0, space},
    {"dict", "*", 0, dict},
    {"cycler", "*", 0, cycler},
    {"joiner", "sep", 0, joiner},
    {"raise_exception", "message", 1, raise_exception},
    {"strftime_now", "format", 1, strftime_now},
    {NULL, NULL, 0, NULL},
};
