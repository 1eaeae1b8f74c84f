/* read.c - see read.h and the tables in traces/format.h.
 *
 *   whole?  fewer than 12 bytes left               -> cut
 *           the check fits length and type, no     -> damaged
 *           length + 44 bytes left, no             -> cut
 *           link (and seal) fit, no                -> damaged
 *           decoded, position in order, no         -> damaged
 *
 * Invariant: no byte is read beyond `size` and nothing is allocated, whatever the bytes are. Because only a file that
 * ends inside a record counts as cut, a flipped bit can never pass for a killed writer.
 */
#include "traces/read.h"

#include "traces/sign.h"

#include "base/hash.h"
#include "base/log.h"

#include <string.h>

/* Whether the n bytes are the beginning of a head of any version. */
static int begins_head(const uint8_t *data, size_t n)
{
    uint8_t head[VB_TRACE_HEAD];
    vb_trace_bytes want = {0};
    vb_trace_encode_head(&want);
    int same = 0;
    if (!want.failed) memcpy(head, want.data, sizeof head);
    for (int version = VB_TRACE_OLDEST; !want.failed && version <= VB_TRACE_FORMAT; version++) {
        head[8] = (uint8_t)version;
        same |= n == 0 || memcmp(data, head, n) == 0;
    }
    vb_trace_bytes_free(&want);
    return same;
}

static vb_status check_head(const vb_trace_reader *r, vb_err *err)
{
    size_t n = r->size < VB_TRACE_HEAD ? r->size : VB_TRACE_HEAD;
    if (n == VB_TRACE_HEAD && vb_trace_is_head(r->data)) return VB_OK;
    if (begins_head(r->data, n))
        VB_FAIL(err, VB_E_FORMAT, "%s: expected a trace, found %zu bytes: cut before its header", r->name, n);
    if (n < 8 || !begins_head(r->data, 8))
        VB_FAIL(err, VB_E_FORMAT, "%s: expected a trace, found something else", r->name);
    uint32_t version = n >= 12 ? vb_trace_u32(r->data + 8) : 0;
    if (n >= 12 && (version < VB_TRACE_OLDEST || version > VB_TRACE_FORMAT))
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s: trace format: expected %d to %d, found %u", r->name, VB_TRACE_OLDEST,
                VB_TRACE_FORMAT, version);
    VB_FAIL(err, VB_E_FORMAT, "%s: head: expected zeros after the version, found others", r->name);
}

static vb_status check_token(const vb_trace_reader *r, const vb_trace_token *t, const char *what, vb_err *err)
{
    if (t->position != r->tokens)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected position %d, found %d", what, r->tokens, t->position);
    if (t->position == INT32_MAX || (t->chosen && t->position == 0))
        VB_FAIL(err, VB_E_FORMAT, "%s: expected a given token at position 0 and at most %d, found another", what,
                INT32_MAX);
    return VB_OK;
}

static vb_status check_tap(const vb_trace_reader *r, const vb_trace_tap *tap, const char *what, vb_err *err)
{
    if (r->header.taps == VB_TAPS_NONE)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected no tap, as the header says, found one", what);
    if (tap->position != r->tokens - 1)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected a tap of position %d, found one of %d", what, r->tokens - 1,
                tap->position);
    return VB_OK;
}

/* The signature covers the end record's link and the seal; what is not covered cannot be changed unnoticed either. */
static vb_status check_seal(const vb_trace_reader *r, const vb_trace_seal *seal, const char *what, vb_err *err)
{
    if (vb_trace_seal_fits(seal, r->data + r->at - VB_TRACE_LINK, r->data + r->seal)) return VB_OK;
    VB_FAIL(err, VB_E_FORMAT, "%s: signature: expected one of this trace by the key beside it, found another", what);
}

