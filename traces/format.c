/* format.c - records to bytes and back, after the tables in traces/format.h. No files and no sessions here.
 *
 * Invariant: decoding believes no length; a payload is accepted only if its parts fill it exactly.
 */
#include "traces/format.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define FIELD(name, kind, member) {name, VB_TRACE_##kind, offsetof(vb_trace_header, member), 1}
#define FIELD2(name, kind, member) {name, VB_TRACE_##kind, offsetof(vb_trace_header, member), 2}
const vb_trace_field vb_trace_fields[VB_TRACE_FIELDS] = {
    FIELD("arithmetic_version", I32, arithmetic_version),
    FIELD("arithmetic", ARITH, arith),
    FIELD("model", DIGEST, model),
    FIELD("plan", DIGEST, plan),
    FIELD("tokenizer", DIGEST, tokenizer),
    FIELD("template", DIGEST, template_),
    FIELD("context", I32, context),
    FIELD("kv", KV, kv),
    FIELD("top", I32, top),
    FIELD("temperature", F32, sampling.temperature),
    FIELD("top_p", F32, sampling.top_p),
    FIELD("min_p", F32, sampling.min_p),
    FIELD("typical", F32, sampling.typical),
    FIELD("repeat", F32, sampling.repeat),
    FIELD("presence", F32, sampling.presence),
    FIELD("frequency", F32, sampling.frequency),
    FIELD("top_k", I32, sampling.top_k),
    FIELD("repeat_last", I32, sampling.repeat_last),
    FIELD("seed", U64, sampling.seed),
    FIELD("stream", U64, sampling.stream),
    FIELD2("parent", DIGEST, parent),
    FIELD2("parent_at", I32, parent_at),
    FIELD2("taps", TAPS, taps),
    FIELD("created", U64, created_ns),
    FIELD("threads", I32, threads),
};

static const char *const arith_names[] = {"int8", "f32"};
static const char *const kv_names[] = {NULL, "f16", "f32", "q8_0"};
static const char *const taps_names[] = {"none", "layers", "all"};

static size_t field_size(vb_trace_kind kind)
{
    return kind == VB_TRACE_DIGEST ? 32 : kind == VB_TRACE_U64 ? 8 : 4;
}

void vb_trace_field_text(char *buf, size_t cap, const vb_trace_header *header, const vb_trace_field *field)
{
    const uint8_t *at = (const uint8_t *)header + field->at;
    char hex[65];
    uint64_t wide = 0;
    uint32_t bits = 0;
    float value;
    if (field->kind == VB_TRACE_U64) memcpy(&wide, at, sizeof wide);
    else memcpy(&bits, at, sizeof bits);
    memcpy(&value, &bits, sizeof value);
    switch (field->kind) {
    case VB_TRACE_I32: snprintf(buf, cap, "%d", (int)bits); break;
    case VB_TRACE_ARITH: snprintf(buf, cap, "%s", arith_names[bits]); break;
    case VB_TRACE_KV: snprintf(buf, cap, "%s", kv_names[bits]); break;
    case VB_TRACE_TAPS: snprintf(buf, cap, "%s", taps_names[bits]); break;
    case VB_TRACE_F32: snprintf(buf, cap, "%.9g (%08x)", (double)value, bits); break;
    case VB_TRACE_U64: snprintf(buf, cap, "%llu", (unsigned long long)wide); break;
    case VB_TRACE_DIGEST:
        vb_hex(hex, at, 32);
        snprintf(buf, cap, "%s", hex);
        break;
    }
}

const char *vb_trace_text_name(vb_trace_text_id id)
{
    static const char *const names[VB_TRACE_TEXTS] = {"verbatim",   "player",     "isa",        "cpu",
                                                      "model_path", "model_name", "model_arch", "prompt"};
    return names[id];
}

const char *vb_trace_reason_name(vb_trace_reason reason)
{
    static const char *const names[VB_TRACE_REASONS] = {"closed", "end token", "context full"};
    return names[reason];
}

