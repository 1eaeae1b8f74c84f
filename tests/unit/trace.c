/* trace.c - the trace format without a session: what is written is read again, every flipped bit is noticed, a file
 * cut anywhere gives back its whole records, a full disk leaves a whole file, and differences are found and named.
 */
#include "base/hash.h"
#include "traces/diff.h"
#include "traces/show.h"
#include "traces/write.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GIVEN = 3, TOKENS = 8 };

static vb_trace_text text_of(const char *s)
{
    return (vb_trace_text){(const uint8_t *)s, strlen(s)};
}

static vb_trace_header sample_header(void)
{
    vb_trace_header h = {.arithmetic_version = VB_ARITHMETIC_VERSION,
                         .arith = VB_ARITH_F32,
                         .context = 256,
                         .kv = VB_KV_Q8_0,
                         .top = 2,
                         .threads = 7,
                         .created_ns = 1700000000123456789u};
    h.sampling = (vb_sampling){.temperature = 0.8f, .top_p = 0.95f, .min_p = 0.05f, .typical = 1.0f, .repeat = 1.1f};
    h.sampling.presence = -0.5f;
    h.sampling.frequency = 0.25f;
    h.sampling.top_k = 40;
    h.sampling.repeat_last = -1;
    h.sampling.seed = 0xfedcba9876543210u;
    h.sampling.stream = 3;
    for (int i = 0; i < 32; i++) {
        h.model[i] = (uint8_t)i;
        h.plan[i] = (uint8_t)(i * 3);
        h.tokenizer[i] = (uint8_t)(i * 5);
        h.template_[i] = (uint8_t)(i * 7);
    }
    for (int i = 0; i < VB_TRACE_TEXTS; i++) h.texts[i] = text_of("some \"text\"\n");
    return h;
}

static vb_trace_token sample_token(int position)
{
    static const char *const texts[] = {"a", "\xc3\xa4", "", "\xf0\x9f", "\x1b[2J", " the", "\n", "end"};
    vb_trace_token t = {.chosen = position >= GIVEN, .position = position, .id = 100 + position};
    t.text = text_of(texts[position % TOKENS]);
    if (!t.chosen) return t;
    for (int i = 0; i < 16; i++) t.logits[i] = (uint8_t)(position * 16 + i);
    t.n_top = 2;
    t.top[0] = (vb_trace_logit){t.id, 0x41200000u + (uint32_t)position};
    t.top[1] = (vb_trace_logit){7, 0xff800000u};
    return t;
}

/* A whole trace; where record i ends stands in ends[i] (0 is the header with its information). */
static vb_trace_bytes sample(int tokens, size_t *ends)
{
    vb_trace_bytes b = {0};
    vb_trace_header h = sample_header();
    vb_trace_ending end = {VB_TRACE_ENDS, (uint32_t)tokens};
    vb_trace_encode_head(&b);
    vb_trace_encode_header(&b, &h);
    ends[0] = b.len;
    for (int i = 0; i < tokens; i++) {
        vb_trace_token t = sample_token(i);
        vb_trace_encode_token(&b, &t);
        ends[i + 1] = b.len;
    }
    vb_trace_encode_end(&b, &end);
    ends[tokens + 1] = b.len;
    cr_assert(!b.failed);
    return b;
}

/* Reads to the end; the bytes lie in an allocation of just their size, so that a sanitizer sees any step outside. */
static vb_status read_all(const uint8_t *data, size_t size, vb_trace_reader *r, vb_err *err)
{
    uint8_t *copy = malloc(size);
    vb_trace_record record;
    int more = 1;
    if (size > 0) memcpy(copy, data, size);
    vb_status s = vb_trace_reader_start(r, "file", copy, size, err);
    while (s == VB_OK && more) s = vb_trace_next(r, &record, &more, err);
    free(copy);
    return s;
}

