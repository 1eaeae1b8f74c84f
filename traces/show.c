/* show.c - every record of a trace on its own line: a table for people, JSON objects for programs.
 *
 * In JSON, integers of 64 bits are strings (many readers would round them), floats come with their bits, and text that
 * is no UTF-8 is {"bytes": hex}. Invariant: all whole records are printed, also those before a cut or a damage, and
 * nothing in a trace reaches a terminal as a control character.
 */
#include "traces/show.h"

#include "base/hash.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utf8proc.h>

/* --- JSON lines ------------------------------------------------------------------------------------------ */

static json_t *json_hex(const uint8_t *bytes, size_t n)
{
    char *hex = malloc(2 * n + 1);
    if (hex == NULL) return NULL;
    vb_hex(hex, bytes, n);
    json_t *value = json_string(hex);
    free(hex);
    return value;
}

static json_t *json_text(const vb_trace_text *text)
{
    json_t *value = json_stringn(text->len > 0 ? (const char *)text->data : "", text->len);
    return value != NULL ? value : json_pack("{s:o}", "bytes", json_hex(text->data, text->len));
}

/* {"value": .., "bits": ..}; infinities and NaN have no JSON number. */
static json_t *json_float(uint32_t bits)
{
    char hex[9];
    float value;
    memcpy(&value, &bits, sizeof value);
    snprintf(hex, sizeof hex, "%08x", bits);
    json_t *number = json_real((double)value);
    return json_pack("{s:o, s:s}", "value", number != NULL ? number : json_null(), "bits", hex);
}

static json_t *json_field(const vb_trace_header *h, const vb_trace_field *f)
{
    char text[96];
    uint32_t bits;
    memcpy(&bits, (const uint8_t *)h + f->at, sizeof bits);
    if (f->kind == VB_TRACE_F32) return json_float(bits);
    if (f->kind == VB_TRACE_I32) return json_integer((int32_t)bits);
    vb_trace_field_text(text, sizeof text, h, f);
    return json_string(text);
}

static json_t *json_header(const vb_trace_reader *r)
{
    const vb_trace_header *h = &r->header;
    json_t *value = json_pack("{s:s, s:i}", "record", "header", "format", r->version);
    for (int i = 0; i < VB_TRACE_FIELDS; i++)
        if (vb_trace_fields[i].since <= r->version)
            json_object_set_new(value, vb_trace_fields[i].name, json_field(h, &vb_trace_fields[i]));
    for (int i = 0; i < VB_TRACE_TEXTS; i++)
        json_object_set_new(value, vb_trace_text_name((vb_trace_text_id)i), json_text(&h->texts[i]));
    return value;
}

static json_t *json_rules(const vb_trace_rules *rules)
{
    json_t *biases = json_array();
    for (int i = 0; i < rules->n_biases; i++) {
        json_t *bias = json_float(vb_trace_u32(rules->biases.data + 8 * (size_t)i + 4));
        json_object_set_new(bias, "id", json_integer(vb_trace_bias(rules, i).id));
        json_array_append_new(biases, bias);
    }
    return json_pack("{s:s, s:i, s:s, s:o, s:o}", "record", "rules", "from", rules->from, "kind",
                     vb_trace_rule_name(rules->kind), "text", json_text(&rules->text), "biases", biases);
}

static json_t *json_token(const vb_trace_token *t, int version)
{
    json_t *value = json_pack("{s:s, s:i, s:i, s:o}", "record", t->chosen ? "chosen" : "given", "position", t->position,
                              "id", t->id, "text", json_text(&t->text));
    if (!t->chosen) return value;
    json_t *top = json_array();
    for (int i = 0; i < t->n_top; i++) {
        json_t *logit = json_float(t->top[i].bits);
        json_object_set_new(logit, "id", json_integer(t->top[i].id));
        json_array_append_new(top, logit);
    }
    json_object_set_new(value, "logits", json_hex(t->logits, sizeof t->logits));
    if (version >= 2) json_object_set_new(value, "proof", json_hex(t->proof, sizeof t->proof));
    json_object_set_new(value, "top", top);
    return value;
}

/* All values as one text: 8 digits each, as in "bits". */
static json_t *json_values(const vb_trace_tap *t)
{
    char *hex = malloc((size_t)t->width * 8 + 1);
    if (hex == NULL) return NULL;
    for (size_t i = 0; i < (size_t)t->width; i++) {
        const uint8_t *p = t->values + 4 * i, turned[4] = {p[3], p[2], p[1], p[0]};
        vb_hex(hex + 8 * i, turned, 4);
    }
    json_t *value = json_string(hex);
    free(hex);
    return value;
}

