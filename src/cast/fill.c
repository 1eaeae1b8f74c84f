/* fill.c - templates (see fill.h).
 *
 *      <|user|>  A man was asked "  ${text}  ". He said, "
 *      control   text               name     text
 *
 * A template is read once into such parts. Control tokens are looked for in its own text alone, by the tokenizer itself: it
 * reads a stretch of the template's text with and without them, and what it found stands, from left to right, where the
 * token's text is found next. Everything between two control tokens is one run, whoever wrote its parts, so that words are
 * split as in a prompt that was typed by hand; and it is encoded without reading control tokens.
 */
#include "cast/fill.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST_CONTROL = 96, LONGEST_NAME = 64 };

typedef enum { TEXT, NAME, CONTROL } part_kind;
typedef struct {
    part_kind kind;
    size_t from, len; /* in fill->text; of a name without ${} */
    vb_token id;      /* of a control token */
} part;

struct vb_fill {
    char what[120];
    const vb_model *model;
    char *text;  /* $$ is $ here, and a name ends with NUL */
    part *parts;
    size_t used; /* bytes of text */
    int n, cap;
    vb_token bos; /* -1: none is added */
};

/* --- reading ------------------------------------------------------------------------------------------- */

static vb_status push(vb_fill *f, part p, vb_err *err)
{
    if (p.kind == TEXT && p.len == 0) return VB_OK;
    if (f->n == f->cap) {
        int cap = f->cap == 0 ? 8 : 2 * f->cap;
        part *grown = realloc(f->parts, (size_t)cap * sizeof *grown);
        if (grown == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", f->what);
        f->parts = grown;
        f->cap = cap;
    }
    f->parts[f->n++] = p;
    return VB_OK;
}

/* Where the token's text stands in the template's text [from, to); `to`: nowhere. */
static size_t place_of(const vb_fill *f, vb_token id, size_t from, size_t to, size_t *len)
{
    char name[LONGEST_CONTROL];
    int64_t n = vb_token_bytes(f->model, id, name, sizeof name);
    *len = 0;
    if (n <= 0 || n > LONGEST_CONTROL) return to;
    const char *at = memmem(f->text + from, to - from, name, (size_t)n);
    if (at == NULL) return to;
    *len = (size_t)n;
    return (size_t)(at - f->text);
}

/* A stretch of the template's own text, cut at its control tokens. */
static vb_status cut(vb_fill *f, size_t from, size_t to, const vb_token *ids, int64_t n, vb_err *err)
{
    for (int64_t i = 0; i < n; i++) {
        size_t len, at;
        if (!vb_token_controls(f->model, ids[i])) continue;
        at = place_of(f, ids[i], from, to, &len);
        if (len == 0) continue; /* it was not written, as what an unknown character becomes */
        VB_TRY(push(f, (part){.kind = TEXT, .from = from, .len = at - from}, err));
        VB_TRY(push(f, (part){.kind = CONTROL, .from = at, .len = len, .id = ids[i]}, err));
        from = at + len;
    }
    return push(f, (part){.kind = TEXT, .from = from, .len = to - from}, err);
}

static vb_status push_text(vb_fill *f, size_t from, size_t to, vb_err *err)
{
    size_t cap = to - from + 8;
    if (from == to) return VB_OK;
    if (f->model == NULL) return push(f, (part){.kind = TEXT, .from = from, .len = to - from}, err);
    vb_token *ids = malloc(cap * sizeof *ids);
    if (ids == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", f->what);
    int64_t n = vb_tokenize(f->model, f->text + from, to - from, VB_PARSE_SPECIAL, ids, cap, err);
    vb_status status = n < 0 ? (vb_status)n : cut(f, from, to, ids, n < (int64_t)cap ? n : (int64_t)cap, err);
    free(ids);
    return status;
}

static int is_name(const char *s, size_t len)
{
    if (len == 0 || len >= LONGEST_NAME || (*s >= '0' && *s <= '9')) return 0;
    for (size_t i = 0; i < len; i++)
        if (!((s[i] >= '0' && s[i] <= '9') || ((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z') || s[i] == '_')) return 0;
    return 1;
}

/* ${name} at `at` of the source; *end gets the place behind it. */
static vb_status read_name(vb_fill *f, const char *source, size_t at, size_t *end, vb_err *err)
{
    size_t len = source[at + 1] == '{' ? strcspn(source + at + 2, "}") : 0;
    if (len == 0 || source[at + 2 + len] != '}' || !is_name(source + at + 2, len))
        VB_FAIL(err, VB_E_ARGUMENT, "%s: byte %zu: expected ${name} or $$, found \"%.20s\"", f->what, at, source + at);
    memcpy(f->text + f->used, source + at + 2, len);
    f->text[f->used + len] = 0;
    VB_TRY(push(f, (part){.kind = NAME, .from = f->used, .len = len}, err));
    f->used += len + 1;
    *end = at + len + 3;
    return VB_OK;
}

static vb_status parse(vb_fill *f, const char *source, vb_err *err)
{
    size_t at = 0, from = 0;
    while (source[at] != 0) {
        if (source[at] != '$' || source[at + 1] == '$') {
            f->text[f->used++] = source[at];
            at += source[at] == '$' ? 2 : 1;
            continue;
        }
        VB_TRY(push_text(f, from, f->used, err));
        VB_TRY(read_name(f, source, at, &at, err));
        from = f->used;
    }
    return push_text(f, from, f->used, err);
}

/* Models that want BOS get one, whether or not the template wrote it as well. */
static vb_token bos_of(const vb_model *model)
{
    vb_model_info info;
    vb_token first[4];
    if (model == NULL) return -1;
    vb_model_describe(model, &info);
    int64_t n = vb_tokenize(model, "", 0, VB_ADD_SPECIAL, first, 4, NULL);
    return info.bos >= 0 && n > 0 && first[0] == info.bos ? info.bos : -1;
}

vb_status vb_fill_open(vb_fill **out, const char *what, const char *text, const vb_model *model, vb_err *err)
{
    vb_status status = VB_OK;
    *out = NULL;
    if (text == NULL) VB_FAIL(err, VB_E_ARGUMENT, "%s: expected a template, found none", what);
    vb_fill *f = calloc(1, sizeof *f);
    if (f == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", what);
    snprintf(f->what, sizeof f->what, "%s", what);
    f->model = model;
    f->bos = bos_of(model);
    f->text = malloc(strlen(text) + 1);
    if (f->text == NULL) status = vb_fail(err, VB_E_MEMORY, "%s: out of memory", what);
    else status = parse(f, text, err);
    if (status < 0) vb_fill_close(f);
    else *out = f;
    return status;
}

void vb_fill_close(vb_fill *fill)
{
    if (fill == NULL) return;
    free(fill->text);
    free(fill->parts);
    free(fill);
}

uint64_t vb_fill_bytes(const vb_fill *fill)
{
    return sizeof *fill + fill->used + 1 + (uint64_t)fill->cap * sizeof *fill->parts;
}

const char *vb_fill_name(const vb_fill *fill, int index)
{
    for (int i = 0; i < fill->n; i++) {
        const char *name = fill->text + fill->parts[i].from;
        int before = 0;
        if (fill->parts[i].kind != NAME) continue;
        for (int j = 0; j < i && !before; j++)
            before = fill->parts[j].kind == NAME && strcmp(fill->text + fill->parts[j].from, name) == 0;
        if (!before && index-- == 0) return name;
    }
    return NULL;
}

vb_status vb_fill_check_fact(const vb_fact *fact, const char *where, vb_err *err)
{
    static const char *const own[] = {"text", "memory", "recalled", "line"};
    if (fact->name == NULL || fact->value == NULL)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: expected a name and a value, found NULL", where);
    if (!is_name(fact->name, strlen(fact->name)))
        VB_FAIL(err, VB_E_ARGUMENT, "%s: expected a name of letters, digits and _, found \"%.40s\"", where, fact->name);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(fact->name, own[i]) == 0)
            VB_FAIL(err, VB_E_ARGUMENT, "%s: expected another name than \"%s\", which the cast fills itself", where, own[i]);
    return VB_OK;
}

/* --- filling ------------------------------------------------------------------------------------------- */

static vb_status text_of(const vb_fill *f, const part *p, const vb_filling *fillings, int n, vb_filling *out, vb_err *err)
{
    const char *own = f->text + p->from;
    *out = (vb_filling){NULL, own, p->len};
    if (p->kind != NAME) return VB_OK;
    for (int i = 0; i < n; i++) {
        if (strcmp(fillings[i].name, own) != 0) continue;
        *out = fillings[i];
        return VB_OK;
    }
    VB_FAIL(err, VB_E_NOT_FOUND, "%s: ${%s}: expected a fact of that name, found none", f->what, own);
}

int64_t vb_fill_text(const vb_fill *fill, const vb_filling *fillings, int n, char *buf, size_t cap, vb_err *err)
{
    size_t used = 0;
    for (int i = 0; i < fill->n; i++) {
        vb_filling t;
        VB_TRY(text_of(fill, &fill->parts[i], fillings, n, &t, err));
        size_t room = used < cap ? cap - used : 0, take = t.len < room ? t.len : room;
        if (take > 0) memcpy(buf + used, t.text, take);
        used += t.len;
    }
    return (int64_t)used;
}

typedef struct {
    const vb_fill *fill;
    vb_fill_room room;
    size_t run; /* bytes of the run so far */
    vb_token *ids;
    size_t cap, n;
    vb_err *err;
} sink;

static void push_id(sink *s, vb_token id)
{
    if (s->n < s->cap) s->ids[s->n] = id;
    s->n++;
}

static vb_status end_run(sink *s)
{
    size_t used = s->n < s->cap ? s->n : s->cap;
    if (s->run == 0) return VB_OK;
    int64_t n = vb_tokenize(s->fill->model, s->room.at, s->run, VB_STOP_WHEN_FULL, s->ids + used, s->cap - used, s->err);
    if (n < 0) return (vb_status)n;
    s->n += (size_t)n;
    s->run = 0;
    return VB_OK;
}

static vb_status add_text(sink *s, const vb_filling *t)
{
    if (t->len > s->room.cap - s->run)
        VB_FAIL(s->err, VB_E_FULL, "%s: expected at most %zu bytes, found more", s->fill->what, s->room.cap);
    if (t->len > 0) memcpy(s->room.at + s->run, t->text, t->len);
    s->run += t->len;
    return VB_OK;
}

static vb_status add_part(sink *s, const part *p, const vb_filling *fillings, int n)
{
    vb_filling t;
    if (p->kind == CONTROL) {
        VB_TRY(end_run(s));
        int again = p == s->fill->parts && p->id == s->fill->bos;
        if (!again) push_id(s, p->id);
        return VB_OK;
    }
    VB_TRY(text_of(s->fill, p, fillings, n, &t, s->err));
    return add_text(s, &t);
}

int64_t vb_fill_encode(const vb_fill *fill, const vb_filling *fillings, int n, vb_fill_room room, vb_token *ids, size_t cap,
                       vb_err *err)
{
    sink s = {.fill = fill, .room = room, .ids = ids, .cap = cap, .err = err};
    if (fill->bos >= 0) push_id(&s, fill->bos);
    for (int i = 0; i < fill->n; i++) VB_TRY(add_part(&s, &fill->parts[i], fillings, n));
    VB_TRY(end_run(&s));
    return (int64_t)s.n;
}

int64_t vb_fill_encode_prefix(const vb_fill *fill, vb_fill_room room, vb_token *ids, size_t cap, vb_err *err)
{
    sink s = {.fill = fill, .room = room, .ids = ids, .cap = cap, .err = err};
    if (fill->bos >= 0) push_id(&s, fill->bos);
    for (int i = 0; i < fill->n && fill->parts[i].kind != NAME; i++) VB_TRY(add_part(&s, &fill->parts[i], NULL, 0));
    VB_TRY(end_run(&s));
    return (int64_t)s.n;
}