Test(trace, what_is_written_is_read)
{
    size_t ends[TOKENS + 2];
    vb_trace_bytes b = sample(TOKENS, ends);
    vb_trace_reader r;
    vb_trace_record record;
    vb_err err = {0};
    vb_diff d = {0};
    vb_trace_header h = sample_header();
    int more;
    cr_assert_eq(vb_trace_reader_start(&r, "file", b.data, b.len, &err), VB_OK, "%s", err.text);
    cr_assert_not(vb_trace_diff_header(&d, &h, &r.header), "%s", d.field);
    cr_assert_eq(memcmp(&h.sampling, &r.header.sampling, sizeof h.sampling), 0);
    cr_assert_eq(h.created_ns, r.header.created_ns);
    cr_assert_eq(r.header.threads, 7);
    for (int i = 0; i < VB_TRACE_TEXTS; i++) cr_assert_eq(memcmp(r.header.texts[i].data, "some \"text\"\n", 12), 0);
    for (int i = 0; i < TOKENS; i++) {
        vb_trace_token t = sample_token(i);
        cr_assert_eq(vb_trace_next(&r, &record, &more, &err), VB_OK, "%s", err.text);
        cr_assert(more && !vb_trace_diff_token(&d, i + 1, &t, &record.as.token), "token %d: %s", i, d.field);
    }
    cr_assert_eq(vb_trace_next(&r, &record, &more, &err), VB_OK);
    cr_assert(more && record.as.end.reason == VB_TRACE_ENDS && record.as.end.tokens == TOKENS && r.ended);
    cr_assert_eq(vb_trace_next(&r, &record, &more, &err), VB_OK);
    cr_assert_not(more);
    vb_trace_bytes_free(&b);
}

