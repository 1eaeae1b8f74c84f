/* trace_v2.c - what version 2 of the trace format brought: parents, proofs, taps and signatures are read as they were
 * written, stand where they must, and let no changed bit through; the committed traces of all versions neither.
 */
#include "base/os.h"
#include "traces/read.h"
#include "traces/sign.h"
#include "traces/token.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GIVEN = 2, TOKENS = 4, WIDTH = 3 };

static const char model_path[] = "tests/golden/llama-gqa/model.gguf";

static vb_trace_text text_of(const char *s)
{
    return (vb_trace_text){(const uint8_t *)s, strlen(s)};
}

static vb_trace_header sample_header(void)
{
    vb_trace_header h = {.arithmetic_version = 1, .context = 64, .kv = VB_KV_F16, .top = 1, .parent_at = 3};
    h.taps = VB_TAPS_LAYERS;
    memset(h.parent, 0x5a, sizeof h.parent);
    return h;
}

static void put_tap(vb_trace_bytes *b, int position, int layer)
{
    float values[WIDTH] = {1.5f, -0.0f, (float)position};
    vb_trace_tap tap = {position, layer, WIDTH, text_of("l_out"), (const uint8_t *)values};
    vb_trace_encode_tap(b, &tap);
}

static void put_token(vb_trace_bytes *b, int position)
{
    vb_trace_token t = {.chosen = position >= GIVEN, .position = position, .id = 7, .text = text_of("x")};
    if (t.chosen) {
        memset(t.logits, 0x11, sizeof t.logits);
        memset(t.proof, 0x22, sizeof t.proof);
        t.n_top = 1;
        t.top[0] = (vb_trace_logit){7, 0x3f800000};
    }
    vb_trace_encode_token(b, &t);
}

static vb_trace_bytes started(const vb_trace_header *h)
{
    vb_trace_bytes b = {0};
    vb_trace_encode_head(&b);
    vb_trace_encode_header(&b, h);
    return b;
}

static size_t seal_at;

/* Header, tokens with two taps each but the last, end; unsigned. */
static vb_trace_bytes sample(void)
{
    vb_trace_header h = sample_header();
    vb_trace_bytes b = started(&h);
    vb_trace_ending end = {VB_TRACE_CLOSED, TOKENS};
    seal_at = b.len - 64;
    for (int i = 0; i < TOKENS; i++) {
        put_token(&b, i);
        for (int layer = -1; layer < 1 && i + 1 < TOKENS; layer++) put_tap(&b, i, layer);
    }
    vb_trace_encode_end(&b, &end);
    cr_assert(!b.failed);
    return b;
}

