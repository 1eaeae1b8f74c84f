/* tokenizer.c - vocabularies made piece by piece: encoding and decoding by hand-checked answers, malformed files, long
 * inputs; word splitters beside PCRE2 running the published patterns; and, where $VB_SMOLLM2 and $VB_GEMMA3 name model
 * files, every case of tests/golden/tokenizer.
 */
#include "text/split.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

#include "tests/random.h"
#include "tests/unit/gguf_writer.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* --- making vocabularies ------------------------------------------------------------------------------------------ */

enum { NORMAL = 1, UNKNOWN, CONTROL, USER, UNUSED, BYTE, MOST = 512 };

typedef struct {
    const char *model, *pre;
    char text[MOST][24];
    int kind[MOST];
    float score[MOST];
    int n;
    const char *merges[32]; /* NULL at the end */
    int scores, kinds;      /* how many items these arrays get: n; -1: no such key */
    int bos, eos, add_bos, add_eos, prefix; /* -1: no such key */
} vocabulary;

static int add(vocabulary *v, const char *text, int kind, float score)
{
    snprintf(v->text[v->n], sizeof v->text[0], "%s", text);
    v->kind[v->n] = kind;
    v->score[v->n] = score;
    v->scores = v->kinds = v->n + 1;
    return v->n++;
}

static vocabulary *start(const char *model, const char *pre)
{
    vocabulary *v = calloc(1, sizeof *v);
    *v = (vocabulary){.model = model, .pre = pre, .bos = -1, .eos = -1, .add_bos = -1, .add_eos = -1, .prefix = -1};
    return v;
}

/* Tokens 0..255 are the bytes in their printable form. */
static vocabulary *bpe(const char *pre)
{
    vocabulary *v = start("gpt2", pre);
    for (int byte = 0, other = 256; byte < 256; byte++) {
        char text[8] = {0};
        int itself = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
        vb_utf8_write(text, (uint32_t)(itself ? byte : other));
        other += !itself;
        add(v, text, NORMAL, 0);
    }
    return v;
}

/* Tokens 0..258: <unk>, <s>, </s>, bytes. */
static vocabulary *spm(void)
{
    vocabulary *v = start("llama", "default");
    add(v, "<unk>", UNKNOWN, 0);
    add(v, "<s>", CONTROL, 0);
    add(v, "</s>", CONTROL, 0);
    for (int byte = 0; byte < 256; byte++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", (unsigned)byte);
        add(v, text, BYTE, 0);
    }
    return v;
}

static void put_role(writer *w, const char *key, int value, uint64_t *keys)
{
    if (value < 0) return;
    put_key_u32(w, key, (uint32_t)value);
    ++*keys;
}

static void put_flag(writer *w, const char *key, int value, uint64_t *keys)
{
    uint8_t byte = (uint8_t)value;
    if (value < 0) return;
    put_key(w, key, 7, &byte, 1);
    ++*keys;
}

static void put_arrays(writer *w, const vocabulary *v, uint64_t *keys)
{
    uint64_t merges = 0;
    put_key_array(w, "tokenizer.ggml.tokens", 8, (uint64_t)v->n);
    for (int i = 0; i < v->n; i++) put_text(w, v->text[i]);
    *keys += 1;
    if (v->kinds >= 0) {
        put_key_array(w, "tokenizer.ggml.token_type", 5, (uint64_t)v->kinds);
        put(w, v->kind, 4 * (size_t)v->kinds);
        *keys += 1;
    }
    if (v->scores >= 0) {
        put_key_array(w, "tokenizer.ggml.scores", 6, (uint64_t)v->scores);
        put(w, v->score, 4 * (size_t)v->scores);
        *keys += 1;
    }
    while (v->merges[merges] != NULL) merges++;
    if (strcmp(v->model, "gpt2") != 0 && strcmp(v->model, "gemma4") != 0) return;
    put_key_array(w, "tokenizer.ggml.merges", 8, merges);
    for (uint64_t i = 0; i < merges; i++) put_text(w, v->merges[i]);
    *keys += 1;
}

typedef struct {
    writer bytes;
    vb_gguf *g;
    vb_tokenizer *t;
    vb_err err;
    vb_status status;
} opened;

/* Frees the vocabulary. */
static opened open_it(vocabulary *v)
{
    opened o = {0};
    uint64_t keys = 1;
    put_header(&o.bytes, 3, 0, 0);
    put_key_text(&o.bytes, "tokenizer.ggml.model", v->model);
    if (v->pre != NULL) put_key_text(&o.bytes, "tokenizer.ggml.pre", v->pre);
    keys += v->pre != NULL;
    put_arrays(&o.bytes, v, &keys);
    put_role(&o.bytes, "tokenizer.ggml.bos_token_id", v->bos, &keys);
    put_role(&o.bytes, "tokenizer.ggml.eos_token_id", v->eos, &keys);
    put_flag(&o.bytes, "tokenizer.ggml.add_bos_token", v->add_bos, &keys);
    put_flag(&o.bytes, "tokenizer.ggml.add_eos_token", v->add_eos, &keys);
    put_flag(&o.bytes, "tokenizer.ggml.add_space_prefix", v->prefix, &keys);
    memcpy(o.bytes.data + 16, &keys, 8);
    put_padding(&o.bytes, 32);
    cr_assert_eq(vb_gguf_open_memory(&o.g, o.bytes.data, o.bytes.len, "tiny", &o.err), VB_OK, "%s", o.err.text);
    o.status = vb_tokenizer_open(&o.t, o.g, &o.err);
    cr_assert((o.status == VB_OK) == (o.t != NULL));
    free(v);
    return o;
}

