/* diff.c - the first record and field in which two traces differ.
 *
 *   header    the compared fields in file order, then the rules
 *   token     type, id, text, top, logits
 *   lengths   "length": one of the two has fewer records; "end": both have ended, but not alike
 *
 * Where the headers differ the tokens are compared all the same: two machines, formats or models may still say the same.
 *
 * Invariant: floats are compared as bits, and both traces are read to their ends, so that a damaged file is an error
 * even where the files already differ.
 */
#include "traces/diff.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

static vb_diff at(int64_t record, int64_t position, const char *field)
{
    vb_diff d = {.differs = 1, .record = record, .position = position};
    snprintf(d.field, sizeof d.field, "%s", field);
    return d;
}

int vb_trace_diff_field(vb_diff *out, const vb_trace_header *a, const vb_trace_header *b, const vb_trace_field *field)
{
    vb_diff d = at(0, -1, field->name);
    vb_trace_field_text(d.a, sizeof d.a, a, field);
    vb_trace_field_text(d.b, sizeof d.b, b, field);
    if (strcmp(d.a, d.b) == 0) return 0;
    d.records = out->records;
    *out = d;
    return 1;
}

int vb_trace_diff_header(vb_diff *out, const vb_trace_header *a, const vb_trace_header *b)
{
    for (int i = 0; i < VB_TRACE_COMPARED; i++)
        if (vb_trace_diff_field(out, a, b, &vb_trace_fields[i])) return 1;
    return 0;
}

static void rules_text(char *buf, size_t cap, const vb_trace_rules *r)
{
    uint8_t text[16], biases[16];
    char hex[2][17];
    vb_xxh128_of(r->text.data, r->text.len, text);
    vb_xxh128_of(r->biases.data, r->biases.len, biases);
    vb_hex(hex[0], text, 8);
    vb_hex(hex[1], biases, 8);
    if (r->from == 0) snprintf(buf, cap, "none");
    else snprintf(buf, cap, "%s %s from %d, %d biases %s", vb_trace_rule_name(r->kind), hex[0], r->from, r->n_biases, hex[1]);
}

int vb_trace_diff_rules(vb_diff *out, const vb_trace_rules *a, const vb_trace_rules *b)
{
    vb_diff d = at(0, -1, "rules");
    rules_text(d.a, sizeof d.a, a);
    rules_text(d.b, sizeof d.b, b);
    if (strcmp(d.a, d.b) == 0) return 0;
    d.records = out->records;
    *out = d;
    return 1;
}

/* --- tokens ---------------------------------------------------------------------------------------------- */

static void id_text(char *buf, size_t cap, const vb_trace_token *t)
{
    int n = snprintf(buf, cap, "%d \"", t->id);
    for (size_t i = 0; i < t->text.len && (size_t)n + 6 < cap; i++) {
        uint8_t c = t->text.data[i];
        if (c >= 0x20 && c != 0x7f && c != '\\' && c != '"') n += snprintf(buf + n, cap - (size_t)n, "%c", c);
        else n += snprintf(buf + n, cap - (size_t)n, "\\x%02x", c);
    }
    snprintf(buf + n, cap - (size_t)n, "\"");
}

static void logit_text(char *buf, size_t cap, const vb_trace_token *t, int i)
{
    float value;
    if (i >= t->n_top) {
        snprintf(buf, cap, "only %d", t->n_top);
        return;
    }
    memcpy(&value, &t->top[i].bits, sizeof value);
    snprintf(buf, cap, "#%d: id %d logit %08x (%.9g)", i + 1, t->top[i].id, t->top[i].bits, (double)value);
}

/* The first of the largest logits that differs; -1: none. */
static int first_top(const vb_trace_token *a, const vb_trace_token *b)
{
    int n = a->n_top > b->n_top ? a->n_top : b->n_top;
    for (int i = 0; i < n; i++) {
        if (i >= a->n_top || i >= b->n_top) return i;
        if (a->top[i].id != b->top[i].id || a->top[i].bits != b->top[i].bits) return i;
    }
    return -1;
}

static int same_text(const vb_trace_token *a, const vb_trace_token *b)
{
    return a->text.len == b->text.len && (a->text.len == 0 || memcmp(a->text.data, b->text.data, a->text.len) == 0);
}

int vb_trace_diff_token(vb_diff *out, int64_t record, const vb_trace_token *a, const vb_trace_token *b)
{
    vb_diff d = at(record, a->position, "");
    int top = first_top(a, b);
    if (a->chosen != b->chosen) {
        d = at(record, a->position, "type");
        snprintf(d.a, sizeof d.a, "%s", a->chosen ? "chosen" : "given");
        snprintf(d.b, sizeof d.b, "%s", b->chosen ? "chosen" : "given");
    } else if (a->id != b->id || !same_text(a, b)) {
        d = at(record, a->position, a->id != b->id ? "id" : "text");
        id_text(d.a, sizeof d.a, a);
        id_text(d.b, sizeof d.b, b);
    } else if (top >= 0) {
        d = at(record, a->position, "top");
        logit_text(d.a, sizeof d.a, a, top);
        logit_text(d.b, sizeof d.b, b, top);
    } else if (memcmp(a->logits, b->logits, sizeof a->logits) != 0) {
        d = at(record, a->position, "logits");
        vb_hex(d.a, a->logits, sizeof a->logits);
        vb_hex(d.b, b->logits, sizeof b->logits);
    } else {
        return 0;
    }
    d.records = out->records;
    *out = d;
    return 1;
}

/* --- files ----------------------------------------------------------------------------------------------- */

static vb_status read_rest(vb_trace_reader *r, vb_err *err)
{
    vb_trace_record ignored;
    int more = 1;
    while (more) VB_TRY(vb_trace_next(r, &ignored, &more, err));
    return VB_OK;
}