static vb_trace_key *new_key(void)
{
    static int number;
    char path[64], beside[80];
    vb_trace_key *key;
    vb_err err = {0};
    snprintf(path, sizeof path, "/tmp/verbatim-key-%d-%d", (int)getpid(), number++);
    snprintf(beside, sizeof beside, "%s.pub", path);
    cr_assert_eq(vb_trace_keygen(path, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_trace_key_open(&key, path, &err), VB_OK, "%s", err.text);
    unlink(path);
    unlink(beside);
    return key;
}

static void put_signature(vb_trace_bytes *b, const vb_trace_key *key)
{
    vb_trace_seal seal;
    cr_assert_eq(vb_trace_key_seal(key, vb_trace_bytes_link(b), b->data + seal_at, &seal, NULL), VB_OK);
    vb_trace_encode_seal(b, &seal);
}

static vb_status read_all(const uint8_t *data, size_t size, vb_trace_reader *r, vb_err *err)
{
    vb_trace_record record;
    int more = 1;
    vb_status s = vb_trace_reader_start(r, "file", data, size, err);
    while (s == VB_OK && more) s = vb_trace_next_any(r, &record, &more, err);
    return s;
}

static void expect_refused(vb_trace_bytes *b, const char *word)
{
    vb_trace_reader r;
    vb_err err = {0};
    cr_assert_eq(read_all(b->data, b->len, &r, &err), VB_E_FORMAT, "%s", word);
    cr_assert_not_null(strstr(err.text, word), "expected \"%s\" in \"%s\"", word, err.text);
    vb_trace_bytes_free(b);
}

Test(trace_v2, all_kinds_of_records_are_read)
{
    vb_trace_bytes b = sample();
    vb_trace_key *key = new_key();
    vb_trace_reader r;
    vb_trace_record record;
    vb_err err = {0};
    int more, taps = 0;
    put_signature(&b, key);
    cr_assert_eq(vb_trace_reader_start(&r, "file", b.data, b.len, &err), VB_OK, "%s", err.text);
    cr_assert(r.version == 2 && r.header.parent[31] == 0x5a && r.header.parent_at == 3 && r.header.taps == VB_TAPS_LAYERS);
    do {
        cr_assert_eq(vb_trace_next_any(&r, &record, &more, &err), VB_OK, "%s", err.text);
        if (!more || record.type != VB_TRACE_TAP) continue;
        const vb_trace_tap *t = &record.as.tap;
        cr_assert(t->position == r.tokens - 1 && t->layer == taps % 2 - 1 && t->width == WIDTH);
        cr_assert(vb_trace_u32(t->values) == 0x3fc00000 && vb_trace_u32(t->values + 4) == 0x80000000);
        taps++;
    } while (more);
    cr_assert(taps == 2 * (TOKENS - 1) && r.taps == taps && r.ended && r.is_signed && r.at == r.size);
    cr_assert_eq(r.records, 1 + TOKENS + 1);
    vb_trace_key_close(key);
    vb_trace_bytes_free(&b);
}

static int64_t flip_all(uint8_t *data, size_t size)
{
    for (size_t bit = 0; bit < size * 8; bit++) {
        vb_trace_reader r;
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        vb_status s = read_all(data, size, &r, NULL);
        cr_assert(s == VB_E_FORMAT || (s == VB_E_UNSUPPORTED && bit / 8 == 8) || (s == VB_E_UNSUPPORTED && bit / 8 < 12),
                  "bit %zu: %d", bit, s);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    return (int64_t)size * 8;
}

Test(trace_v2, every_flipped_bit_is_noticed)
{
    static const char *const fixtures[] = {"v1/greedy", "v1/sampled", "v2/greedy", "v2/sampled"};
    vb_trace_bytes b = sample();
    vb_trace_key *key = new_key();
    put_signature(&b, key);
    int64_t flips = flip_all(b.data, b.len);
    for (size_t i = 0; i < sizeof fixtures / sizeof fixtures[0]; i++) {
        char path[80];
        vb_map map;
        snprintf(path, sizeof path, "tests/traces/%s.trace", fixtures[i]);
        cr_assert_eq(vb_map_open(&map, path, NULL), VB_OK, "%s", path);
        uint8_t *copy = malloc((size_t)map.size);
        memcpy(copy, map.data, (size_t)map.size);
        flips += flip_all(copy, (size_t)map.size);
        free(copy);
        vb_map_close(&map);
    }
    cr_assert_gt(flips, 100000);
    vb_trace_key_close(key);
    vb_trace_bytes_free(&b);
}

/* --- order ------------------------------------------------------------------------------------------------- */

Test(trace_v2, taps_stand_behind_their_token)
{
    vb_trace_header h = sample_header(), plain = sample_header();
    plain.taps = VB_TAPS_NONE;
    vb_trace_bytes b = started(&h);
    put_tap(&b, 0, 0);
    expect_refused(&b, "expected a tap of position -1, found one of 0");
    b = started(&h);
    put_token(&b, 0);
    put_tap(&b, 1, 0);
    expect_refused(&b, "expected a tap of position 0, found one of 1");
    b = started(&plain);
    put_token(&b, 0);
    put_tap(&b, 0, 0);
    expect_refused(&b, "expected no tap");
    b = started(&h);
    put_token(&b, 0);
    put_tap(&b, 0, -2);
    expect_refused(&b, "layer + 1: expected");
}

Test(trace_v2, the_signature_is_the_last_and_of_this_trace)
{
    vb_trace_key *key = new_key();
    vb_trace_header h = sample_header();
    vb_trace_bytes b = started(&h);
    seal_at = b.len - 64;
    put_token(&b, 0);
    put_signature(&b, key);
    expect_refused(&b, "expected a token or the end, found type 7");
    b = sample();
    put_signature(&b, key);
    put_signature(&b, key);
    expect_refused(&b, "expected the signature to be the last");
    b = sample();
    put_signature(&b, key);
    put_token(&b, TOKENS);
    expect_refused(&b, "expected the signature to be the last");
    b = sample();
    put_tap(&b, TOKENS - 1, 0);
    expect_refused(&b, "expected the end record to be the last");
    b = sample();
    seal_at = 0; /* signed with other information */
    put_signature(&b, key);
    expect_refused(&b, "signature: expected one of this trace");
    vb_trace_key_close(key);
}

/* With such a key a signature of zeros would fit one message in four. */
Test(trace_v2, keys_without_an_owner_sign_nothing)
{
    for (int i = 0; i < 64; i++) {
        vb_trace_seal seal = {.key = {(uint8_t)(i % 2)}};
        uint8_t link[32] = {(uint8_t)i}, info[32] = {0};
        cr_assert_not(vb_trace_seal_fits(&seal, link, info), "message %d", i);
    }
}

Test(trace_v2, fields_that_contradict_are_refused)
{
    vb_trace_header h = sample_header();
    h.parent_at = 0;
    vb_trace_bytes b = started(&h);
    expect_refused(&b, "parent_at: expected 1 to");
    h = sample_header();
    memset(h.parent, 0, sizeof h.parent);
    b = started(&h);
    expect_refused(&b, "parent_at: expected 0 to 0, found 3");
    h = sample_header();
    h.taps = 3;
    b = started(&h);
    expect_refused(&b, "taps: expected 0 to 2, found 3");
    h = sample_header();
    b = started(&h);
    vb_trace_token t = {.text = text_of("x"), .proof = {1}};
    vb_trace_encode_token(&b, &t);
    expect_refused(&b, "logits: expected zeros for a given token");
}

/* --- sessions ---------------------------------------------------------------------------------------------- */

static const vb_token ids[] = {1, 20, 300, 41, 5, 9, 17, 33, 101, 7};
enum { IDS = sizeof ids / sizeof ids[0], PROMPT = 4 };

/* Records a prompt, a choice, given tokens evaluated `batch` at a time, and two choices; gives the digest. */
static void record(const vb_trace_opts *opts, int batch, uint8_t digest[32])
{
    vb_model *model;
    vb_session *session;
    vb_trace *trace;
    vb_err err = {0};
    char path[64];
    snprintf(path, sizeof path, "/tmp/verbatim-v2-%d.trace", (int)getpid());
    unlink(path);
    cr_assert_eq(vb_model_open(&model, model_path, NULL, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_session_open(&session, model, NULL, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_session_sync(session, ids, PROMPT, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_trace_open(&trace, path, session, opts, &err), VB_OK, "%s", err.text);
    vb_generation how = {.max_tokens = 1, .trace = trace};
    cr_assert_eq(vb_generate(session, &how, NULL, &err), VB_OK, "%s", err.text);
    for (int i = PROMPT; i < IDS; i += batch) {
        int n = IDS - i < batch ? IDS - i : batch;
        float *rows = malloc((size_t)n * 384 * sizeof *rows);
        vb_work work = {.session = session, .ids = ids + i, .n = n, .logits = rows, .want = batch == 4 ? n : 0};
        cr_assert_eq(vb_eval(&work, 1, &err), VB_OK, "%s", err.text);
        free(rows);
    }
    how.max_tokens = 2;
    cr_assert_eq(vb_generate(session, &how, NULL, &err), VB_OK, "%s", err.text);
    vb_trace_digest(trace, digest);
    cr_assert_eq(vb_trace_close(trace, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_trace_replay(path, NULL, NULL, NULL, &err), VB_OK, "%s", err.text);
    vb_session_close(session);
    vb_model_close(model);
    unlink(path);
}

Test(trace_v2, taps_do_not_depend_on_the_batch)
{
    for (int taps = VB_TAPS_LAYERS; taps <= VB_TAPS_ALL; taps++) {
        uint8_t first[32], other[32];
        vb_trace_opts opts = {.taps = taps};
        record(&opts, 1, first);
        for (int batch = 2; batch <= 6; batch += 2) {
            record(&opts, batch, other);
            cr_assert_eq(memcmp(first, other, sizeof first), 0, "taps %d, batch %d", taps, batch);
        }
    }
}

Test(trace_v2, the_proof_depends_on_the_link)
{
    float logits[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint8_t link[32] = {0};
    vb_trace_token a = {0}, b = {0};
    vb_trace_token_proof(&a, logits, 8, link);
    link[8] = 1; /* the seed is the first 8 bytes */
    vb_trace_token_proof(&b, logits, 8, link);
    cr_assert_eq(memcmp(a.proof, b.proof, sizeof a.proof), 0);
    link[7] = 1;
    vb_trace_token_proof(&b, logits, 8, link);
    cr_assert_neq(memcmp(a.proof, b.proof, sizeof a.proof), 0);
    link[7] = 0;
    logits[3] = 4.0000005f;
    vb_trace_token_proof(&b, logits, 8, link);
    cr_assert_neq(memcmp(a.proof, b.proof, sizeof a.proof), 0);
}

static void expect_no_trace(vb_session *session, const vb_trace_opts *opts, vb_status want)
{
    vb_trace *trace;
    vb_err err = {0};
    static const char path[] = "/tmp/verbatim-v2-none.trace";
    cr_assert_eq(vb_trace_open(&trace, path, session, opts, &err), want, "%s", err.text);
    cr_assert(trace == NULL && access(path, F_OK) != 0);
}

Test(trace_v2, options_that_contradict_are_refused)
{
    vb_model *model;
    vb_session *session;
    vb_err err = {0};
    vb_trace_opts wrong[] = {{.taps = 3}, {.taps = -1}, {.parent_at = 1}, {.parent = {1}}, {.parent = {1}, .parent_at = -1}};
    vb_trace_opts no_key = {.sign = "/tmp/none/key"}, not_a_key = {.sign = model_path};
    cr_assert_eq(vb_model_open(&model, model_path, NULL, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_session_open(&session, model, NULL, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_session_sync(session, ids, PROMPT, &err), VB_OK, "%s", err.text);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) expect_no_trace(session, &wrong[i], VB_E_ARGUMENT);
    expect_no_trace(session, &no_key, VB_E_NOT_FOUND);
    expect_no_trace(session, &not_a_key, VB_E_FORMAT);
    vb_session_close(session);
    vb_model_close(model);
}

Test(trace_v2, keys_are_private_and_never_overwritten)
{
    char path[64], beside[80], hex[65];
    uint8_t a[32], b[32];
    struct stat st;
    vb_err err = {0};
    snprintf(path, sizeof path, "/tmp/verbatim-key-%d", (int)getpid());
    snprintf(beside, sizeof beside, "%s.pub", path);
    cr_assert_eq(vb_trace_keygen(path, &err), VB_OK, "%s", err.text);
    cr_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    cr_assert_eq(vb_trace_keygen(path, &err), VB_E_IO);
    unlink(path);
    cr_assert_eq(vb_trace_keygen(path, &err), VB_E_IO, "the public file is still there");
    cr_assert_neq(access(path, F_OK), 0, "a private key without its public one");
    cr_assert_eq(vb_trace_public_key(beside, a, &err), VB_OK, "%s", err.text);
    for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", a[i]);
    cr_assert_eq(vb_trace_public_key(hex, b, &err), VB_OK);
    cr_assert_eq(memcmp(a, b, 32), 0);
    cr_assert_eq(vb_trace_public_key(model_path, b, &err), VB_E_FORMAT);
    unlink(beside);
}