static opened open_good(vocabulary *v)
{
    opened o = open_it(v);
    cr_assert_eq(o.status, VB_OK, "%s", o.err.text);
    return o;
}

static void close_it(opened *o)
{
    vb_tokenizer_close(o->t);
    vb_gguf_close(o->g);
    free(o->bytes.data);
}

/* `expected`: ids with a space between them. */
static void expect_ids_of(const opened *o, const char *text, size_t len, int flags, const char *expected)
{
    vb_err err = {0};
    vb_token ids[256];
    char found[1024] = "";
    int64_t n = vb_tokenizer_encode(o->t, text, len, flags, ids, 256, &err);
    cr_assert(n >= 0 && n <= 256, "%s: %lld %s", text, (long long)n, err.text);
    for (int64_t i = 0, at = 0; i < n; i++)
        at += snprintf(found + at, sizeof found - (size_t)at, i == 0 ? "%d" : " %d", ids[i]);
    cr_expect_str_eq(found, expected, "\"%s\", flags %d: expected %s, found %s", text, flags, expected, found);
}

static void expect_ids(const opened *o, const char *text, int flags, const char *expected)
{
    expect_ids_of(o, text, strlen(text), flags, expected);
}

static void expect_text(const opened *o, const vb_token *ids, size_t n, int special, const char *expected)
{
    vb_err err = {0};
    char text[256];
    int64_t len = vb_tokenizer_decode(o->t, ids, n, special, text, sizeof text, &err);
    cr_assert(len >= 0 && len <= (int64_t)sizeof text, "%s", err.text);
    cr_expect(len == (int64_t)strlen(expected) && memcmp(text, expected, (size_t)len) == 0,
              "expected \"%s\", found \"%.*s\"", expected, (int)len, text);
}

static void expect_refusal(vocabulary *v, vb_status code, const char *part)
{
    opened o = open_it(v);
    cr_expect_eq(o.status, code, "%s: expected status %d, found %d", part, code, o.status);
    cr_expect(o.err.code == code && strstr(o.err.text, part) != NULL, "expected %s, found %s", part, o.err.text);
    close_it(&o);
}

/* --- byte-level BPE ----------------------------------------------------------------------------------------------- */

Test(tokenizer, merges_go_by_rank_then_from_the_left)
{
    vocabulary *v = bpe("gpt-2");
    add(v, "ab", NORMAL, 0);  /* 256 */
    add(v, "bc", NORMAL, 0);  /* 257 */
    add(v, "aa", NORMAL, 0);  /* 258 */
    add(v, "abc", NORMAL, 0); /* 259 */
    v->merges[0] = "b c";
    v->merges[1] = "a b";
    v->merges[2] = "a a";
    v->merges[3] = "a bc";
    opened o = open_good(v);
    expect_ids(&o, "abc", 0, "259");
    expect_ids(&o, "ab", 0, "256");
    expect_ids(&o, "aaa", 0, "258 97");
    expect_ids(&o, "aaabc", 0, "258 259");
    expect_ids(&o, "abab", 0, "256 256");
    expect_ids(&o, "", 0, "");
    close_it(&o);
}

Test(tokenizer, merges_may_pass_through_texts_that_are_no_tokens)
{
    vocabulary *v = bpe("gpt-2");
    add(v, "xyz", NORMAL, 0); /* 256 */
    v->merges[0] = "x y";
    v->merges[1] = "xy z";
    v->merges[2] = "q nonsense";
    v->merges[3] = "lonely";
    v->merges[4] = "x y";
    opened o = open_good(v);
    expect_ids(&o, "xyz", 0, "256");
    expect_ids(&o, "xy", 0, "120 121"); /* falls apart into its bytes */
    close_it(&o);
}

Test(tokenizer, whole_words_skip_the_merges)
{
    vocabulary *v = bpe("llama-bpe");
    add(v, "hug", NORMAL, 0);
    v->bos = add(v, "<s>", CONTROL, 0);
    opened o = open_good(v);
    expect_ids(&o, "hug", 0, "256");
    expect_ids(&o, "hugs", 0, "104 117 103 115");
    expect_ids(&o, "hug", VB_ADD_SPECIAL, "257 256"); /* this family adds BOS unless told otherwise */
    close_it(&o);
}

Test(tokenizer, invalid_utf8_is_replaced_before_splitting)
{
    opened o = open_good(bpe("gpt-2"));
    vb_err err = {0};
    expect_ids(&o, "\xff\xfe", 0, "239 191 189 239 191 189");
    expect_ids(&o, "\xe2\x82", 0, "239 191 189 239 191 189");
    expect_ids(&o, "\xc0\xaf", 0, "47");
    expect_ids(&o, "\xed\xa0\x80", 0, "237 160 128");
    expect_ids_of(&o, "a\0b", 3, 0, "97 0 98");
    cr_expect_eq(vb_tokenizer_encode(o.t, "ab\xf5\x80\x80\x80", 6, 0, NULL, 0, &err), VB_E_FORMAT);
    cr_expect(err.code == VB_E_FORMAT && strstr(err.text, "U+10FFFF") != NULL, "%s", err.text);
    close_it(&o);
}

Test(tokenizer, bytes_come_back)
{
    opened o = open_good(bpe("smollm"));
    for (int byte = 0; byte < 256; byte++) {
        char piece[8];
        cr_assert_eq(vb_tokenizer_piece(o.t, byte, piece, sizeof piece), 1);
        cr_expect_eq((uint8_t)piece[0], byte);
    }
    expect_text(&o, (vb_token[]){104, 105, 32, 33}, 4, 0, "hi !");
    close_it(&o);
}

