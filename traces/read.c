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

#include "base/hash.h"
#include "base/log.h"

#include <string.h>

static vb_status check_head(const vb_trace_reader *r, vb_err *err)
{
    vb_trace_bytes want = {0};
    vb_trace_encode_head(&want);
    if (want.failed) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", r->name);
    size_t n = r->size < VB_TRACE_HEAD ? r->size : VB_TRACE_HEAD;
    int same_magic = n >= 8 && memcmp(r->data, want.data, 8) == 0;
    int same = n == VB_TRACE_HEAD && memcmp(r->data, want.data, n) == 0;
    int is_prefix = n == 0 || memcmp(r->data, want.data, n) == 0;
    vb_trace_bytes_free(&want);
    if (same) return VB_OK;
    if (is_prefix)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected a trace, found %zu bytes: cut before its header", r->name, n);
    if (!same_magic) VB_FAIL(err, VB_E_FORMAT, "%s: expected a trace, found something else", r->name);
    uint32_t version = n >= 12 ? vb_trace_u32(r->data + 8) : 0;
    if (n >= 12 && version != VB_TRACE_FORMAT)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s: trace format: expected %d, found %u", r->name, VB_TRACE_FORMAT, version);
    VB_FAIL(err, VB_E_FORMAT, "%s: head: expected zeros after the version, found others", r->name);
}

/* What a record that proved to be itself must fulfil among the others. */
static vb_status check_order(const vb_trace_reader *r, const vb_trace_record *record, const char *what, vb_err *err)
{
    if (record->type == VB_TRACE_HEADER || record->type == VB_TRACE_INFO)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected a token or the end, found type %d", what, (int)record->type);
    if (record->type == VB_TRACE_END && record->as.end.tokens != (uint32_t)r->tokens)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected the end of %d tokens, found %u", what, r->tokens,
                record->as.end.tokens);
    if (record->type == VB_TRACE_END) return VB_OK;
    const vb_trace_token *t = &record->as.token;
    if (t->position != r->tokens)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected position %d, found %d", what, r->tokens, t->position);
    if (t->position == INT32_MAX || (t->chosen && t->position == 0))
        VB_FAIL(err, VB_E_FORMAT, "%s: expected a given token at position 0 and at most %d, found another", what,
                INT32_MAX);
    return VB_OK;
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

/* *more is 0 if the file ends before the record does. */
static vb_status read_record(vb_trace_reader *r, vb_trace_record *out, const char *what, int *more, vb_err *err)
{
    uint32_t n, whole;
    VB_TRY(measure(r, what, &n, more, err));
    if (!*more) return VB_OK;
    const uint8_t *p = r->data + r->at;
    whole = n;
    VB_TRY(prove(p, &n, what, err));
    VB_TRY(vb_trace_decode(out, (vb_trace_type)vb_trace_u32(p + 4), p + VB_TRACE_PREFIX, n, what, err));
    r->at += (size_t)VB_TRACE_PREFIX + whole + VB_TRACE_LINK;
    return VB_OK;
}

/* A record of the type that must stand here. */
static vb_status read_part(vb_trace_reader *r, vb_trace_record *out, vb_trace_type type, const char *part, vb_err *err)
{
    char what[300];
    int more;
    snprintf(what, sizeof what, "%.200s: %s at byte %zu", r->name, part, r->at);
    VB_TRY(read_record(r, out, what, &more, err));
    if (!more)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected a trace, found %zu bytes: cut before the end of its %s", r->name,
                r->size, part);
    if (out->type != type)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected type %d, found %d", what, (int)type, (int)out->type);
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
    r->at = VB_TRACE_HEAD;
    VB_TRY(read_part(r, &record, VB_TRACE_HEADER, "header", err));
    r->header = record.as.header;
    VB_TRY(read_part(r, &record, VB_TRACE_INFO, "information", err));
    r->header.created_ns = record.as.header.created_ns;
    r->header.threads = record.as.header.threads;
    memcpy(r->header.texts, record.as.header.texts, sizeof r->header.texts);
    r->records = 1;
    r->link = r->at - VB_TRACE_LINK;
    return VB_OK;
}

vb_status vb_trace_next(vb_trace_reader *r, vb_trace_record *out, int *more, vb_err *err)
{
    char what[300];
    *more = 0;
    if (r->ended && r->at < r->size)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected the end record to be the last, found %zu bytes behind it", r->name,
                r->size - r->at);
    if (r->ended) return VB_OK;
    snprintf(what, sizeof what, "%.200s: record %lld at byte %zu", r->name, (long long)r->records, r->at);
    size_t before = r->at;
    VB_TRY(read_record(r, out, what, more, err));
    if (!*more) return VB_OK;
    vb_status s = check_order(r, out, what, err);
    if (s < 0) {
        r->at = before;
        return s;
    }
    r->records++;
    r->ended = out->type == VB_TRACE_END;
    if (r->ended) return VB_OK;
    r->tokens++;
    r->link = r->at - VB_TRACE_LINK;
    return VB_OK;
}

void vb_trace_cut_text(char *buf, size_t cap, const vb_trace_reader *r)
{
    size_t dropped = r->size - r->at;
    buf[0] = 0;
    if (r->ended) return;
    if (dropped == 0) snprintf(buf, cap, "ended without an end record");
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