/* What a record that proved to be itself must fulfil among the others. */
static vb_status check_order(const vb_trace_reader *r, const vb_trace_record *record, const char *what, vb_err *err)
{
    int signs = record->type == VB_TRACE_SIGNATURE;
    if (r->ended && (!signs || r->is_signed))
        VB_FAIL(err, VB_E_FORMAT, "%s: expected the %s to be the last%s, found %zu bytes behind it", what,
                r->is_signed ? "signature" : "end record", r->is_signed ? "" : " or a signature", r->size - r->at);
    switch (record->type) {
    case VB_TRACE_GIVEN:
    case VB_TRACE_CHOSEN: return check_token(r, &record->as.token, what, err);
    case VB_TRACE_TAP: return check_tap(r, &record->as.tap, what, err);
    case VB_TRACE_END:
        if (record->as.end.tokens == (uint32_t)r->tokens) return VB_OK;
        VB_FAIL(err, VB_E_FORMAT, "%s: expected the end of %d tokens, found %u", what, r->tokens,
                record->as.end.tokens);
    case VB_TRACE_SIGNATURE:
        if (r->ended) return check_seal(r, &record->as.seal, what, err);
        break;
    case VB_TRACE_HEADER:
    case VB_TRACE_RULES:
    case VB_TRACE_INFO: break;
    }
    VB_FAIL(err, VB_E_FORMAT, "%s: expected a token or the end, found type %d", what, (int)record->type);
}

/* Length of the payload at `at`, or *more 0 if the file ends before the record does. */
static vb_status measure(const vb_trace_reader *r, const char *what, uint32_t *n, int *more, vb_err *err)
{
    const uint8_t *p = r->data + r->at;
    size_t left = r->size - r->at;
    *more = 0;
    if (left < VB_TRACE_PREFIX) return VB_OK;
    *n = vb_trace_u32(p);
    uint32_t check = vb_trace_check(p), found = vb_trace_u32(p + 8);
    if (check != found)
        VB_FAIL(err, VB_E_FORMAT, "%s: length and type: expected check %08x, found %08x; the file is damaged", what,
                check, found);
    if (*n > VB_TRACE_PAYLOAD_MOST)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected at most %d bytes, found %u", what, VB_TRACE_PAYLOAD_MOST, *n);
    *more = left >= (size_t)VB_TRACE_PREFIX + *n + VB_TRACE_LINK;
    return VB_OK;
}

static vb_status compare(const char *what, const char *name, const uint8_t *expected, const uint8_t *found, vb_err *err)
{
    char a[17], b[17];
    if (memcmp(expected, found, VB_TRACE_LINK) == 0) return VB_OK;
    vb_hex(a, expected, 8);
    vb_hex(b, found, 8);
    VB_FAIL(err, VB_E_FORMAT, "%s: %s: expected %s..., found %s...; the file is damaged", what, name, a, b);
}

/* The record p with a payload of n bytes against its link, or its seal and the link it passes on; *n becomes the
 * length without the seal. */
static vb_status prove(const uint8_t *p, uint32_t *n, const char *what, vb_err *err)
{
    uint8_t digest[VB_TRACE_LINK];
    const uint8_t *link = p + VB_TRACE_PREFIX + *n;
    int sealed = vb_trace_u32(p + 4) == VB_TRACE_INFO;
    if (sealed && *n < VB_TRACE_LINK)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected at least %d bytes, found %u", what, VB_TRACE_LINK, *n);
    if (sealed) *n -= VB_TRACE_LINK;
    vb_sha256_of(p - VB_TRACE_LINK, (size_t)VB_TRACE_LINK + VB_TRACE_PREFIX + *n, digest);
    if (!sealed) return compare(what, "chain", digest, link, err);
    VB_TRY(compare(what, "seal", digest, p + VB_TRACE_PREFIX + *n, err));
    return compare(what, "chain", p - VB_TRACE_LINK, link, err);
}

/* *len is 0 if the file ends before the record does. */
static vb_status read_record(const vb_trace_reader *r, vb_trace_record *out, const char *what, size_t *len, vb_err *err)
{
    uint32_t n;
    int more;
    *len = 0;
    VB_TRY(measure(r, what, &n, &more, err));
    if (!more) return VB_OK;
    const uint8_t *p = r->data + r->at;
    size_t whole = (size_t)VB_TRACE_PREFIX + n + VB_TRACE_LINK;
    VB_TRY(prove(p, &n, what, err));
    vb_trace_payload payload = {r->version, (vb_trace_type)vb_trace_u32(p + 4), p + VB_TRACE_PREFIX, n};
    VB_TRY(vb_trace_decode(out, &payload, what, err));
    *len = whole;
    return VB_OK;
}

/* A record of the type that must stand here. */
static vb_status read_part(vb_trace_reader *r, vb_trace_record *out, vb_trace_type type, const char *part, vb_err *err)
{
    char what[300];
    size_t len;
    snprintf(what, sizeof what, "%.200s: %s at byte %zu", r->name, part, r->at);
    VB_TRY(read_record(r, out, what, &len, err));
    if (len == 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected a trace, found %zu bytes: cut before the end of its %s", r->name,
                r->size, part);
    if (out->type != type)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected type %d, found %d", what, (int)type, (int)out->type);
    r->at += len;
    return VB_OK;
}