const char *vb_trace_rule_name(vb_trace_rule kind)
{
    return kind == VB_TRACE_GBNF ? "gbnf" : kind == VB_TRACE_SCHEMA ? "schema" : "none";
}

/* --- encoding -------------------------------------------------------------------------------------------- */

void vb_trace_bytes_free(vb_trace_bytes *b)
{
    free(b->data);
    memset(b, 0, sizeof *b);
}

/* Room for n more bytes at the end, or NULL. */
static uint8_t *grow(vb_trace_bytes *b, size_t n)
{
    if (b->failed) return NULL;
    if (n > b->cap - b->len) {
        size_t cap = (b->len + n) * 2;
        uint8_t *more = realloc(b->data, cap);
        if (more == NULL) {
            b->failed = 1;
            return NULL;
        }
        b->data = more;
        b->cap = cap;
    }
    b->len += n;
    return b->data + b->len - n;
}

static void put(vb_trace_bytes *b, const void *data, size_t n)
{
    uint8_t *to = n > 0 ? grow(b, n) : NULL;
    if (to != NULL) memcpy(to, data, n);
}

void vb_trace_bytes_continue(vb_trace_bytes *b, const uint8_t link[VB_TRACE_LINK])
{
    put(b, link, VB_TRACE_LINK);
}

static void store_u32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(value >> (8 * i));
}

static void put_u32(vb_trace_bytes *b, uint32_t value)
{
    uint8_t bytes[4];
    store_u32(bytes, value);
    put(b, bytes, sizeof bytes);
}

static void put_u64(vb_trace_bytes *b, uint64_t value)
{
    put_u32(b, (uint32_t)value);
    put_u32(b, (uint32_t)(value >> 32));
}

uint32_t vb_trace_u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t vb_trace_check(const uint8_t record[8])
{
    uint8_t digest[32];
    vb_sha256_of(record, 8, digest);
    return vb_trace_u32(digest);
}

const uint8_t *vb_trace_bytes_link(const vb_trace_bytes *b)
{
    return b->failed ? NULL : b->data + b->len - VB_TRACE_LINK;
}

/* A record's start: where it begins, and room for its prefix. */
static size_t begin(vb_trace_bytes *b)
{
    grow(b, VB_TRACE_PREFIX);
    return b->len - (b->failed ? 0 : VB_TRACE_PREFIX);
}

static void finish(vb_trace_bytes *b, size_t start, vb_trace_type type)
{
    if (b->failed) return;
    uint8_t *record = b->data + start, link[VB_TRACE_LINK];
    store_u32(record, (uint32_t)(b->len - start - VB_TRACE_PREFIX));
    store_u32(record + 4, (uint32_t)type);
    store_u32(record + 8, vb_trace_check(record));
    vb_sha256_of(record - VB_TRACE_LINK, b->len - start + VB_TRACE_LINK, link);
    put(b, link, sizeof link);
}

/* An information record's end: its seal, and the link as it was. */
static void finish_sealed(vb_trace_bytes *b, size_t start)
{
    uint8_t seal[VB_TRACE_LINK], link[VB_TRACE_LINK];
    if (b->failed) return;
    uint8_t *record = b->data + start;
    memcpy(link, record - VB_TRACE_LINK, sizeof link);
    store_u32(record, (uint32_t)(b->len - start - VB_TRACE_PREFIX + VB_TRACE_LINK));
    store_u32(record + 4, VB_TRACE_INFO);
    store_u32(record + 8, vb_trace_check(record));
    vb_sha256_of(record - VB_TRACE_LINK, b->len - start + VB_TRACE_LINK, seal);
    put(b, seal, sizeof seal);
    put(b, link, sizeof link);
}

static const uint8_t magic[8] = {'v', 'b', 't', 'r', 'a', 'c', 'e', '\n'};

static const uint8_t zero[VB_TRACE_HEAD - 12];