static json_t *json_tap(const vb_trace_tap *t)
{
    return json_pack("{s:s, s:i, s:i, s:o, s:i, s:o}", "record", "tap", "position", t->position, "layer", t->layer,
                     "name", json_text(&t->name), "width", t->width, "bits", json_values(t));
}

static json_t *json_seal(const vb_trace_seal *s)
{
    return json_pack("{s:s, s:o, s:o}", "record", "signature", "key", json_hex(s->key, sizeof s->key), "signature",
                     json_hex(s->signature, sizeof s->signature));
}

static json_t *json_end(const vb_trace_reader *r, const vb_trace_ending *end)
{
    json_t *digest = json_hex(r->data + r->link, VB_TRACE_LINK);
    if (end == NULL)
        return json_pack("{s:s, s:I, s:i, s:o}", "record", "cut", "dropped_bytes", (json_int_t)(r->size - r->at),
                         "tokens", r->tokens, "digest", digest);
    return json_pack("{s:s, s:s, s:i, s:o}", "record", "end", "reason", vb_trace_reason_name(end->reason), "tokens",
                     r->tokens, "digest", digest);
}

static vb_status print_line(FILE *to, json_t *value, vb_err *err)
{
    if (value == NULL) VB_FAIL(err, VB_E_MEMORY, "trace: out of memory");
    int failed = json_dumpf(value, to, JSON_COMPACT);
    json_decref(value);
    if (failed || fputc('\n', to) == EOF) VB_FAIL(err, VB_E_IO, "trace: cannot write what it holds");
    return VB_OK;
}

/* --- text ------------------------------------------------------------------------------------------------ */

static void print_quoted(FILE *to, const vb_trace_text *text)
{
    fputc('"', to);
    for (size_t i = 0, n = 0; i < text->len; i += n) {
        const uint8_t *p = text->data + i;
        utf8proc_int32_t c;
        utf8proc_ssize_t got = utf8proc_iterate(p, (utf8proc_ssize_t)(text->len - i), &c);
        int plain = got > 0 && c >= 0x20 && (c < 0x7f || c >= 0xa0);
        n = got > 0 ? (size_t)got : 1;
        if (plain && (c == '"' || c == '\\')) fputc('\\', to);
        if (plain) fwrite(p, 1, n, to);
        else if (*p == '\n') fputs("\\n", to);
        else for (size_t k = 0; k < n; k++) fprintf(to, "\\x%02x", p[k]);
    }
    fputc('"', to);
}

static void print_time(FILE *to, uint64_t ns)
{
    char text[64] = "?";
    struct tm parts;
    time_t seconds = (time_t)(ns / 1000000000u);
    if (gmtime_r(&seconds, &parts) != NULL) strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    fprintf(to, "%-20s%s\n", "created", text);
}

static void print_header(FILE *to, const vb_trace_reader *r)
{
    char text[96];
    const vb_trace_header *h = &r->header;
    fprintf(to, "%-20s%d\n", "format", r->version);
    for (int i = 0; i < VB_TRACE_FIELDS; i++) {
        const vb_trace_field *f = &vb_trace_fields[i];
        if (f->since > r->version) continue;
        vb_trace_field_text(text, sizeof text, h, f);
        if (f->kind == VB_TRACE_U64 && f->at == offsetof(vb_trace_header, created_ns)) print_time(to, h->created_ns);
        else fprintf(to, "%-20s%s\n", f->name, text);
    }
    for (int i = 0; i < VB_TRACE_TEXTS; i++) {
        fprintf(to, "%-20s", vb_trace_text_name((vb_trace_text_id)i));
        print_quoted(to, &h->texts[i]);
        fputc('\n', to);
    }
}


static void print_logit(FILE *to, uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    fprintf(to, "%08x(%.9g)", bits, (double)value);
}

static void print_rules(FILE *to, const vb_trace_rules *rules)
{
    if (rules->kind != VB_TRACE_FREE) {
        fprintf(to, "%-20s%s from %d ", "held to", vb_trace_rule_name(rules->kind), rules->from);
        print_quoted(to, &rules->text);
        fputc('\n', to);
    }
    if (rules->n_biases > 0) fprintf(to, "%-20s", "biases");
    for (int i = 0; i < rules->n_biases; i++) {
        fprintf(to, "%s%d:", i > 0 ? " " : "", vb_trace_bias(rules, i).id);
        print_logit(to, vb_trace_u32(rules->biases.data + 8 * (size_t)i + 4));
    }
    if (rules->n_biases > 0) fputc('\n', to);
}

static void print_token(FILE *to, const vb_trace_token *t)
{
    char hex[33];
    fprintf(to, "%6d %s %6d ", t->position, t->chosen ? "chosen" : "given ", t->id);
    print_quoted(to, &t->text);
    if (t->chosen) {
        vb_hex(hex, t->logits, sizeof t->logits);
        fprintf(to, " logits %s top", hex);
    }
    for (int i = 0; i < t->n_top; i++) {
        fprintf(to, " %d:", t->top[i].id);
        print_logit(to, t->top[i].bits);
    }
    fputc('\n', to);
}