Test(tokenizer, some_vocabularies_close_up_spaces)
{
    opened o = open_good(bpe("gpt-2"));
    vb_token ids[64];
    const char *text = "a , b ! it 's we 're I 'll x ' y .";
    int64_t n = vb_tokenizer_encode(o.t, text, strlen(text), 0, ids, 64, NULL);
    cr_assert_eq(n, (int64_t)strlen(text));
    expect_text(&o, ids, (size_t)n, 0, "a, b! it's we're I 'll x'y.");
    close_it(&o);
}

/* --- SentencePiece ------------------------------------------------------------------------------------------------ */

static vocabulary *small_spm(void)
{
    vocabulary *v = spm();
    add(v, "\u2581", NORMAL, -1);         /* 259 */
    add(v, "a", NORMAL, -2);              /* 260 */
    add(v, "b", NORMAL, -3);              /* 261 */
    add(v, "ab", NORMAL, -6);             /* 262 */
    add(v, "\u2581a", NORMAL, -5);        /* 263 */
    add(v, "ba", NORMAL, -4);             /* 264 */
    add(v, "\u2581\u2581", NORMAL, -0.5); /* 265 */
    return v;
}

Test(tokenizer, the_best_score_joins_first)
{
    vocabulary *v = small_spm();
    v->prefix = 0;
    opened o = open_good(v);
    expect_ids(&o, "aba", 0, "260 264");
    expect_ids(&o, "ab", 0, "262");
    expect_ids(&o, " ab", 0, "263 261");
    expect_ids(&o, "ab ab", 0, "262 263 261");
    expect_ids(&o, "   ", 0, "265 259");
    close_it(&o);
}

Test(tokenizer, characters_outside_the_vocabulary_become_bytes)
{
    vocabulary *v = small_spm();
    v->prefix = v->add_bos = 0;
    opened o = open_good(v);
    expect_ids(&o, "\u00e9", 0, "198 172");
    expect_ids(&o, "\xff\xc0\xaf", 0, "258 195 178");
    expect_ids(&o, "\xf0", VB_ADD_SPECIAL, "243");
    expect_ids(&o, "\xf5\x80\x80\x80", 0, "248 131 131 131");
    expect_text(&o, (vb_token[]){258, 198, 172}, 3, 0, "\xff\u00e9");
    close_it(&o);
}

Test(tokenizer, a_space_stands_before_text_that_follows_nothing)
{
    opened o = open_good(small_spm());
    expect_ids(&o, "a", 0, "263");
    expect_ids(&o, "a", VB_ADD_SPECIAL, "1 263");
    expect_ids(&o, "", VB_ADD_SPECIAL, "1");
    expect_ids(&o, "<s>a</s>b", VB_ADD_SPECIAL | VB_PARSE_SPECIAL, "1 1 263 2 259 261");
    expect_text(&o, (vb_token[]){263, 263}, 2, 0, "a a");
    expect_text(&o, (vb_token[]){1, 263}, 2, 0, " a");
    expect_text(&o, (vb_token[]){1, 263}, 2, 1, "<s> a");
    close_it(&o);
}

Test(tokenizer, a_missing_byte_token_is_an_error)
{
    vocabulary *v = start("llama", NULL);
    add(v, "a", NORMAL, 0);
    vb_err err = {0};
    opened o = open_good(v);
    cr_expect_lt(vb_tokenizer_encode(o.t, "b", 1, 0, NULL, 0, &err), 0);
    cr_expect_neq(err.text[0], 0);
    close_it(&o);
}

/* --- characters as letters, words, unigrams ----------------------------------------------------------------------- */

Test(tokenizer, characters_merge_over_signs_of_spaces)
{
    vocabulary *v = spm(); /* 0..258: three special ones and the bytes */
    v->model = "gemma4";
    v->bos = 1;
    v->eos = 2;
    static const char *const text[] = {"\u2581", "a", "b", "\u2581a", "a\u2581", "\u2581\u2581", "\n", "\n\n"};
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) add(v, text[i], NORMAL, 0); /* 259.. */
    v->merges[0] = "a \u2581";
    v->merges[1] = "\u2581 a";
    v->merges[2] = "\u2581 \u2581";
    opened o = open_good(v);
    expect_ids(&o, "a a", 0, "263 260");
    expect_ids(&o, "b a", 0, "261 262");
    expect_ids(&o, "   b", 0, "264 259 261");
    expect_ids(&o, "a\n\nb", 0, "260 266 261");
    expect_ids(&o, "\u00e9", VB_ADD_SPECIAL, "1 198 172");
    expect_text(&o, (vb_token[]){262, 198, 172}, 3, 0, " a\u00e9");
    close_it(&o);
}

Test(tokenizer, words_are_cut_into_their_longest_pieces)
{
    vocabulary *v = start("bert", "bert-bge");
    static const char *const text[] = {"[UNK]", "[CLS]", "[SEP]", "\u2581un", "\u2581unable", "related", "re",
                                       "\u2581,", "\u2581e", "\u2581\u4e2d", "lated"};
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) add(v, text[i], i < 3 ? CONTROL : NORMAL, 0);
    opened o = open_it(v);
    cr_assert_eq(o.status, VB_OK, "%s", o.err.text);
    expect_ids(&o, "UnRelated", 0, "3 5");
    expect_ids(&o, "un,\tunable \u00c9 e\u0301\u4e2d\x01", 0, "3 7 4 8 8 9");
    cr_expect_eq(vb_tokenizer_encode(o.t, "unrelate", 8, 0, NULL, 0, &o.err), VB_E_FORMAT); /* no unknown token */
    close_it(&o);
}

