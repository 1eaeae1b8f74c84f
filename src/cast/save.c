/* save.c - a cast's past and half-spoken lines as bytes. All numbers are little endian.
 *
 *   0  8  "VBCAST1\n"          entities  u32 number, then each: id u64, latest tick u64
 *   8  4  version, 1           memory    u32 length, bytes of memory.c
 *  12  4  0                    lines     u32 number, then each: state u32, world, entity, tick, draw u64, role u32,
 *  16  8  size of all                    attempt, chosen, remembered, end u32, failed i32, length of the request u32,
 *  24 32  the cast's digest              tokens of the prompt u32, of all u32, the request, the tokens u32 each
 *  56     entities, memory, lines
 *  end-16 XXH3-128 of all before
 *
 * A half-spoken line is what it has chosen; its session is evaluated again. Lines that were found in a table are asked for
 * once more. First come the lines that speak, then those that wait, then those that are done, each in their order.
 *
 * Invariant: vb_cast_restore reads all of it before it changes anything, and believes nothing. Two lines of one key, which
 * only somebody who makes a check that fits could write, are found later and leave the cast empty.
 */
#include "base/hash.h"
#include "cast/cast.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC "VBCAST1\n"
enum { VERSION = 1, HEAD = 56, CHECK = 16 };

/* --- writing ------------------------------------------------------------------------------------------------ */

typedef struct {
    uint8_t *at;
    size_t cap, len; /* len counts on when there is no room */
} writer;

static void put_bytes(writer *w, const void *data, size_t n)
{
    if (n > 0 && w->len <= w->cap && n <= w->cap - w->len) memcpy(w->at + w->len, data, n);
    w->len += n;
}

static void put(writer *w, uint64_t value, int bytes)
{
    uint8_t b[8];
    for (int i = 0; i < bytes; i++) b[i] = (uint8_t)(value >> (8 * i));
    put_bytes(w, b, (size_t)bytes);
}

static void put_line(writer *w, const vb_saying *l)
{
    int done = l->state == VB_SAYING_DONE && !l->baked, n = l->baked ? l->n_prompt : l->n;
    const uint64_t key[] = {l->key.world, l->key.entity, l->key.tick, l->key.draw};
    put(w, done ? VB_SAYING_DONE : VB_SAYING_WAITS, 4);
    for (int i = 0; i < 4; i++) put(w, key[i], 8);
    const int numbers[] = {l->role, l->attempt, l->chosen, l->remembered, done ? (int)l->end : 0, (int)l->failed, (int)l->request_len,
                           l->n_prompt, n};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) put(w, (uint32_t)numbers[i], 4);
    put_bytes(w, l->request, l->request_len);
    for (int i = 0; i < n; i++) put(w, (uint32_t)l->tokens[i], 4);
}

static void put_row(writer *w, const vb_cast *c, const vb_row_of *row)
{
    for (int i = row->first; i >= 0; i = c->lines[i].next) put_line(w, &c->lines[i]);
}

static uint32_t open_lines(const vb_cast *c)
{
    uint32_t n = 0;
    for (int i = 0; i < c->n_lines; i++) n += c->lines[i].state != VB_SAYING_FREE;
    return n;
}

static void put_memory(writer *w, const vb_cast *c)
{
    int64_t n = c->memory == NULL ? 0 : vb_memory_save(c->memory, NULL, 0);
    put(w, (uint64_t)n, 4);
    if (n > 0 && w->len <= w->cap && (size_t)n <= w->cap - w->len) vb_memory_save(c->memory, w->at + w->len, w->cap - w->len);
    w->len += (size_t)n;
}