static void length_text(char *buf, size_t cap, const vb_trace_reader *r)
{
    snprintf(buf, cap, "%d tokens%s", r->tokens, r->ended ? "" : ", cut");
}

static void differ_in_length(vb_diff *out, const vb_trace_reader *a, const vb_trace_reader *b)
{
    int32_t position = a->tokens < b->tokens ? a->tokens : b->tokens;
    vb_diff d = at(position + 1, position, "length");
    d.records = out->records;
    length_text(d.a, sizeof d.a, a);
    length_text(d.b, sizeof d.b, b);
    *out = d;
}

static int is_end(const vb_trace_record *r)
{
    return r->type == VB_TRACE_END;
}

/* Record by record until both are through or one difference is found. *length: there are no more in one of them. */
static vb_status walk(vb_trace_reader *a, vb_trace_reader *b, vb_diff *out, int *length, vb_err *err)
{
    vb_trace_record ra, rb;
    while (!out->differs && !*length) {
        int more_a, more_b;
        int64_t record = a->records;
        VB_TRY(vb_trace_next(a, &ra, &more_a, err));
        VB_TRY(vb_trace_next(b, &rb, &more_b, err));
        if (!more_a && !more_b) return VB_OK;
        *length = more_a != more_b || is_end(&ra) != is_end(&rb);
        if (*length) return VB_OK;
        out->records++;
        if (!is_end(&ra)) {
            vb_trace_diff_token(out, record, &ra.as.token, &rb.as.token);
        } else if (ra.as.end.reason != rb.as.end.reason) {
            vb_diff d = at(record, a->tokens, "end");
            d.records = out->records;
            snprintf(d.a, sizeof d.a, "%s", vb_trace_reason_name(ra.as.end.reason));
            snprintf(d.b, sizeof d.b, "%s", vb_trace_reason_name(rb.as.end.reason));
            *out = d;
        }
    }
    return VB_OK;
}

static vb_status compare(vb_trace_reader *a, vb_trace_reader *b, vb_contrast *out, vb_err *err)
{
    int length = 0;
    out->header = out->tokens = (vb_diff){.record = -1, .position = -1, .records = 1};
    if (!vb_trace_diff_header(&out->header, &a->header, &b->header))
        vb_trace_diff_rules(&out->header, &a->rules, &b->rules);
    VB_TRY(walk(a, b, &out->tokens, &length, err));
    VB_TRY(read_rest(a, err));
    VB_TRY(read_rest(b, err));
    vb_trace_say_cut(a);
    vb_trace_say_cut(b);
    if (length) differ_in_length(&out->tokens, a, b);
    return VB_OK;
}

static vb_status said(const vb_diff *d, const vb_trace_reader *a, const vb_trace_reader *b, vb_err *err)
{
    if (!d->differs) return VB_OK;
    VB_FAIL(err, VB_E_DIFFERS, "%s, %s: record %lld: %s: %s, %s", a->name, b->name, (long long)d->record, d->field, d->a,
            d->b);
}

vb_status vb_trace_diff_readers(vb_trace_reader *a, vb_trace_reader *b, vb_diff *out, vb_err *err)
{
    vb_contrast both = {0};
    VB_TRY(compare(a, b, &both, err));
    *out = both.header.differs ? both.header : both.tokens;
    return said(out, a, b, err);
}

static vb_status contrast(const vb_trace_file *a, const vb_trace_file *b, int taps, vb_contrast *out, vb_err *err)
{
    vb_trace_reader ra = a->reader, rb = b->reader;
    VB_TRY(compare(&ra, &rb, out, err));
    for (int i = 0; i < VB_TRACE_COMPARED; i++) {
        vb_diff d = {0};
        out->fields += vb_trace_diff_field(&d, &ra.header, &rb.header, &vb_trace_fields[i]);
    }
    out->fields += vb_trace_diff_rules(&(vb_diff){0}, &ra.rules, &rb.rules);
    if (taps) VB_TRY(vb_taps_diff(a->reader, b->reader, out, err));
    if (out->header.differs || out->tokens.differs) return said(out->header.differs ? &out->header : &out->tokens, &ra, &rb, err);
    if (out->differing == 0) return VB_OK;
    VB_FAIL(err, VB_E_DIFFERS, "%s, %s: position %d: %s (layer %d): element %d: %08x, %08x", ra.name, rb.name,
            out->first.position, out->first.name, out->first.layer, out->first.element, out->first.a, out->first.b);
}

VB_API vb_status vb_trace_contrast(const char *path_a, const char *path_b, int taps, vb_contrast *out, vb_err *err)
{
    vb_trace_file a, b;
    *out = (vb_contrast){0};
    VB_TRY(vb_trace_file_open(&a, path_a, err));
    vb_status s = vb_trace_file_open(&b, path_b, err);
    if (s == VB_OK) {
        s = contrast(&a, &b, taps, out, err);
        vb_trace_file_close(&b);
    }
    vb_trace_file_close(&a);
    return s;
}

VB_API void vb_contrast_free(vb_contrast *c)
{
    free(c->drift);
    *c = (vb_contrast){0};
}

VB_API vb_status vb_trace_diff(const char *path_a, const char *path_b, vb_diff *out, vb_err *err)
{
    vb_trace_file a, b;
    vb_diff ignored;
    if (out == NULL) out = &ignored;
    *out = (vb_diff){.record = -1, .position = -1};
    VB_TRY(vb_trace_file_open(&a, path_a, err));
    vb_status s = vb_trace_file_open(&b, path_b, err);
    if (s == VB_OK) {
        s = vb_trace_diff_readers(&a.reader, &b.reader, out, err);
        vb_trace_file_close(&b);
    }
    vb_trace_file_close(&a);
    return s;
}