/* --- special tokens ----------------------------------------------------------------------------------------------- */

Test(tokenizer, control_tokens_are_text_unless_asked_for)
{
    vocabulary *v = bpe("gpt-2");
    v->bos = add(v, "<|a|>", CONTROL, 0); /* 256 */
    v->eos = add(v, "<|b|>", CONTROL, 0); /* 257 */
    add(v, "<u>", USER, 0);               /* 258 */
    add(v, "<u><u>", USER, 0);            /* 259 */
    v->add_bos = v->add_eos = 1;
    opened o = open_good(v);
    expect_ids(&o, "<|a|>", 0, "60 124 97 124 62");
    expect_ids(&o, "x<|a|>y", VB_PARSE_SPECIAL, "120 256 121");
    expect_ids(&o, "x<u>y", 0, "120 258 121");
    expect_ids(&o, "<u><u><u>", 0, "259 258");
    expect_ids(&o, "<|a|>", VB_PARSE_SPECIAL | VB_ADD_SPECIAL, "256 256 257"); /* a second BOS */
    expect_text(&o, (vb_token[]){256, 120, 258, 257}, 4, 0, "x<u>");
    expect_text(&o, (vb_token[]){256, 120, 258, 257}, 4, 1, "<|a|>x<u><|b|>");
    close_it(&o);
}

Test(tokenizer, longer_special_tokens_win_wherever_they_stand)
{
    vocabulary *v = bpe("gpt-2");
    add(v, "ab", USER, 0);   /* 256 */
    add(v, "bcd", USER, 0);  /* 257 */
    add(v, "dd", USER, 0);   /* 258 */
    opened o = open_good(v);
    expect_ids(&o, "abcd", 0, "97 257");
    expect_ids(&o, "abc", 0, "256 99");
    expect_ids(&o, "ddddd", 0, "258 258 100");
    expect_ids(&o, "abcddd", 0, "97 257 258");
    close_it(&o);
}

Test(tokenizer, roles_by_key_and_by_text)
{
    vocabulary *v = bpe("gpt-2");
    v->bos = 1000; /* no such token */
    v->eos = add(v, "END", NORMAL, 0);          /* 256 */
    int turn = add(v, "<|im_end|>", NORMAL, 0); /* counts as control all the same */
    int gap = add(v, "<fim_pad>", NORMAL, 0); /* so does this, and ends a text */
    int user = add(v, "user", USER, 0);
    int unused = add(v, "unused", UNUSED, 0);
    opened o = open_good(v);
    cr_expect_eq(vb_tokenizer_size(o.t), 261);
    cr_expect_eq(vb_tokenizer_eos(o.t), 256);
    cr_expect(vb_tokenizer_ends(o.t, 256) && vb_tokenizer_ends(o.t, turn) && vb_tokenizer_ends(o.t, gap));
    cr_expect(!vb_tokenizer_ends(o.t, user) && !vb_tokenizer_ends(o.t, -1) && !vb_tokenizer_ends(o.t, 261));
    cr_expect_eq(vb_tokenizer_kind_of(o.t, turn), VB_TOKEN_CONTROL);
    cr_expect_eq(vb_tokenizer_kind_of(o.t, user), VB_TOKEN_USER_DEFINED);
    cr_expect_eq(vb_tokenizer_kind_of(o.t, unused), VB_TOKEN_UNUSED);
    cr_expect_eq(vb_tokenizer_kind_of(o.t, 65), VB_TOKEN_NORMAL);
    cr_expect_eq(vb_tokenizer_find(o.t, "END", 3), 256);
    cr_expect_eq(vb_tokenizer_find(o.t, "EN", 2), -1);
    close_it(&o);
}

/* --- callers' mistakes, sizes, digests ---------------------------------------------------------------------------- */

Test(tokenizer, counts_beyond_the_room_and_ids_that_do_not_exist)
{
    opened o = open_good(bpe("gpt-2"));
    vb_err err = {0};
    vb_token ids[3] = {-7, -7, -7};
    char text[3] = "zz";
    cr_expect_eq(vb_tokenizer_encode(o.t, "abcd", 4, 0, ids, 2, &err), 4);
    cr_expect(ids[0] == 97 && ids[1] == 98 && ids[2] == -7);
    cr_expect_eq(vb_tokenizer_decode(o.t, (vb_token[]){97, 98, 99}, 3, 0, text, 1, &err), 3);
    cr_expect_str_eq(text, "az");
    cr_expect_eq(vb_tokenizer_decode(o.t, (vb_token[]){97, 256}, 2, 0, text, 2, &err), VB_E_ARGUMENT);
    cr_expect_eq(vb_tokenizer_decode(o.t, (vb_token[]){-1}, 1, 0, text, 2, &err), VB_E_ARGUMENT);
    cr_expect_eq(vb_tokenizer_piece(o.t, 256, text, 2), VB_E_ARGUMENT);
    cr_expect_eq(vb_tokenizer_piece(o.t, -1, text, 2), VB_E_ARGUMENT);
    close_it(&o);
}

static void digest_of(vocabulary *v, uint8_t out[32])
{
    opened o = open_good(v);
    vb_tokenizer_digest(o.t, out);
    close_it(&o);
}