VB_API int64_t vb_cast_save(const vb_cast *c, void *buf, size_t cap, vb_err *err)
{
    writer w = {buf, buf == NULL ? 0 : cap, 0}, size;
    uint8_t digest[32], check[CHECK];
    VB_TRY(vb_cast_digest(c, digest, err));
    put_bytes(&w, MAGIC, 8);
    put(&w, VERSION, 4);
    put(&w, 0, 4);
    size = w;
    put(&w, 0, 8);
    put_bytes(&w, digest, sizeof digest);
    put(&w, (uint32_t)c->n_entities, 4);
    for (int i = 0; i < c->n_entities; i++) {
        put(&w, c->entities[i].id, 8);
        put(&w, c->entities[i].tick, 8);
    }
    put_memory(&w, c);
    put(&w, open_lines(c), 4);
    for (int i = 0; i < c->n_slots; i++)
        if (c->slots[i].line >= 0) put_line(&w, &c->lines[c->slots[i].line]);
    put_row(&w, c, &c->waiting);
    put_row(&w, c, &c->done);
    put(&size, w.len + CHECK, 8);
    if (w.len + CHECK <= w.cap) {
        vb_xxh128_of(buf, w.len, check);
        put_bytes(&w, check, CHECK);
        return (int64_t)w.len;
    }
    return (int64_t)w.len + CHECK;
}

/* --- reading ------------------------------------------------------------------------------------------------ */

typedef struct {
    const uint8_t *data;
    size_t at, end;
    vb_cast *cast;
    int apply; /* 0: it is only looked at */
    vb_err *err;
} reader;

static vb_status need(reader *r, size_t n, const char *what)
{
    if (n <= r->end - r->at) return VB_OK;
    VB_FAIL(r->err, VB_E_FORMAT, "saved cast: byte %zu: %s: expected %zu bytes, found %zu", r->at, what, n, r->end - r->at);
}

static vb_status get(reader *r, int bytes, const char *what, uint64_t *out)
{
    VB_TRY(need(r, (size_t)bytes, what));
    *out = 0;
    for (int i = 0; i < bytes; i++) *out |= (uint64_t)r->data[r->at + (size_t)i] << (8 * i);
    r->at += (size_t)bytes;
    return VB_OK;
}

/* A number from `least` to `most`, in four bytes. */
static vb_status get_int(reader *r, const char *what, int64_t least, int64_t most, int *out)
{
    uint64_t value;
    VB_TRY(get(r, 4, what, &value));
    int64_t n = (int32_t)(uint32_t)value;
    if (n < least || n > most)
        VB_FAIL(r->err, VB_E_FORMAT, "saved cast: byte %zu: %s: expected %lld to %lld, found %lld", r->at - 4, what,
                (long long)least, (long long)most, (long long)n);
    *out = (int)n;
    return VB_OK;
}

static vb_status get_entities(reader *r)
{
    vb_cast *c = r->cast;
    int n;
    VB_TRY(get_int(r, "entities", 0, c->memory == NULL ? 0 : c->n_entities_most, &n));
    if (r->apply) c->n_entities = n;
    for (int i = 0; i < n; i++) {
        vb_entity e = {.awaited = UINT64_MAX};
        VB_TRY(get(r, 8, "entity", &e.id));
        VB_TRY(get(r, 8, "its tick", &e.tick));
        if (r->apply) c->entities[i] = e;
    }
    return VB_OK;
}

/* Behind the first reading, so that what is damaged leaves the cast as it was. */
static vb_status get_memory(reader *r)
{
    int n;
    VB_TRY(get_int(r, "memory", 0, INT32_MAX, &n));
    VB_TRY(need(r, (size_t)n, "memory"));
    if (n > 0 && r->cast->memory == NULL)
        VB_FAIL(r->err, VB_E_FORMAT, "saved cast: byte %zu: memory: expected none, found %d bytes", r->at, n);
    if (r->apply && r->cast->memory != NULL) VB_TRY(vb_memory_restore(r->cast->memory, r->data + r->at, (size_t)n, r->err));
    r->at += (size_t)n;
    return VB_OK;
}

/* Names with their ends, and values that are all there. */
static int is_request(const uint8_t *data, size_t len, int most)
{
    size_t at = 0;
    int n = 0;
    while (at < len) {
        if (len - at < 5 || n++ == most) return 0;
        uint32_t length;
        memcpy(&length, data + at, sizeof length);
        const uint8_t *end = memchr(data + at + 4, 0, len - at - 4);
        if (end == NULL) return 0;
        at = (size_t)(end - data) + 1;
        if (length > len - at) return 0;
        at += length;
    }
    return 1;
}