static vb_status read_rules(vb_trace_reader *r, vb_err *err)
{
    vb_trace_record record;
    VB_TRY(read_part(r, &record, VB_TRACE_RULES, "rules", err));
    r->rules = record.as.rules;
    r->link = r->at - VB_TRACE_LINK;
    return VB_OK;
}

vb_status vb_trace_reader_start(vb_trace_reader *r, const char *name, const uint8_t *data, size_t size, vb_err *err)
{
    vb_trace_record record;
    memset(r, 0, sizeof *r);
    r->name = name;
    r->data = data;
    r->size = size;
    VB_TRY(check_head(r, err));
    r->version = (int)vb_trace_u32(data + 8);
    r->at = VB_TRACE_HEAD;
    VB_TRY(read_part(r, &record, VB_TRACE_HEADER, "header", err));
    r->header = record.as.header;
    VB_TRY(read_part(r, &record, VB_TRACE_INFO, "information", err));
    r->header.created_ns = record.as.header.created_ns;
    r->header.threads = record.as.header.threads;
    memcpy(r->header.texts, record.as.header.texts, sizeof r->header.texts);
    r->records = 1;
    r->link = r->at - VB_TRACE_LINK;
    r->seal = r->link - VB_TRACE_LINK;
    return r->version > VB_TRACE_PLAIN ? read_rules(r, err) : VB_OK;
}

/* What the reader knows after a record that stood in order. */
static void count(vb_trace_reader *r, const vb_trace_record *record)
{
    int token = record->type == VB_TRACE_GIVEN || record->type == VB_TRACE_CHOSEN;
    r->tokens += token;
    r->taps += record->type == VB_TRACE_TAP;
    if (record->type == VB_TRACE_END) r->ended = 1;
    if (token || record->type == VB_TRACE_END) r->records++;
    if (!r->ended) r->link = r->at - VB_TRACE_LINK;
    if (record->type != VB_TRACE_SIGNATURE) return;
    r->is_signed = 1;
    memcpy(r->signer, record->as.seal.key, sizeof r->signer);
}

vb_status vb_trace_next_any(vb_trace_reader *r, vb_trace_record *out, int *more, vb_err *err)
{
    char what[300];
    size_t len;
    *more = 0;
    snprintf(what, sizeof what, "%.200s: record %lld at byte %zu", r->name, (long long)r->records, r->at);
    VB_TRY(read_record(r, out, what, &len, err));
    if (len == 0) return VB_OK;
    VB_TRY(check_order(r, out, what, err));
    r->at += len;
    count(r, out);
    *more = 1;
    return VB_OK;
}

vb_status vb_trace_next(vb_trace_reader *r, vb_trace_record *out, int *more, vb_err *err)
{
    do VB_TRY(vb_trace_next_any(r, out, more, err));
    while (*more && (out->type == VB_TRACE_TAP || out->type == VB_TRACE_SIGNATURE));
    return VB_OK;
}

void vb_trace_cut_text(char *buf, size_t cap, const vb_trace_reader *r)
{
    size_t dropped = r->size - r->at;
    buf[0] = 0;
    if (r->ended && dropped == 0) return;
    if (r->ended) snprintf(buf, cap, "the last %zu bytes, behind the end record, are no whole record", dropped);
    else if (dropped == 0) snprintf(buf, cap, "ended without an end record");
    else snprintf(buf, cap, "ended without an end record; the last %zu bytes are no whole record", dropped);
}

void vb_trace_say_cut(const vb_trace_reader *r)
{
    char text[128];
    vb_trace_cut_text(text, sizeof text, r);
    if (text[0] != 0) vb_log(VB_LOG_WARNING, "%s: %s", r->name, text);
}

vb_status vb_trace_file_open(vb_trace_file *f, const char *path, vb_err *err)
{
    VB_TRY(vb_map_open(&f->map, path, err));
    vb_status s = vb_trace_reader_start(&f->reader, path, f->map.data, (size_t)f->map.size, err);
    if (s < 0) vb_trace_file_close(f);
    return s;
}

void vb_trace_file_close(vb_trace_file *f)
{
    vb_map_close(&f->map);
}