Test(tokenizer, the_digest_sees_all_that_decides)
{
    uint8_t a[32], b[32];
    digest_of(small_spm(), a);
    digest_of(small_spm(), b);
    cr_expect_eq(memcmp(a, b, 32), 0);
    for (int change = 0; change < 5; change++) {
        vocabulary *v = small_spm();
        if (change == 0) v->score[260] = -2.5f;
        if (change == 1) v->kind[260] = USER;
        if (change == 2) v->text[260][0] = 'c';
        if (change == 3) v->add_bos = 0;
        if (change == 4) v->prefix = 0;
        digest_of(v, b);
        cr_expect_neq(memcmp(a, b, 32), 0, "change %d", change);
    }
}

Test(tokenizer, malformed_vocabularies)
{
    vocabulary *v = start("rwkv", "default");
    add(v, "a", NORMAL, 0);
    expect_refusal(v, VB_E_UNSUPPORTED, "rwkv");
    v = bpe("no-such-pattern");
    expect_refusal(v, VB_E_UNSUPPORTED, "no-such-pattern");
    v = start("llama", NULL);
    expect_refusal(v, VB_E_FORMAT, "tokenizer.ggml.tokens");
    v = small_spm();
    v->scores = 3;
    expect_refusal(v, VB_E_FORMAT, "tokenizer.ggml.scores");
    v = small_spm();
    v->kinds = 3;
    expect_refusal(v, VB_E_FORMAT, "tokenizer.ggml.token_type");
    v = small_spm();
    add(v, "ab", NORMAL, 0);
    expect_refusal(v, VB_E_FORMAT, "tokenizer.ggml.tokens");
}

Test(tokenizer, odd_but_good_vocabularies)
{
    vocabulary *v = small_spm();
    v->scores = v->kinds = -1;
    v->text[260][0] = 0; /* an empty text gets a name of its own */
    opened o = open_good(v);
    cr_expect_eq(vb_tokenizer_find(o.t, "[EMPTY_260]", 11), 260);
    close_it(&o);
    v = bpe(NULL); /* no name: split in the default way */
    o = open_good(v);
    expect_ids(&o, "ab", 0, "97 98");
    close_it(&o);
}

/* Whatever a text consists of, time grows with its length. */
static void expect_fast(const char *pre, const char *unit, size_t len)
{
    vocabulary *v = pre == NULL ? small_spm() : bpe(pre);
    add(v, "  ", USER, 0);
    v->merges[0] = "a a";
    v->merges[1] = "aa aa";
    v->merges[2] = "\u0120 \u0120";
    opened o = open_good(v);
    char *text = malloc(len);
    for (size_t i = 0, n = strlen(unit); i < len; i++) text[i] = unit[i % n];
    cr_expect_gt(vb_tokenizer_encode(o.t, text, len, VB_PARSE_SPECIAL, NULL, 0, NULL), 0, "%s", unit);
    free(text);
    close_it(&o);
}

Test(tokenizer, long_inputs, .timeout = 60)
{
    static const char *const pre[] = {NULL, "gpt-2", "smollm", "default", "llama-bpe", "qwen2"};
    static const char *const unit[] = {"a", " ", "7", "'", "\n", " \n", "\xe4\xb8\xad", "a ", "\xff", "!", "A\xc3\xa9"};
    for (size_t p = 0; p < sizeof pre / sizeof pre[0]; p++)
        for (size_t u = 0; u < sizeof unit / sizeof unit[0]; u++) expect_fast(pre[p], unit[u], unit[u][0] == '7' ? 1 << 20 : 1 << 18);
}

/* --- splitters ---------------------------------------------------------------------------------------------------- */

#define CONTRACTION "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define TAIL " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define QWEN2 CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|" TAIL
#define FIRST "[^\\r\\n\\p{L}\\p{N}]?"
#define UPPER "((?=[\\p{L}])([^a-z]))"
#define LOWER "((?=[\\p{L}])([^A-Z]))"
#define SLASH " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define BLOOM " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"
#define LLAMA3 CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|" TAIL

#define LISTED "\\s?[" \
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}-" \
    "\\x{293}\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}\\x{37f}\\x{386}" \
    "\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}\\x{48a}-" \
    "\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-" \
    "\\x{1cba}\\x{1cbd}-\\x{1cbf}\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}" \
    "\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-" \
    "\\x{1f57}\\x{1f59}\\x{1f5b}\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-" \
    "\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}\\x{1fd6}-" \
    "\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}" \
    "\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}\\x{2126}\\x{2128}\\x{212a}-" \
    "\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}\\x{2145}-\\x{2149}\\x{214e}" \
    "\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}\\x{2ceb}-\\x{2cee}\\x{2cf2}" \
    "\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}\\x{a771}-\\x{a787}" \
    "\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}\\x{ff21}-" \
    "\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}" \
    "\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}" "]+"
#define TRUE_UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define TRUE_LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define TRUE_CASED FIRST TRUE_UPPER "*" TRUE_LOWER "+" CONTRACTION "?|" FIRST TRUE_UPPER "+" TRUE_LOWER "*" CONTRACTION "?|"
#define NO_HAN(set) "(?:(?!\\p{sc:Han})" set ")"
#define MARK_UPPER "((?=[\\p{L}\\p{M}])([^a-z]))"
#define MARK_LOWER "((?=[\\p{L}\\p{M}])([^A-Z]))"
#define HAN_OR_KANA "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{30ff}]+"
#define ASIAN "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"
#define DEEPSEEK "[!-/:-@\\[-`{-~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
#define THREES "\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))"