static vb_status get_tokens(reader *r, vb_saying *l, int n)
{
    VB_TRY(need(r, 4 * (size_t)n, "tokens"));
    for (int i = 0; i < n; i++) {
        int id;
        VB_TRY(get_int(r, "token", 0, r->cast->info.vocab - 1, &id));
        if (r->apply) l->tokens[i] = id;
    }
    return VB_OK;
}

static vb_status get_numbers(reader *r, vb_saying *l, int *request_len)
{
    const vb_cast *c = r->cast;
    int end, failed;
    VB_TRY(get_int(r, "state", VB_SAYING_WAITS, VB_SAYING_DONE, &l->state));
    VB_TRY(get(r, 8, "world", &l->key.world));
    VB_TRY(get(r, 8, "entity", &l->key.entity));
    VB_TRY(get(r, 8, "tick", &l->key.tick));
    VB_TRY(get(r, 8, "draw", &l->key.draw));
    VB_TRY(get_int(r, "role", 0, c->n_roles - 1, &l->role));
    VB_TRY(get_int(r, "attempt", 0, c->roles[l->role].is.attempts, &l->attempt));
    VB_TRY(get_int(r, "chosen", 0, INT32_MAX, &l->chosen));
    VB_TRY(get_int(r, "remembered", 0, 1, &l->remembered));
    VB_TRY(get_int(r, "end", 0, VB_LINE_FALLBACK, &end));
    VB_TRY(get_int(r, "failed", VB_E_NOT_FOUND, 0, &failed));
    VB_TRY(get_int(r, "request", 0, (int64_t)c->request_cap, request_len));
    l->end = (vb_line_end)end;
    l->failed = (vb_status)failed;
    return VB_OK;
}

/* A line that has been spoken to its end in its last attempt cannot be still speaking. */
static vb_status check_line(const reader *r, const vb_saying *l, size_t at)
{
    const vb_persona *p = &r->cast->roles[l->role].is;
    int said = l->n - l->n_prompt, done = l->state == VB_SAYING_DONE, fallback = l->attempt == p->attempts;
    int fits = done ? said <= p->max_tokens && (l->failed < 0 || fallback == (l->end == VB_LINE_FALLBACK))
                    : said < p->max_tokens && !fallback && l->failed == 0 && l->end == 0;
    if (l->n_prompt == 0 && (l->n > 0 || (done && l->failed == 0))) fits = 0;
    if (done && l->failed == 0 && !fallback && said < 1) fits = 0;
    if (fits) return VB_OK;
    VB_FAIL(r->err, VB_E_FORMAT, "saved cast: byte %zu: line: expected one that can be, found state %d with %d of %d tokens", at,
            l->state, said, p->max_tokens);
}

static vb_status get_line(reader *r, vb_saying *out)
{
    const vb_cast *c = r->cast;
    size_t at = r->at;
    int request;
    vb_saying l = {.tokens = out->tokens, .request = out->request, .slot = -1, .entity = -1, .next = -1};
    VB_TRY(get_numbers(r, &l, &request));
    int most = c->context - c->roles[l.role].is.max_tokens;
    VB_TRY(get_int(r, "prompt", 0, most, &l.n_prompt));
    VB_TRY(get_int(r, "tokens", l.n_prompt, c->context, &l.n));
    VB_TRY(check_line(r, &l, at));
    VB_TRY(need(r, (size_t)request, "request"));
    if (l.failed == 0 && !is_request(r->data + r->at, (size_t)request, VB_REQUEST_FACTS + 2))
        VB_FAIL(r->err, VB_E_FORMAT, "saved cast: byte %zu: request: expected names and values, found something else", r->at);
    if (r->apply) memcpy(l.request, r->data + r->at, (size_t)request);
    if (r->apply && l.failed < 0) l.request[(size_t)request < c->request_cap ? (size_t)request : c->request_cap - 1] = 0;
    l.request_len = (size_t)request;
    r->at += (size_t)request;
    VB_TRY(get_tokens(r, &l, l.n));
    if (r->apply) *out = l;
    return VB_OK;
}