/* Name and digest of a value, and how it begins. */
static void print_tap(FILE *to, const vb_trace_tap *t)
{
    enum { SHOWN = 3 };
    char hex[33];
    uint8_t digest[16];
    vb_xxh128_of(t->values, (size_t)t->width * 4, digest);
    vb_hex(hex, digest, sizeof digest);
    fprintf(to, "%6d tap    ", t->position);
    if (t->layer >= 0) fprintf(to, "layer %d ", t->layer);
    print_quoted(to, &t->name);
    fprintf(to, " %d values %s", t->width, hex);
    for (int i = 0; i < t->width && i < SHOWN; i++) {
        fputc(' ', to);
        print_logit(to, vb_trace_u32(t->values + 4 * i));
    }
    fputs(t->width > SHOWN ? " ...\n" : "\n", to);
}

static void print_seal(FILE *to, const vb_trace_seal *s)
{
    char hex[65];
    vb_hex(hex, s->key, sizeof s->key);
    fprintf(to, "%-20s%s\n", "signed by", hex);
}

static void print_end(FILE *to, const vb_trace_reader *r, const vb_trace_ending *end)
{
    char hex[65], cut[128];
    vb_hex(hex, r->data + r->link, VB_TRACE_LINK);
    vb_trace_cut_text(cut, sizeof cut, r);
    fprintf(to, "%-20s%s, %d tokens\n%-20s%s\n", end != NULL ? "end" : "cut",
            end != NULL ? vb_trace_reason_name(end->reason) : cut, r->tokens, "digest", hex);
}

/* --- records --------------------------------------------------------------------------------------------- */

static json_t *json_record(const vb_trace_record *record, const vb_trace_reader *r)
{
    switch (record->type) {
    case VB_TRACE_GIVEN:
    case VB_TRACE_CHOSEN: return json_token(&record->as.token, r->version);
    case VB_TRACE_TAP: return json_tap(&record->as.tap);
    case VB_TRACE_END: return json_end(r, &record->as.end);
    case VB_TRACE_SIGNATURE: return json_seal(&record->as.seal);
    case VB_TRACE_RULES:
    case VB_TRACE_HEADER:
    case VB_TRACE_INFO: break;
    }
    return NULL;
}

static void print_record(FILE *to, const vb_trace_record *record, const vb_trace_reader *r)
{
    switch (record->type) {
    case VB_TRACE_GIVEN:
    case VB_TRACE_CHOSEN: print_token(to, &record->as.token); break;
    case VB_TRACE_TAP: print_tap(to, &record->as.tap); break;
    case VB_TRACE_END: print_end(to, r, &record->as.end); break;
    case VB_TRACE_SIGNATURE: print_seal(to, &record->as.seal); break;
    case VB_TRACE_RULES:
    case VB_TRACE_HEADER:
    case VB_TRACE_INFO: break;
    }
}

static vb_status show_record(const vb_trace_record *record, const vb_trace_reader *r, FILE *to, int json, vb_err *err)
{
    if (json) return print_line(to, json_record(record, r), err);
    print_record(to, record, r);
    if (ferror(to)) VB_FAIL(err, VB_E_IO, "%s: cannot write what it holds", r->name);
    return VB_OK;
}

static vb_status show_cut(const vb_trace_reader *r, FILE *to, int json, vb_err *err)
{
    vb_trace_say_cut(r);
    if (json) return print_line(to, json_end(r, NULL), err);
    print_end(to, r, NULL);
    return VB_OK;
}

vb_status vb_trace_show_reader(vb_trace_reader *r, FILE *to, int json, vb_err *err)
{
    vb_trace_record record;
    int more = 1, held = r->version > VB_TRACE_PLAIN;
    if (json) VB_TRY(print_line(to, json_header(r), err));
    else print_header(to, r);
    if (held && json) VB_TRY(print_line(to, json_rules(&r->rules), err));
    else if (held) print_rules(to, &r->rules);
    while (more) {
        VB_TRY(vb_trace_next_any(r, &record, &more, err));
        if (more) VB_TRY(show_record(&record, r, to, json, err));
    }
    return r->ended && r->at == r->size ? VB_OK : show_cut(r, to, json, err);
}

VB_API vb_status vb_trace_show(const char *path, FILE *to, int json, vb_err *err)
{
    vb_trace_file file;
    VB_TRY(vb_trace_file_open(&file, path, err));
    vb_status s = vb_trace_show_reader(&file.reader, to, json, err);
    vb_trace_file_close(&file);
    return s;
}