static const struct published {
    const char *pre, *patterns[7];
} published[] = {
    {"gemma4", {"[^\\n]+|[\\n]+"}},
    {"deepseek-llm", {"[\r\n]", LISTED,
                      "\\s?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+",
                      "\\s+\\z", ASIAN, "\\p{N}+"}},
    {"spark2_5", {"\\p{N}{1,3}", HAN_OR_KANA, DEEPSEEK " ?[\\p{P}\\p{S}]+|[\r\n]|\\s+(?!\\S)|\\s+", "\\p{N}"}},
    {"superbpe", {"\\p{N}+", THREES}},
    {"afmoe", {THREES, "[\\x{4e00}-\\x{9fff}\\x{3400}-\\x{4dbf}\\x{f900}-\\x{faff}\\x{3040}-\\x{30ff}\\x{ff65}-\\x{ff9f}"
               "\\x{2f00}-\\x{2fdf}\\x{e40}-\\x{e7f}\\x{e80}-\\x{eff}\\x{1780}-\\x{17ff}\\x{1000}-\\x{109f}"
               "\\x{aa60}-\\x{aa7f}\\x{a9e0}-\\x{a9ff}\\x{ac00}-\\x{d7af}\\x{1100}-\\x{11ff}]+",
               DEEPSEEK " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"}},
    {"tiny_aya", {"\\p{N}{1,3}(?=(?:\\p{N}{3})*(?![\\p{L}\\p{M}\\p{N}_]))", TRUE_CASED "\\p{N}{1,3}|" SLASH}},
    {"youtu", {"[\\x{ac00}-\\x{d7a3}\\x{3131}-\\x{318e}]+|[\\x{ff01}\\x{2026}\\x{201c}\\x{201d}\\x{2018}\\x{2019}"
               "\\x{2014}\\x{ff1a}\\x{ff1b}\\x{ff0c}\\x{3001}-\\x{303f}\\x{fe30}-\\x{fe4f}]+|[\\x{3105}-\\x{312f}]+|"
               HAN_OR_KANA, TRUE_CASED "\\p{N}|" SLASH}},
    {"kimi-k2", {"\\p{sc:Han}+|" FIRST NO_HAN(TRUE_UPPER) "*" NO_HAN(TRUE_LOWER) "+" CONTRACTION "?|"
                 FIRST NO_HAN(TRUE_UPPER) "+" NO_HAN(TRUE_LOWER) "*" CONTRACTION "?|\\p{N}{1,3}|" TAIL}},
    {"exaone-moe", {CONTRACTION "|" FIRST "(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}|"
                    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    {"jais-2", {CONTRACTION "|" FIRST "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
                "\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)|"
                "\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s{1}"}},
    {"chameleon", {"<sentinel:[0-9]+>", "IMGIMG[A-I]{1,4}Z", "[\\t\\n]|    |  ", "\\p{N}", "[\\p{P}!-/:-@\\[-`{-~]",
                   GPT2}},
    {"granite-embed-multi-97m", {FIRST MARK_UPPER "*" MARK_LOWER "+" CONTRACTION "?|" FIRST MARK_UPPER "+" MARK_LOWER "*"
                                 CONTRACTION "?|\\p{N}{1,3}|" SLASH}},
    {"gpt-2", {GPT2}},
    {"smollm", {"\\p{N}", GPT2}},
    {"starcoder", {"\\p{N}", GPT2}},
    {"default", {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
    {"llama-bpe", {LLAMA3}},
    {"qwen2", {QWEN2}},
    {"qwen35", {CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}|"
                " ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
    {"seed-coder", {CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}|"
                    " ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
    {"bailingmoe", {"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
                    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    {"ufakzeka", {"[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|" TAIL}},
    {"minicpm5", {"\\p{N}{1,3}", CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}+|" TAIL}},
    {"laguna", {"[^\\n]+|[\\n]+", QWEN2}},
    {"gpt-4o", {FIRST UPPER "*" LOWER "+" CONTRACTION "?|" FIRST UPPER "+" LOWER "*" CONTRACTION "?|"
                "\\p{N}{1,3}|" SLASH}},
    {"tekken", {FIRST UPPER "*" LOWER "+|" FIRST UPPER "+" LOWER "*|\\p{N}|" SLASH}},
    {"falcon", {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]"}},
    {"bloom", {BLOOM}},
    {"viking", {BLOOM, "\\p{N}"}},
    {"deepseek-coder", {"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+",
                        "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+", "\\p{N}"}},
    {"deepseek-v3", {"\\p{N}{1,3}", "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{30ff}]+",
                     "[!-/:-@\\[-`{-~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|"
                     "\\s*[\r\n]+|\\s+(?!\\S)|\\s+"}},
};

enum { LONGEST = 64 };
typedef struct {
    uint32_t cp[LONGEST];
    uint8_t class[LONGEST];
    size_t n;
    char utf8[4 * LONGEST];
    size_t offset[LONGEST + 1];       /* bytes before each code point */
    size_t ends[LONGEST + 1], n_ends; /* of words, in bytes */
} sample;

static int note_end(void *ud, size_t from, size_t to)
{
    sample *s = ud;
    cr_assert(to > from && to <= s->n && s->offset[from] == (s->n_ends == 0 ? 0 : s->ends[s->n_ends - 1]));
    s->ends[s->n_ends++] = s->offset[to];
    return 0;
}

/* The judge's cut of [from, to) by one pattern: matches and the gaps between them, as ends. */
static void cut_by(const pcre2_code *code, pcre2_match_data *data, const sample *s, size_t from, size_t to,
                   sample *out)
{
    size_t at = from;
    PCRE2_SPTR text = (PCRE2_SPTR)s->utf8 + from;
    while (at < to && pcre2_match(code, text, to - from, at - from, PCRE2_NO_UTF_CHECK, data, NULL) > 0) {
        const PCRE2_SIZE *found = pcre2_get_ovector_pointer(data);
        if (from + found[0] > at) out->ends[out->n_ends++] = from + found[0];
        at = from + found[1];
        out->ends[out->n_ends++] = at;
    }
    if (at < to) out->ends[out->n_ends++] = to;
}

static pcre2_code *compile(const char *pattern)
{
    int error;
    PCRE2_SIZE at;
    uint32_t options = PCRE2_UTF | PCRE2_UCP;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &error, &at, NULL);
    cr_assert_not_null(code, "%s: error %d at %zu", pattern, error, (size_t)at);
    return code;
}

typedef struct {
    pcre2_code *code;
    pcre2_match_data *data;
} regex;

static regex regex_of(const char *pattern)
{
    pcre2_code *code = compile(pattern);
    return (regex){code, pcre2_match_data_create_from_pattern(code, NULL)};
}

static void free_regex(regex *r)
{
    pcre2_match_data_free(r->data);
    pcre2_code_free(r->code);
}

static int matches(const regex *r, uint32_t cp)
{
    char utf8[4];
    size_t n = vb_utf8_write(utf8, cp);
    return pcre2_match(r->code, (PCRE2_SPTR)utf8, n, 0, PCRE2_NO_UTF_CHECK, r->data, NULL) > 0;
}

/* Code points whose classes are the same in the pinned Unicode version and in PCRE2's; surrogates are no characters to
 * PCRE2. */
static uint8_t *agreeing(void)
{
    static const char *const pattern[] = {"\\p{L}", "\\p{N}", "\\p{P}",           "\\p{S}",
                                          "\\p{M}", "\\s",    "[\\p{Lu}\\p{Lt}]", "\\p{Ll}"};
    static const vb_cp_class class[] = {VB_CP_LETTER, VB_CP_NUMBER, VB_CP_PUNCTUATION, VB_CP_SYMBOL, VB_CP_MARK};
    uint8_t *same = malloc(0x110000);
    memset(same, 1, 0x110000);
    memset(same + 0xd800, 0, 0x800);
    for (int i = 0; i < 8; i++) {
        regex r = regex_of(pattern[i]);
        for (uint32_t cp = 0; cp < 0x110000; cp++) {
            if (cp >= 0xd800 && cp < 0xe000) continue;
            int ours = i < 5 ? vb_cp_class_of(cp) == class[i] : i < 6 ? vb_cp_is_space(cp) : vb_cp_case_of(cp) == i - 5;
            if (ours != matches(&r, cp)) same[cp] = 0;
        }
        free_regex(&r);
    }
    return same;
}

Test(split, classes_differ_from_another_version_in_new_characters_only)
{
    uint8_t *same = agreeing();
    size_t differ = 0, n = 0;
    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        n += same[cp];
        differ += !same[cp] && !(cp >= 0xd800 && cp < 0xe000);
    }
    cr_expect_lt(differ, 12000, "%zu code points differ", differ);
    cr_expect_gt(n, 1100000);
    for (uint32_t cp = 0; cp < 0x300; cp++) cr_expect(same[cp], "U+%04X", cp);
    free(same);
}

static void judge(const struct published *p, regex *r, sample *s)
{
    sample expected = {.ends = {s->offset[s->n]}, .n_ends = 1};
    for (int i = 0; p->patterns[i] != NULL; i++) {
        sample next = {.n_ends = 0};
        for (size_t k = 0; k < expected.n_ends; k++)
            cut_by(r[i].code, r[i].data, s, k == 0 ? 0 : expected.ends[k - 1], expected.ends[k], &next);
        expected = next;
    }
    vb_codepoints text = {s->cp, s->class, s->n};
    s->n_ends = 0;
    vb_split_run(vb_split_find(p->pre, strlen(p->pre)), &text, note_end, s);
    if (s->n_ends == expected.n_ends && memcmp(s->ends, expected.ends, s->n_ends * sizeof s->ends[0]) == 0) return;
    char hex[LONGEST * 8] = "";
    for (size_t i = 0, at = 0; i < s->n; i++) at += (size_t)snprintf(hex + at, sizeof hex - at, "%X ", s->cp[i]);
    cr_assert(0, "%s: words differ: %s", p->pre, hex);
}

static void put_cp(sample *s, uint32_t cp)
{
    s->cp[s->n] = cp;
    s->class[s->n] = vb_cp_is_space(cp) ? VB_CP_SPACE : (uint8_t)vb_cp_class_of(cp);
    s->offset[s->n + 1] = s->offset[s->n] + vb_utf8_write(s->utf8 + s->offset[s->n], cp);
    s->n++;
}

/* Mostly characters that patterns name, sometimes any other one. */
static uint32_t random_cp(rng *r, const uint8_t *same)
{
    static const uint32_t usual[] = {
        ' ', ' ', ' ', '\n', '\r', '\t', '\'', '\'', 's', 'S', 't', 'L', 'l', 'r', 'E', 'v', 'm', 'D', 'a', 'Z', '1',
        '2', '9', '.', '!', '/', '$', '`', '|', '(', 0, 0xe9, 0xc9, 0x301, 0x4e2d, 0x3042, 0xac00, 0xa0, 0x2003, 0x3000,
        0x85, 0x661, 0xb2, 0x1f600, 0x17f, 0x2026, 0x20ac, 0x200d,
    };
    uint32_t word = rng_word(r), cp = rng_word(r) % 0x110000;
    if (word % 16 != 0) return usual[word / 16 % (sizeof usual / sizeof usual[0])];
    if (word % 32 == 0) cp %= 0x3000;
    return same[cp] ? cp : 'x';
}

/* Every code point alone and between others, then random strings. */
Test(split, words_are_those_of_the_published_patterns, .timeout = 300)
{
    uint8_t *same = agreeing();
    rng random = {20260115};
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        const struct published *p = &published[i];
        regex r[7];
        int n = 0;
        for (; p->patterns[n] != NULL; n++) r[n] = regex_of(p->patterns[n]);
        cr_assert_not_null(vb_split_find(p->pre, strlen(p->pre)), "%s", p->pre);
        for (uint32_t cp = 0; cp < 0x110000; cp++) {
            sample s = {.n = 0};
            if (!same[cp] || (cp > 0x3100 && cp % 17 != 0)) continue;
            put_cp(&s, random_cp(&random, same));
            put_cp(&s, cp);
            put_cp(&s, random_cp(&random, same));
            put_cp(&s, cp);
            judge(p, r, &s);
        }
        for (int k = 0; k < 30000; k++) {
            sample s = {.n = 0};
            size_t len = 1 + rng_word(&random) % 24;
            while (s.n < len) put_cp(&s, random_cp(&random, same));
            judge(p, r, &s);
        }
        while (n > 0) free_regex(&r[--n]);
    }
    free(same);
}

/* --- real vocabularies -------------------------------------------------------------------------------------------- */

static size_t unhex(const char *hex, char *out)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        cr_assert_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (char)byte;
    }
    return n;
}

/* The ids of one combination of flags; *n negative where the case expects and gets an error. */
static vb_token *golden_ids(const vb_tokenizer *t, json_t *one, const char *name, int flags, int64_t *n)
{
    const char *hex = json_string_value(json_object_get(one, "text_hex"));
    json_t *ids = json_object_get(json_object_get(one, "ids"), name);
    char *text = malloc(strlen(hex) + 1);
    size_t len = unhex(hex, text);
    vb_err err = {0};
    *n = vb_tokenizer_encode(t, text, len, flags, NULL, 0, &err);
    vb_token *found = calloc(*n > 0 ? (size_t)*n : 1, sizeof *found);
    if (!json_is_array(ids)) {
        cr_expect(*n < 0 && err.code == *n && err.text[0] != 0, "%s %s: expected an error", name, hex);
    } else {
        cr_assert_eq(*n, (int64_t)json_array_size(ids), "%s %.80s: expected %zu ids, found %lld %s", name, hex,
                     json_array_size(ids), (long long)*n, err.text);
        vb_tokenizer_encode(t, text, len, flags, found, (size_t)*n, &err);
        for (int64_t i = 0; i < *n; i++)
            cr_expect_eq(found[i], json_integer_value(json_array_get(ids, (size_t)i)), "%s %.80s: id %lld", name, hex,
                         (long long)i);
    }
    free(text);
    return found;
}

static void golden_text(const vb_tokenizer *t, const vb_token *ids, int64_t n, int special, json_t *expected)
{
    const char *hex = json_string_value(expected);
    if (hex == NULL || n < 0) return;
    char *want = malloc(strlen(hex) + 1), *found = malloc(strlen(hex) + 1);
    int64_t len = vb_tokenizer_decode(t, ids, (size_t)n, special, found, strlen(hex), NULL);
    cr_expect(len == (int64_t)unhex(hex, want) && memcmp(found, want, (size_t)len) == 0, "text of %.80s", hex);
    free(want);
    free(found);
}

static void golden(const char *variable, const char *cases)
{
    static const struct {
        const char *name;
        int flags;
    } way[] = {{"plain", 0}, {"add_special", VB_ADD_SPECIAL}, {"parse_special", VB_PARSE_SPECIAL},
               {"add_and_parse_special", VB_ADD_SPECIAL | VB_PARSE_SPECIAL}};
    const char *path = getenv(variable);
    vb_err err = {0};
    vb_gguf *g;
    vb_tokenizer *t;
    size_t i;
    json_t *one, *all = json_load_file(cases, JSON_ALLOW_NUL, NULL);
    cr_assert_eq(json_array_size(json_object_get(all, "cases")), 72, "%s", cases);
    if (path == NULL) cr_skip_test("%s names no model file", variable);
    cr_assert_eq(vb_gguf_open(&g, path, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_tokenizer_open(&t, g, &err), VB_OK, "%s", err.text);
    json_array_foreach(json_object_get(all, "cases"), i, one)
    {
        for (int w = 0; w < 4; w++) {
            int64_t n;
            vb_token *ids = golden_ids(t, one, way[w].name, way[w].flags, &n);
            if (w == 0) golden_text(t, ids, n, 1, json_object_get(one, "detok_plain_hex"));
            if (w == 2) golden_text(t, ids, n, 1, json_object_get(one, "detok_parsed_special_shown_hex"));
            if (w == 2) golden_text(t, ids, n, 0, json_object_get(one, "detok_parsed_special_hidden_hex"));
            free(ids);
        }
    }
    vb_tokenizer_close(t);
    vb_gguf_close(g);
    json_decref(all);
}

Test(tokenizer, golden_smollm2)
{
    golden("VB_SMOLLM2", "tests/golden/tokenizer/smollm2.json");
}

Test(tokenizer, golden_gemma3)
{
    golden("VB_GEMMA3", "tests/golden/tokenizer/gemma3.json");
}