/* `line` is in no row. */
static vb_status take_line(reader *r, vb_saying *line)
{
    vb_cast *c = r->cast;
    size_t at = r->at;
    VB_TRY(get_line(r, line));
    if (!r->apply) return VB_OK;
    int state = line->state;
    line->state = VB_SAYING_FREE;
    if (vb_cast_find(c, &line->key) != NULL) VB_FAIL(r->err, VB_E_FORMAT, "saved cast: byte %zu: line: is there twice", at);
    VB_TRY(vb_past_return(c, line, r->err));
    line->state = state;
    vb_row_add(c, state == VB_SAYING_DONE ? &c->done : &c->waiting, line);
    c->unfinished += state != VB_SAYING_DONE;
    return VB_OK;
}

static vb_status get_lines(reader *r)
{
    vb_cast *c = r->cast;
    int n;
    VB_TRY(get_int(r, "lines", 0, c->n_lines, &n));
    for (int i = 0; i < n; i++) {
        vb_saying *line = &c->lines[r->apply ? c->unused.first : c->n_lines];
        if (r->apply) vb_row_remove(c, &c->unused, line);
        VB_TRY(take_line(r, line));
    }
    return VB_OK;
}

static vb_status get_all(reader *r)
{
    r->at = HEAD;
    VB_TRY(get_entities(r));
    VB_TRY(get_memory(r));
    VB_TRY(get_lines(r));
    if (r->at != r->end)
        VB_FAIL(r->err, VB_E_FORMAT, "saved cast: byte %zu: expected the end, found %zu bytes more", r->at, r->end - r->at);
    return VB_OK;
}

/* --- restoring ---------------------------------------------------------------------------------------------- */

static vb_status check_head(const vb_cast *c, reader *r, size_t len)
{
    uint8_t digest[32], check[CHECK];
    uint64_t version, zero, size;
    if (len < HEAD + CHECK) VB_FAIL(r->err, VB_E_FORMAT, "saved cast: expected at least %d bytes, found %zu", HEAD + CHECK, len);
    if (memcmp(r->data, MAGIC, 8) != 0) VB_FAIL(r->err, VB_E_FORMAT, "saved cast: byte 0: expected a saved cast, found something else");
    r->at = 8;
    VB_TRY(get(r, 4, "version", &version));
    if (version != VERSION)
        VB_FAIL(r->err, VB_E_UNSUPPORTED, "saved cast: byte 8: version: expected %d, found %llu", VERSION, (unsigned long long)version);
    VB_TRY(get(r, 4, "zero", &zero));
    if (zero != 0) VB_FAIL(r->err, VB_E_FORMAT, "saved cast: byte 12: expected 0, found %llu", (unsigned long long)zero);
    VB_TRY(get(r, 8, "size", &size));
    if (size != len)
        VB_FAIL(r->err, VB_E_FORMAT, "saved cast: byte 16: size: expected %zu, found %llu", len, (unsigned long long)size);
    vb_xxh128_of(r->data, len - CHECK, check);
    if (memcmp(check, r->data + len - CHECK, CHECK) != 0)
        VB_FAIL(r->err, VB_E_FORMAT, "saved cast: byte %zu: check: does not fit the bytes before it", len - CHECK);
    VB_TRY(vb_cast_digest(c, digest, r->err));
    if (memcmp(digest, r->data + 24, sizeof digest) != 0)
        VB_FAIL(r->err, VB_E_DIFFERS, "saved cast: byte 24: digest: was saved by another cast");
    return VB_OK;
}

static void clear(vb_cast *c)
{
    c->group.n = 0;
    for (int i = 0; i < c->n_slots; i++)
        if (c->slots[i].line >= 0) vb_slot_clear(c, &c->slots[i]);
    c->waiting = c->done = c->unused = (vb_row_of){-1, -1};
    for (int i = 0; i < c->n_lines; i++) {
        c->lines[i].state = VB_SAYING_FREE;
        vb_row_add(c, &c->unused, &c->lines[i]);
    }
    c->n_entities = c->unfinished = 0;
}

VB_API vb_status vb_cast_restore(vb_cast *c, const void *buf, size_t len, vb_err *err)
{
    reader r = {buf, 0, len, c, 0, err};
    VB_TRY(check_head(c, &r, len));
    r.end = len - CHECK;
    VB_TRY(get_all(&r));
    clear(c);
    r.apply = 1;
    vb_status s = get_all(&r);
    if (s < 0) clear(c);
    for (int i = 0; i < c->n_entities; i++) vb_past_settle(c, i);
    return s;
}