int vb_trace_is_head(const uint8_t *head)
{
    uint32_t version = vb_trace_u32(head + 8);
    return memcmp(head, magic, sizeof magic) == 0 && version >= VB_TRACE_OLDEST && version <= VB_TRACE_FORMAT &&
           memcmp(head + 12, zero, sizeof zero) == 0;
}

void vb_trace_encode_head(vb_trace_bytes *b)
{
    put(b, magic, sizeof magic);
    put_u32(b, VB_TRACE_PLAIN);
    put(b, zero, sizeof zero);
}

void vb_trace_head_rules(vb_trace_bytes *b)
{
    if (!b->failed) store_u32(b->data + 8, VB_TRACE_FORMAT);
}

static void put_fields(vb_trace_bytes *b, const vb_trace_header *h, int from, int to)
{
    for (int i = from; i < to; i++) {
        const vb_trace_field *f = &vb_trace_fields[i];
        const uint8_t *at = (const uint8_t *)h + f->at;
        uint64_t wide;
        uint32_t bits;
        if (f->kind == VB_TRACE_DIGEST) {
            put(b, at, 32);
        } else if (f->kind == VB_TRACE_U64) {
            memcpy(&wide, at, sizeof wide);
            put_u64(b, wide);
        } else {
            memcpy(&bits, at, sizeof bits);
            put_u32(b, bits);
        }
    }
}

void vb_trace_encode_header(vb_trace_bytes *b, const vb_trace_header *h)
{
    size_t start = begin(b);
    put_fields(b, h, 0, VB_TRACE_COMPARED);
    finish(b, start, VB_TRACE_HEADER);
    start = begin(b);
    put_fields(b, h, VB_TRACE_COMPARED, VB_TRACE_FIELDS);
    for (int i = 0; i < VB_TRACE_TEXTS; i++) {
        size_t len = h->texts[i].len < VB_TRACE_TEXT_MOST ? h->texts[i].len : VB_TRACE_TEXT_MOST;
        put_u32(b, (uint32_t)len);
        put(b, h->texts[i].data, len);
    }
    finish_sealed(b, start);
}

void vb_trace_put_biases(vb_trace_bytes *b, const vb_bias *biases, int n)
{
    uint32_t bits;
    for (int i = 0; i < n; i++) {
        memcpy(&bits, &biases[i].add, sizeof bits);
        put_u32(b, (uint32_t)biases[i].id);
        put_u32(b, bits);
    }
}

vb_bias vb_trace_bias(const vb_trace_rules *rules, int i)
{
    const uint8_t *at = rules->biases.data + (size_t)i * 8;
    uint32_t bits = vb_trace_u32(at + 4);
    vb_bias bias = {.id = (vb_token)vb_trace_u32(at)};
    memcpy(&bias.add, &bits, sizeof bits);
    return bias;
}

void vb_trace_encode_rules(vb_trace_bytes *b, const vb_trace_rules *rules)
{
    size_t start = begin(b);
    put_u32(b, (uint32_t)rules->from);
    put_u32(b, (uint32_t)rules->kind);
    put_u32(b, (uint32_t)rules->n_biases);
    put(b, rules->biases.data, rules->biases.len);
    put(b, rules->text.data, rules->text.len);
    finish(b, start, VB_TRACE_RULES);
}

void vb_trace_encode_token(vb_trace_bytes *b, const vb_trace_token *t)
{
    size_t start = begin(b);
    size_t len = t->text.len < VB_TRACE_TOKEN_TEXT_MOST ? t->text.len : VB_TRACE_TOKEN_TEXT_MOST;
    put_u32(b, (uint32_t)t->position);
    put_u32(b, (uint32_t)t->id);
    put_u32(b, (uint32_t)len);
    put_u32(b, (uint32_t)t->n_top);
    put(b, t->logits, sizeof t->logits);
    put(b, t->proof, sizeof t->proof);
    for (int i = 0; i < t->n_top; i++) {
        put_u32(b, (uint32_t)t->top[i].id);
        put_u32(b, t->top[i].bits);
    }
    put(b, t->text.data, len);
    finish(b, start, t->chosen ? VB_TRACE_CHOSEN : VB_TRACE_GIVEN);
}