static void flip_all(uint8_t *data, size_t size)
{
    for (size_t bit = 0; bit < size * 8; bit++) {
        vb_trace_reader r;
        vb_err err = {0};
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        vb_status s = read_all(data, size, &r, &err);
        cr_assert(s == VB_E_FORMAT || (s == VB_E_UNSUPPORTED && bit / 8 >= 8 && bit / 8 < 12), "bit %zu: %d", bit, s);
        cr_assert_eq(err.code, s);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

Test(trace, every_flipped_bit_is_noticed)
{
    size_t ends[TOKENS + 2];
    vb_trace_bytes b = sample(TOKENS, ends);
    flip_all(b.data, b.len);
    for (int i = 0; i < 5; i++) flip_all(b.data, ends[i]); /* cut behind record i */
    vb_trace_bytes_free(&b);
}

Test(trace, a_cut_gives_back_all_whole_records)
{
    size_t ends[TOKENS + 2];
    vb_trace_bytes b = sample(TOKENS, ends);
    for (size_t size = 0; size <= b.len; size++) {
        vb_trace_reader r;
        vb_err err = {0};
        char text[128];
        int whole = 0;
        vb_status s = read_all(b.data, size, &r, &err);
        if (size < ends[0]) {
            cr_assert_eq(s, VB_E_FORMAT, "%zu bytes", size);
            cr_assert_not_null(strstr(err.text, "cut before"), "%s", err.text);
            continue;
        }
        while (whole < TOKENS && ends[whole + 1] <= size) whole++;
        cr_assert_eq(s, VB_OK, "%zu bytes: %s", size, err.text);
        cr_assert_eq(r.tokens, whole, "%zu bytes: %d tokens", size, r.tokens);
        cr_assert_eq(r.ended, size == b.len);
        if (!r.ended) cr_assert_eq(size - r.at, size - ends[whole]);
        vb_trace_cut_text(text, sizeof text, &r);
        cr_assert_eq(text[0] == 0, size == b.len);
    }
    vb_trace_bytes_free(&b);
}

/* --- order ------------------------------------------------------------------------------------------------- */

static void expect_refused(vb_trace_bytes *b, const char *word)
{
    vb_trace_reader r;
    vb_err err = {0};
    cr_assert_eq(read_all(b->data, b->len, &r, &err), VB_E_FORMAT, "%s", word);
    cr_assert_not_null(strstr(err.text, word), "expected \"%s\" in \"%s\"", word, err.text);
    vb_trace_bytes_free(b);
}

static vb_trace_bytes started(void)
{
    vb_trace_bytes b = {0};
    vb_trace_header h = sample_header();
    vb_trace_encode_head(&b);
    vb_trace_encode_header(&b, &h);
    return b;
}

Test(trace, records_out_of_order_are_refused)
{
    vb_trace_header h = sample_header();
    vb_trace_ending end = {VB_TRACE_CLOSED, 0}, wrong = {VB_TRACE_CLOSED, 1};
    vb_trace_token t = sample_token(1), first = sample_token(0);
    vb_trace_bytes b = started();
    vb_trace_encode_token(&b, &t);
    expect_refused(&b, "expected position 0, found 1");
    b = started();
    first.chosen = 1;
    vb_trace_encode_token(&b, &first);
    expect_refused(&b, "given token at position 0");
    b = started();
    vb_trace_encode_header(&b, &h);
    expect_refused(&b, "expected a token or the end");
    b = started();
    vb_trace_encode_end(&b, &wrong);
    expect_refused(&b, "expected the end of 0 tokens, found 1");
    b = started();
    vb_trace_encode_end(&b, &end);
    vb_trace_encode_end(&b, &end);
    expect_refused(&b, "expected the end record to be the last");
}

Test(trace, fields_out_of_range_are_refused)
{
    vb_trace_header h = sample_header();
    vb_trace_bytes b = {0};
    h.kv = 9;
    vb_trace_encode_head(&b);
    vb_trace_encode_header(&b, &h);
    expect_refused(&b, "kv: expected 1 to 3, found 9");
    b = started();
    vb_trace_token t = sample_token(0);
    t.id = -1;
    vb_trace_encode_token(&b, &t);
    expect_refused(&b, "id: expected 0 to");
    b = started();
    t = sample_token(0);
    t.n_top = 1;
    vb_trace_encode_token(&b, &t);
    expect_refused(&b, "top: expected 0 to 0, found 1");
}

/* The last record's payload made longer or shorter, with check and link to fit: only its contents are wrong. */
static void resize_last(vb_trace_bytes *b, size_t start, int by)
{
    size_t n = b->len - start - VB_TRACE_PREFIX - VB_TRACE_LINK + (size_t)by;
    b->data = realloc(b->data, b->len + 64);
    uint8_t *record = b->data + start;
    memset(b->data + b->len - VB_TRACE_LINK, 0, 64);
    for (int i = 0; i < 4; i++) record[i] = (uint8_t)(n >> (8 * i));
    uint32_t check = vb_trace_check(record);
    for (int i = 0; i < 4; i++) record[8 + i] = (uint8_t)(check >> (8 * i));
    vb_sha256_of(record - VB_TRACE_LINK, VB_TRACE_LINK + VB_TRACE_PREFIX + n, record + VB_TRACE_PREFIX + n);
    b->len = start + VB_TRACE_PREFIX + n + VB_TRACE_LINK;
}

Test(trace, payloads_of_another_size_are_refused)
{
    for (int given = 0; given < 2; given++) {
        for (int by = -40; by <= 8; by++) {
            vb_trace_bytes b = started();
            vb_trace_ending end = {VB_TRACE_CLOSED, 0};
            vb_trace_token t = sample_token(0);
            size_t start = b.len;
            if (given) vb_trace_encode_token(&b, &t);
            else vb_trace_encode_end(&b, &end);
            if (by < (given ? -33 : -8)) {
                vb_trace_bytes_free(&b);
                continue;
            }
            resize_last(&b, start, by);
            if (by != 0) expect_refused(&b, "expected");
            vb_trace_bytes_free(&b);
        }
    }
}

Test(trace, long_texts_are_cut)
{
    vb_trace_bytes b = started();
    vb_trace_reader r;
    vb_err err = {0};
    vb_trace_token t = sample_token(0);
    t.text = (vb_trace_text){calloc(1, VB_TRACE_TOKEN_TEXT_MOST + 9), VB_TRACE_TOKEN_TEXT_MOST + 9};
    vb_trace_encode_token(&b, &t);
    cr_assert_eq(read_all(b.data, b.len, &r, &err), VB_OK, "%s", err.text);
    cr_assert_eq(r.tokens, 1);
    free((void *)(uintptr_t)t.text.data);
    vb_trace_bytes_free(&b);
}

/* --- the chain ---------------------------------------------------------------------------------------------- */

static void last_link(const vb_trace_header *h, int tokens, uint8_t out[32])
{
    vb_trace_bytes b = {0};
    vb_trace_encode_head(&b);
    vb_trace_encode_header(&b, h);
    for (int i = 0; i < tokens; i++) {
        vb_trace_token t = sample_token(i);
        vb_trace_encode_token(&b, &t);
    }
    memcpy(out, b.data + b.len - 32, 32);
    vb_trace_bytes_free(&b);
}

Test(trace, the_last_link_names_the_performance_and_not_its_circumstances)
{
    vb_trace_header h = sample_header();
    uint8_t one[32], other[32];
    last_link(&h, TOKENS, one);
    h.created_ns++;
    h.threads++;
    for (int i = 0; i < VB_TRACE_TEXTS; i++) h.texts[i] = text_of("another machine");
    last_link(&h, TOKENS, other);
    cr_assert_eq(memcmp(one, other, 32), 0);
    last_link(&h, TOKENS - 1, other);
    cr_assert_neq(memcmp(one, other, 32), 0);
    h.sampling.stream++;
    last_link(&h, TOKENS, other);
    cr_assert_neq(memcmp(one, other, 32), 0);
}

/* --- differences ---------------------------------------------------------------------------------------------- */

static vb_status diff(const vb_trace_bytes *a, const vb_trace_bytes *b, vb_diff *out)
{
    vb_trace_reader ra, rb;
    vb_err err = {0};
    vb_status s = vb_trace_reader_start(&ra, "a", a->data, a->len, &err);
    if (s == VB_OK) s = vb_trace_reader_start(&rb, "b", b->data, b->len, &err);
    return s < 0 ? s : vb_trace_diff_readers(&ra, &rb, out, &err);
}

/* The sample trace with its header and the token at `position` as `change` leaves them. */
static vb_trace_bytes changed(void (*change)(vb_trace_header *, vb_trace_token *), int position)
{
    vb_trace_bytes b = {0};
    vb_trace_header h = sample_header();
    vb_trace_token tokens[TOKENS];
    vb_trace_ending end = {VB_TRACE_ENDS, TOKENS};
    for (int i = 0; i < TOKENS; i++) tokens[i] = sample_token(i);
    change(&h, &tokens[position]);
    vb_trace_encode_head(&b);
    vb_trace_encode_header(&b, &h);
    for (int i = 0; i < TOKENS; i++) vb_trace_encode_token(&b, &tokens[i]);
    vb_trace_encode_end(&b, &end);
    return b;
}

static void expect_diff(void (*change)(vb_trace_header *, vb_trace_token *), int position, const char *field,
                        const char *b_text)
{
    size_t ends[TOKENS + 2];
    vb_diff d;
    vb_trace_bytes a = sample(TOKENS, ends), b = changed(change, position);
    vb_status s = diff(&a, &b, &d);
    if (field == NULL) {
        cr_assert_eq(s, VB_OK, "%s", d.field);
        cr_assert_eq(d.records, TOKENS + 2);
        cr_assert(d.differs == 0 && d.record == -1);
    } else {
        cr_assert_eq(s, VB_E_DIFFERS, "%s is not noticed", field);
        cr_assert_str_eq(d.field, field);
        cr_assert_not_null(strstr(d.b, b_text), "%s: %s", field, d.b);
        cr_assert_str_neq(d.a, d.b);
        int in_header = strcmp(field, "id") && strcmp(field, "text") && strcmp(field, "top") &&
                        strcmp(field, "logits") && strcmp(field, "type");
        cr_assert_eq(d.record, in_header ? 0 : position + 1, "%s", field);
        cr_assert_eq(d.position, in_header ? -1 : position, "%s", field);
    }
    vb_trace_bytes_free(&a);
    vb_trace_bytes_free(&b);
}

static void nothing(vb_trace_header *h, vb_trace_token *t) { (void)h, (void)t; }
static void circumstances(vb_trace_header *h, vb_trace_token *t)
{
    (void)t;
    h->threads = 99;
    h->created_ns = 1;
    h->texts[VB_TRACE_CPU] = text_of("another");
}
static void model(vb_trace_header *h, vb_trace_token *t) { (void)t, h->model[0] = 0xab; }
static void plan(vb_trace_header *h, vb_trace_token *t) { (void)t, h->plan[0] = 0xcd; }
static void kv(vb_trace_header *h, vb_trace_token *t) { (void)t, h->kv = VB_KV_F16; }
static void temperature(vb_trace_header *h, vb_trace_token *t) { (void)t, h->sampling.temperature = 0.7f; }
static void min_p(vb_trace_header *h, vb_trace_token *t) { (void)t, h->sampling.min_p = 0.050000004f; }
static void seed(vb_trace_header *h, vb_trace_token *t) { (void)t, h->sampling.seed = 12; }
static void id(vb_trace_header *h, vb_trace_token *t) { (void)h, t->id = 5555; }
static void text(vb_trace_header *h, vb_trace_token *t) { (void)h, t->text = text_of("other\n"); }
static void top(vb_trace_header *h, vb_trace_token *t) { (void)h, t->top[1].bits = 0x3f800001; }
static void logits(vb_trace_header *h, vb_trace_token *t) { (void)h, t->logits[15] = 0x77; }
static void given(vb_trace_header *h, vb_trace_token *t) 
{
    (void)h;
    t->chosen = 0;
    t->n_top = 0;
    memset(t->logits, 0, sizeof t->logits);
}

Test(trace, differences_are_found_and_named)
{
    expect_diff(nothing, 0, NULL, NULL);
    expect_diff(circumstances, 0, NULL, NULL);
    expect_diff(model, 0, "model", "ab0102");
    expect_diff(plan, 0, "plan", "cd0306");
    expect_diff(kv, 0, "kv", "f16");
    expect_diff(temperature, 0, "temperature", "3f333333");
    expect_diff(min_p, 0, "min_p", "3d4cccce");
    expect_diff(seed, 0, "seed", "12");
    expect_diff(id, 1, "id", "5555 \"");
    expect_diff(id, 4, "id", "5555 \"\\x1b[2J\"");
    expect_diff(text, 5, "text", "\"other\\x0a\"");
    expect_diff(top, 6, "top", "#2: id 7 logit 3f800001 (1.00000012)");
    expect_diff(logits, 7, "logits", "77");
    expect_diff(given, 7, "type", "given");
}

Test(trace, a_shorter_trace_differs_in_length_and_a_damaged_one_is_no_trace)
{
    size_t ends[TOKENS + 2];
    vb_trace_bytes a = sample(TOKENS, ends), b = sample(TOKENS, ends);
    vb_diff d;
    b.len = ends[5] + 20;
    cr_assert_eq(diff(&a, &b, &d), VB_E_DIFFERS);
    cr_assert_str_eq(d.field, "length");
    cr_assert_str_eq(d.a, "8 tokens");
    cr_assert_str_eq(d.b, "5 tokens, cut");
    cr_assert(d.position == 5 && d.record == 6);
    b.len = ends[TOKENS];
    cr_assert_eq(diff(&b, &a, &d), VB_E_DIFFERS, "only the end record is missing");
    cr_assert_str_eq(d.field, "length");
    cr_assert_eq(diff(&b, &b, &d), VB_OK, "cut alike");
    b.data[ends[7] + 14] ^= 4;
    cr_assert_eq(diff(&a, &b, &d), VB_E_FORMAT);
    vb_trace_bytes_free(&a);
    vb_trace_bytes_free(&b);
}

/* --- the file ---------------------------------------------------------------------------------------------- */

static void path_of(char *buf, size_t cap)
{
    snprintf(buf, cap, "/tmp/verbatim-unit-%d.trace", (int)getpid());
    unlink(buf);
}

/* Writes the sample trace record by record into `path`; returns the first failure. */
static vb_status write_file(const char *path, vb_err *err)
{
    vb_trace_writer w;
    vb_trace_header h = sample_header();
    vb_trace_ending end = {VB_TRACE_ENDS, TOKENS};
    vb_status s = vb_trace_writer_open(&w, path, err);
    if (s < 0) return s;
    vb_trace_encode_header(&w.pending, &h);
    s = vb_trace_writer_write(&w, err);
    if (s < 0) {
        vb_trace_writer_discard(&w);
        return s;
    }
    for (int i = 0; i < TOKENS && s == VB_OK; i++) {
        vb_trace_token t = sample_token(i);
        vb_trace_encode_token(&w.pending, &t);
        s = vb_trace_writer_write(&w, err);
    }
    if (s == VB_OK) {
        vb_trace_encode_end(&w.pending, &end);
        s = vb_trace_writer_write(&w, err);
    } else {
        cr_assert_eq(vb_trace_writer_write(&w, NULL), VB_E_IO, "a failed trace went on");
    }
    vb_status closed = vb_trace_writer_close(&w, 1, s < 0 ? NULL : err);
    return s < 0 ? s : closed;
}

Test(trace, a_file_is_what_was_encoded_and_is_never_overwritten)
{
    char path[64], *data;
    size_t ends[TOKENS + 2], size;
    vb_err err = {0};
    vb_trace_bytes b = sample(TOKENS, ends);
    path_of(path, sizeof path);
    cr_assert_eq(write_file(path, &err), VB_OK, "%s", err.text);
    cr_assert_eq(write_file(path, &err), VB_E_IO);
    cr_assert_not_null(strstr(err.text, "never overwritten"), "%s", err.text);
    cr_assert_eq(vb_file_read(path, 1 << 20, &data, &size, &err), VB_OK, "the refused trace removed the old one");
    cr_assert(size == b.len && memcmp(data, b.data, size) == 0);
    free(data);
    unlink(path);
    vb_trace_bytes_free(&b);
}

/* The file's size limit plays the full disk: the write that reaches it is short, the next one fails. */
Test(trace, a_full_disk_leaves_all_whole_records)
{
    char path[64];
    size_t ends[TOKENS + 2];
    vb_trace_bytes b = sample(TOKENS, ends);
    struct rlimit old, limit;
    path_of(path, sizeof path);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    for (size_t room = 0; room < b.len; room += 3) {
        vb_trace_file f;
        vb_err err = {0};
        vb_trace_record record;
        int more = 1, whole = 0;
        limit = (struct rlimit){room, old.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
        vb_status s = write_file(path, &err);
        setrlimit(RLIMIT_FSIZE, &old);
        cr_assert_eq(s, VB_E_IO, "room for %zu bytes: %d", room, s);
        cr_assert(strstr(err.text, path) && strstr(err.text, "File too large"), "%s", err.text);
        if (room < ends[0]) {
            cr_assert_neq(access(path, F_OK), 0, "room for %zu bytes: a trace without a header stayed", room);
            continue;
        }
        while (ends[whole + 1] <= room) whole++;
        cr_assert_eq(vb_trace_file_open(&f, path, &err), VB_OK, "%s", err.text);
        while (more) cr_assert_eq(vb_trace_next(&f.reader, &record, &more, &err), VB_OK, "%s", err.text);
        cr_assert_eq(f.reader.tokens, whole, "room for %zu bytes: %d tokens", room, f.reader.tokens);
        cr_assert_eq(f.reader.at, f.reader.size, "room for %zu bytes: part of a record stayed", room);
        vb_trace_file_close(&f);
        unlink(path);
    }
    vb_trace_bytes_free(&b);
}

/* --- show -------------------------------------------------------------------------------------------------- */

static char *shown(const uint8_t *data, size_t size, int json, vb_status *status)
{
    char *text = NULL;
    size_t len;
    vb_trace_reader r;
    vb_err err = {0};
    FILE *f = open_memstream(&text, &len);
    *status = vb_trace_reader_start(&r, "file", data, size, &err);
    if (*status == VB_OK) *status = vb_trace_show_reader(&r, f, json, &err);
    fclose(f);
    return text;
}

static void expect_lines(const char *text, int lines, const char *const *words)
{
    int n = 0;
    for (const char *c = text; *c; c++) {
        n += *c == '\n';
        cr_assert(*c == '\n' || (unsigned char)*c >= 0x20, "control character %d", *c);
    }
    cr_assert_eq(n, lines, "%d lines:\n%s", n, text);
    for (; *words; words++) cr_assert_not_null(strstr(text, *words), "expected %s in\n%s", *words, text);
}

Test(trace, show_prints_every_record)
{
    static const char *const json[] = {
        "\"seed\":\"18364758544493064720\"", "\"bits\":\"3f4ccccd\"", "\"text\":{\"bytes\":\"f09f\"}",
        "{\"value\":null,\"bits\":\"ff800000\",\"id\":7}", "\"record\":\"end\",\"reason\":\"end token\"", NULL};
    static const char *const plain[] = {"0.800000012 (3f4ccccd)", "\"\\x1b[2J\"", "2023-11-14T22:13:20Z",
                                        "103:41200003(10.0000029)", "end token, 8 tokens", NULL};
    static const char *const cut[] = {"the last 20 bytes are no whole record, 5 tokens", NULL};
    static const char *const cut_json[] = {"\"record\":\"cut\",\"dropped_bytes\":20,\"tokens\":5", NULL};
    size_t ends[TOKENS + 2];
    vb_trace_bytes b = sample(TOKENS, ends);
    int header_lines = 1 + VB_TRACE_FIELDS + VB_TRACE_TEXTS;
    for (int i = 0; i < 4; i++) {
        vb_status s;
        size_t size = i < 2 ? b.len : ends[5] + 20;
        char *text = shown(b.data, size, i & 1, &s);
        cr_assert_eq(s, VB_OK);
        expect_lines(text, (i & 1 ? 1 : header_lines + 1) + (i < 2 ? TOKENS : 5) + 1,
                     i == 0 ? plain : i == 1 ? json : i == 2 ? cut : cut_json);
        free(text);
    }
    vb_status s;
    char digest[65];
    char *whole = shown(b.data, b.len, 1, &s), *no_end = shown(b.data, ends[TOKENS], 1, &s);
    vb_hex(digest, b.data + ends[TOKENS] - 32, 32);
    cr_assert(strstr(whole, digest) && strstr(no_end, digest), "the digest is the last token's link");
    free(whole);
    free(no_end);
    b.data[ends[6] + 20] ^= 1;
    char *text = shown(b.data, b.len, 1, &s);
    cr_assert_eq(s, VB_E_FORMAT, "damage is an error");
    expect_lines(text, 7, (const char *const[]){"\"position\":5", NULL});
    free(text);
    vb_trace_bytes_free(&b);
}