void vb_trace_encode_tap(vb_trace_bytes *b, const vb_trace_tap *tap)
{
    size_t start = begin(b);
    put_u32(b, (uint32_t)tap->position);
    put_u32(b, (uint32_t)tap->layer);
    put_u32(b, (uint32_t)tap->width);
    put_u32(b, (uint32_t)tap->name.len);
    put(b, tap->name.data, tap->name.len);
    put(b, tap->values, (size_t)tap->width * 4);
    finish(b, start, VB_TRACE_TAP);
}

void vb_trace_encode_end(vb_trace_bytes *b, const vb_trace_ending *end)
{
    size_t start = begin(b);
    put_u32(b, (uint32_t)end->reason);
    put_u32(b, end->tokens);
    finish(b, start, VB_TRACE_END);
}

void vb_trace_encode_seal(vb_trace_bytes *b, const vb_trace_seal *seal)
{
    size_t start = begin(b);
    put(b, seal->key, sizeof seal->key);
    put(b, seal->signature, sizeof seal->signature);
    finish(b, start, VB_TRACE_SIGNATURE);
}

/* --- decoding -------------------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *at;
    size_t left;
    int version;
    const char *what;
    vb_err *err;
} source;

static vb_status take(source *s, size_t n, const uint8_t **out, const char *field)
{
    *out = s->at;
    if (n > s->left)
        VB_FAIL(s->err, VB_E_FORMAT, "%s: %s: expected %zu bytes, found %zu", s->what, field, n, s->left);
    s->at += n;
    s->left -= n;
    return VB_OK;
}

static vb_status in_range(const source *s, const char *field, uint32_t value, uint32_t min, uint32_t max)
{
    if (value >= min && value <= max) return VB_OK;
    VB_FAIL(s->err, VB_E_FORMAT, "%s: %s: expected %u to %u, found %u", s->what, field, min, max, value);
}

static vb_status decode_field(source *s, vb_trace_header *h, const vb_trace_field *f)
{
    const uint8_t *from;
    uint8_t *to = (uint8_t *)h + f->at;
    if (f->since > s->version) return VB_OK;
    VB_TRY(take(s, field_size(f->kind), &from, f->name));
    uint32_t low = vb_trace_u32(from);
    if (f->kind == VB_TRACE_DIGEST) {
        memcpy(to, from, 32);
    } else if (f->kind == VB_TRACE_U64) {
        uint64_t wide = low | (uint64_t)vb_trace_u32(from + 4) << 32;
        memcpy(to, &wide, sizeof wide);
    } else {
        memcpy(to, &low, sizeof low);
    }
    return VB_OK;
}

static vb_status decode_header(source *s, vb_trace_header *h)
{
    for (int i = 0; i < VB_TRACE_COMPARED; i++) VB_TRY(decode_field(s, h, &vb_trace_fields[i]));
    VB_TRY(in_range(s, "arithmetic", (uint32_t)h->arith, VB_ARITH_INT8, VB_ARITH_F32));
    VB_TRY(in_range(s, "kv", (uint32_t)h->kv, VB_KV_F16, VB_KV_Q8_0));
    VB_TRY(in_range(s, "context", (uint32_t)h->context, 1, INT32_MAX));
    VB_TRY(in_range(s, "top", (uint32_t)h->top, 1, VB_TRACE_TOP_MOST));
    VB_TRY(in_range(s, "taps", (uint32_t)h->taps, VB_TAPS_NONE, VB_TAPS_ALL));
    int orphan = memcmp(h->parent, zero, 16) == 0 && memcmp(h->parent + 16, zero, 16) == 0;
    return in_range(s, "parent_at", (uint32_t)h->parent_at, orphan ? 0 : 1, orphan ? 0 : INT32_MAX);
}

static vb_status decode_info(source *s, vb_trace_header *h)
{
    const uint8_t *from;
    for (int i = VB_TRACE_COMPARED; i < VB_TRACE_FIELDS; i++) VB_TRY(decode_field(s, h, &vb_trace_fields[i]));
    for (int i = 0; i < VB_TRACE_TEXTS; i++) {
        const char *name = vb_trace_text_name((vb_trace_text_id)i);
        VB_TRY(take(s, 4, &from, name));
        h->texts[i].len = vb_trace_u32(from);
        VB_TRY(in_range(s, name, (uint32_t)h->texts[i].len, 0, VB_TRACE_TEXT_MOST));
        VB_TRY(take(s, h->texts[i].len, &h->texts[i].data, name));
    }
    return VB_OK;
}

static vb_status decode_top(source *s, vb_trace_token *t)
{
    const uint8_t *from;
    VB_TRY(take(s, (size_t)t->n_top * 8, &from, "top"));
    for (int i = 0; i < t->n_top; i++, from += 8) {
        uint32_t id = vb_trace_u32(from);
        VB_TRY(in_range(s, "top", id, 0, INT32_MAX));
        t->top[i] = (vb_trace_logit){(vb_token)id, vb_trace_u32(from + 4)};
    }
    return VB_OK;
}

static vb_status decode_digests(source *s, vb_trace_token *t)
{
    const uint8_t *from;
    VB_TRY(take(s, sizeof t->logits, &from, "logits"));
    memcpy(t->logits, from, sizeof t->logits);
    if (s->version >= 2) {
        VB_TRY(take(s, sizeof t->proof, &from, "proof"));
        memcpy(t->proof, from, sizeof t->proof);
    }
    if (!t->chosen && (memcmp(t->logits, zero, sizeof t->logits) != 0 || memcmp(t->proof, zero, sizeof t->proof) != 0))
        VB_FAIL(s->err, VB_E_FORMAT, "%s: logits: expected zeros for a given token, found others", s->what);
    return VB_OK;
}

static vb_status decode_token(source *s, vb_trace_token *t, int chosen)
{
    const uint8_t *from;
    VB_TRY(take(s, 16, &from, "token"));
    uint32_t position = vb_trace_u32(from), id = vb_trace_u32(from + 4), n_top = vb_trace_u32(from + 12);
    t->chosen = chosen;
    t->text.len = vb_trace_u32(from + 8);
    VB_TRY(decode_digests(s, t));
    VB_TRY(in_range(s, "position", position, 0, INT32_MAX));
    VB_TRY(in_range(s, "id", id, 0, INT32_MAX));
    VB_TRY(in_range(s, "text", (uint32_t)t->text.len, 0, VB_TRACE_TOKEN_TEXT_MOST));
    VB_TRY(in_range(s, "top", n_top, 0, chosen ? VB_TRACE_TOP_MOST : 0));
    t->position = (int32_t)position;
    t->id = (vb_token)id;
    t->n_top = (int)n_top;
    VB_TRY(decode_top(s, t));
    return take(s, t->text.len, &t->text.data, "text");
}

static vb_status decode_tap(source *s, vb_trace_tap *tap)
{
    const uint8_t *from;
    VB_TRY(take(s, 16, &from, "tap"));
    uint32_t position = vb_trace_u32(from), layer = vb_trace_u32(from + 4), width = vb_trace_u32(from + 8);
    tap->name.len = vb_trace_u32(from + 12);
    VB_TRY(in_range(s, "position", position, 0, INT32_MAX));
    VB_TRY(in_range(s, "layer + 1", layer + 1, 0, INT32_MAX));
    VB_TRY(in_range(s, "width", width, 1, VB_TRACE_PAYLOAD_MOST / 4));
    VB_TRY(in_range(s, "name", (uint32_t)tap->name.len, 1, VB_TRACE_NAME_MOST));
    tap->position = (int32_t)position;
    tap->layer = (int32_t)layer;
    tap->width = (int32_t)width;
    VB_TRY(take(s, tap->name.len, &tap->name.data, "name"));
    return take(s, (size_t)width * 4, &tap->values, "values");
}

static vb_status decode_seal(source *s, vb_trace_seal *seal)
{
    const uint8_t *from;
    VB_TRY(take(s, sizeof seal->key + sizeof seal->signature, &from, "signature"));
    memcpy(seal->key, from, sizeof seal->key);
    memcpy(seal->signature, from + sizeof seal->key, sizeof seal->signature);
    return VB_OK;
}

static vb_status decode_rules(source *s, vb_trace_rules *rules)
{
    const uint8_t *from;
    VB_TRY(take(s, 12, &from, "rules"));
    VB_TRY(in_range(s, "from", vb_trace_u32(from), 1, INT32_MAX));
    VB_TRY(in_range(s, "kind", vb_trace_u32(from + 4), VB_TRACE_FREE, VB_TRACE_SCHEMA));
    VB_TRY(in_range(s, "biases", vb_trace_u32(from + 8), 0, VB_TRACE_BIASES_MOST));
    rules->from = (int32_t)vb_trace_u32(from);
    rules->kind = (vb_trace_rule)vb_trace_u32(from + 4);
    rules->n_biases = (int)vb_trace_u32(from + 8);
    rules->biases.len = (size_t)rules->n_biases * 8;
    VB_TRY(take(s, rules->biases.len, &rules->biases.data, "biases"));
    for (int i = 0; i < rules->n_biases; i++)
        VB_TRY(in_range(s, "bias", (uint32_t)vb_trace_bias(rules, i).id, 0, INT32_MAX));
    rules->text.len = s->left;
    return take(s, s->left, &rules->text.data, "text");
}

static vb_status decode_end(source *s, vb_trace_ending *end)
{
    const uint8_t *from;
    VB_TRY(take(s, 8, &from, "end"));
    VB_TRY(in_range(s, "reason", vb_trace_u32(from), 0, VB_TRACE_REASONS - 1));
    end->reason = (vb_trace_reason)vb_trace_u32(from);
    end->tokens = vb_trace_u32(from + 4);
    return VB_OK;
}

vb_status vb_trace_decode(vb_trace_record *out, const vb_trace_payload *p, const char *what, vb_err *err)
{
    source s = {p->data, p->n, p->version, what, err};
    static const uint32_t last_types[] = {VB_TRACE_INFO, VB_TRACE_SIGNATURE, VB_TRACE_RULES};
    uint32_t type = (uint32_t)p->type, most = last_types[p->version - VB_TRACE_OLDEST];
    vb_status status = VB_OK;
    memset(out, 0, sizeof *out);
    out->type = p->type;
    VB_TRY(in_range(&s, "type", type, VB_TRACE_HEADER, most));
    switch (p->type) {
    case VB_TRACE_HEADER: status = decode_header(&s, &out->as.header); break;
    case VB_TRACE_INFO: status = decode_info(&s, &out->as.header); break;
    case VB_TRACE_GIVEN:
    case VB_TRACE_CHOSEN: status = decode_token(&s, &out->as.token, p->type == VB_TRACE_CHOSEN); break;
    case VB_TRACE_END: status = decode_end(&s, &out->as.end); break;
    case VB_TRACE_TAP: status = decode_tap(&s, &out->as.tap); break;
    case VB_TRACE_SIGNATURE: status = decode_seal(&s, &out->as.seal); break;
    case VB_TRACE_RULES: status = decode_rules(&s, &out->as.rules); break;
    }
    if (status == VB_OK && s.left > 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected %zu bytes, found %zu", what, p->n - s.left, p->n);
    return status;
}
