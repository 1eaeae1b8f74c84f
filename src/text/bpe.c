/* bpe.c - merges as a hash table over pairs of ids, and words through the merge queue.
 *
 *   text -> code points -> words (split.c) -> bytes -> symbols with ids -> merges -> tokens
 *
 * Invalid UTF-8 is replaced before splitting, so the bytes of a word are those of its code points. A merge may make a
 * text that is no token; such texts have ids behind the tokens, and one that is left over in the end falls apart into
 * the bytes of its written form, of which those that are tokens count.
 */
#include "text/bpe.h"

#include "text/merge.h"
#include "text/spm.h"
#include "text/unicode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- bytes and their characters ---------------------------------------------------------------------------- */

static int is_itself(uint32_t c)
{
    return (c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xac) || (c >= 0xae && c <= 0xff);
}

/* The others in order are 0x00..0x20, 0x7f..0xa0, 0xad. */
uint32_t vb_bpe_character(uint8_t byte)
{
    if (is_itself(byte)) return byte;
    return 0x100u + (byte <= 0x20 ? byte : byte <= 0xa0 ? byte - 0x7fu + 0x21u : 0x43u);
}

int vb_bpe_byte(uint32_t c)
{
    if (c < 0x100) return is_itself(c) ? (int)c : -1;
    if (c > 0x143) return -1;
    c -= 0x100;
    return (int)(c <= 0x20 ? c : c <= 0x42 ? c - 0x21 + 0x7f : 0xad);
}

static void find_letters(vb_bpe *b)
{
    for (int byte = 0; byte < 256; byte++) {
        char text[8], raw = (char)byte;
        b->letter[byte] = vb_vocab_find(b->vocab, text, vb_utf8_write(text, vb_bpe_character((uint8_t)byte)));
        int32_t id = vb_vocab_find(b->vocab, &raw, 1);
        if (b->signs) {
            b->letter[byte] = byte < 0x80 ? id : -1;
            snprintf(text, sizeof text, "<0x%02X>", (unsigned)byte);
            id = vb_vocab_find(b->vocab, text, 6);
        }
        b->raw[byte] = id < b->n_tokens ? id : -1;
    }
    if (b->signs) vb_spm_find_crosses(b->crosses, b->vocab);
}

/* --- merges ------------------------------------------------------------------------------------------------ */

static size_t slot_of(const vb_bpe *b, uint64_t key)
{
    uint64_t h = (key ^ key >> 32) * 0x9e3779b97f4a7c15u;
    size_t i = (size_t)(h >> 32) & b->mask;
    while (b->slots[i].key != key && b->slots[i].key != UINT64_MAX) i = (i + 1) & b->mask;
    return i;
}

static int is_joined(const vb_piece *p, vb_text left, vb_text right)
{
    return p->len == left.len + right.len && memcmp(p->text, left.ptr, left.len) == 0 &&
           memcmp(p->text + left.len, right.ptr, right.len) == 0;
}

/* The id of left and right written together. Most vocabularies were numbered as they were merged, so it is usually
 * `guess`. */
static int32_t intern_joined(vb_vocab *v, vb_arena *arena, vb_text left, vb_text right, int32_t guess)
{
    if ((size_t)guess < v->n && is_joined(&v->pieces[guess], left, right)) return guess;
    char small[256], *text = small;
    size_t len = left.len + right.len;
    if (len > sizeof small && (text = vb_arena_alloc(arena, len)) == NULL) return -1;
    memcpy(text, left.ptr, left.len);
    memcpy(text + left.len, right.ptr, right.len);
    int32_t id = vb_vocab_find(v, text, len);
    if (id >= 0) return id;
    text = vb_arena_text(arena, text, len);
    return text == NULL ? -1 : vb_vocab_intern(v, text, len);
}

/* "left right", cut at the first space behind the first byte; without two sides it can never apply. */
static int parse_merge(vb_text merge, vb_text *left, vb_text *right)
{
    merge.len = strnlen(merge.ptr, merge.len);
    const char *space = merge.len > 1 ? memchr(merge.ptr + 1, ' ', merge.len - 1) : NULL;
    if (space == NULL) return 0;
    *left = (vb_text){merge.ptr, (size_t)(space - merge.ptr)};
    *right = (vb_text){space + 1, merge.len - left->len - 1};
    return right->len > 0;
}

/* The first of equal merges counts. *last: the result of the one before. */
static int add_merge(vb_bpe *b, vb_vocab *v, vb_arena *arena, vb_text merge, uint32_t rank, int32_t *last)
{
    vb_text left, right;
    if (!parse_merge(merge, &left, &right)) return 1;
    int32_t l = vb_vocab_intern(v, left.ptr, left.len), r = vb_vocab_intern(v, right.ptr, right.len);
    int32_t result = *last = intern_joined(v, arena, left, right, *last + 1);
    if (l < 0 || r < 0 || result < 0) return 0;
    uint64_t key = (uint64_t)(uint32_t)l << 32 | (uint32_t)r;
    vb_merge_slot *slot = &b->slots[slot_of(b, key)];
    if (slot->key != key) *slot = (vb_merge_slot){key, rank, result};
    return 1;
}

vb_status vb_bpe_open(vb_bpe *b, vb_vocab *vocab, vb_arena *arena, const vb_gguf *g, vb_err *err)
{
    const vb_gguf_entry *merges;
    size_t slots = 16;
    VB_TRY(vb_gguf_array(g, "tokenizer.ggml.merges", VB_GGUF_STRINGS, &merges, err));
    if (merges->n > VB_VOCAB_MOST)
        VB_FAIL(err, VB_E_FORMAT, "%s: tokenizer.ggml.merges: expected at most %d, found %llu", vb_gguf_path(g),
                VB_VOCAB_MOST, (unsigned long long)merges->n);
    b->vocab = vocab;
    b->n_tokens = (int32_t)vocab->n;
    b->signs = vb_split_is(b->split, VB_SPLIT_SIGNS);
    while (slots < merges->n + merges->n / 2 + 1) slots *= 2;
    b->mask = slots - 1;
    b->slots = malloc(slots * sizeof *b->slots);
    if (b->slots == NULL) goto no_memory;
    memset(b->slots, 0xff, slots * sizeof *b->slots);
    const uint8_t *cursor = merges->data;
    int32_t last = -1;
    for (uint32_t rank = 0; rank < merges->n; rank++)
        if (!add_merge(b, vocab, arena, vb_gguf_next_string(&cursor), rank, &last)) goto no_memory;
    find_letters(b);
    return VB_OK;
no_memory:
    VB_FAIL(err, VB_E_MEMORY, "%s: tokenizer.ggml.merges: no memory for %llu merges", vb_gguf_path(g),
            (unsigned long long)merges->n);
}

void vb_bpe_close(vb_bpe *b)
{
    free(b->slots);
    b->slots = NULL;
}

/* --- encoding ---------------------------------------------------------------------------------------------- */

typedef struct {
    const vb_bpe *b;
    vb_codepoints text;
    vb_merger merger;
    vb_ids *out;
    vb_err *err;
} job;

/* A symbol's id is that of its character, or -1 - byte (with signs -1 - code point) where the vocabulary has none. */
static int join(const void *ud, const vb_symbol *left, const vb_symbol *right, uint32_t *rank, int32_t *id)
{
    const vb_bpe *b = ud;
    if (left->id < 0 || right->id < 0) return 0;
    const vb_merge_slot *slot = &b->slots[slot_of(b, (uint64_t)(uint32_t)left->id << 32 | (uint32_t)right->id)];
    *rank = slot->rank;
    *id = slot->result;
    return slot->key != UINT64_MAX;
}

static void push_raw(const vb_bpe *b, const char *text, size_t len, vb_ids *out)
{
    for (size_t i = 0; i < len; i++)
        if (b->raw[(uint8_t)text[i]] >= 0) vb_ids_push(out, b->raw[(uint8_t)text[i]]);
}

static void push_symbol(const vb_bpe *b, int32_t id, vb_ids *out)
{
    char text[4];
    if (id >= b->n_tokens)
        push_raw(b, b->vocab->pieces[id].text, b->vocab->pieces[id].len, out);
    else if (id >= 0)
        vb_ids_push(out, id);
    else
        push_raw(b, text, vb_utf8_write(text, b->signs ? (uint32_t)(-1 - id) : vb_bpe_character((uint8_t)(-1 - id))),
                 out);
}

/* The token that is the whole word [from, to), written in characters; -1: none. */
static vb_token whole_word(const job *j, size_t from, size_t to)
{
    char text[256], utf8[4];
    size_t len = 0;
    for (; from < to; from++) {
        size_t n = vb_utf8_write(utf8, j->text.cp[from]);
        if (len + 2 * n > sizeof text) return -1;
        for (size_t i = 0; i < n; i++) len += vb_utf8_write(text + len, vb_bpe_character((uint8_t)utf8[i]));
    }
    int32_t id = vb_vocab_find(j->b->vocab, text, len);
    return id < j->b->n_tokens ? id : -1;
}

static vb_status check_length(const job *j, size_t n)
{
    if (n > VB_WORD_MOST / 4)
        VB_FAIL(j->err, VB_E_UNSUPPORTED, "text: expected words of at most %d characters, found one of %zu",
                VB_WORD_MOST / 4, n);
    return VB_OK;
}

static vb_status finish_word(job *j)
{
    vb_merger *m = &j->merger;
    if (m->n == 0) return VB_OK;
    if (!vb_merge_run(m)) VB_FAIL(j->err, VB_E_MEMORY, "text: no memory for a word of %zu letters", m->n);
    for (uint32_t i = 0; i != VB_NO_SYMBOL; i = m->symbols[i].next) push_symbol(j->b, m->symbols[i].id, j->out);
    vb_merge_start(m);
    return vb_ids_too_many(j->out);
}

static int encode_word(void *ud, size_t from, size_t to)
{
    job *j = ud;
    vb_merger *m = &j->merger;
    vb_token whole = vb_split_is(j->b->split, VB_SPLIT_WHOLE_WORDS) ? whole_word(j, from, to) : -1;
    if (whole >= 0) {
        vb_ids_push(j->out, whole);
        return VB_OK;
    }
    VB_TRY(check_length(j, to - from));
    vb_merge_start(m);
    for (; from < to; from++) {
        char utf8[4];
        size_t n = vb_utf8_write(utf8, j->text.cp[from]);
        for (size_t i = 0; i < n; i++) {
            uint8_t byte = (uint8_t)utf8[i];
            int32_t id = j->b->letter[byte];
            if (!vb_merge_add(m, 1, id >= 0 ? id : -1 - byte))
                VB_FAIL(j->err, VB_E_MEMORY, "text: no memory for a word of %zu bytes", m->n);
        }
    }
    return finish_word(j);
}

/* The token that a word of line ends is; -1: none. */
static vb_token whole_lines(const job *j, size_t from, size_t to)
{
    char text[256];
    size_t n = to - from;
    if (!vb_split_is(j->b->split, VB_SPLIT_WHOLE_LINES) || j->text.cp[from] != '\n' || n > sizeof text) return -1;
    memset(text, '\n', n);
    int32_t id = vb_vocab_find(j->b->vocab, text, n);
    return id < j->b->n_tokens ? id : -1;
}

/* A line in characters, cut before every U+2581 that no text of the vocabulary reaches over (spm.c says why). */
static int encode_line(void *ud, size_t from, size_t to)
{
    job *j = ud;
    const vb_bpe *b = j->b;
    vb_token whole = whole_lines(j, from, to);
    uint8_t last = 0;
    if (whole >= 0) vb_ids_push(j->out, whole);
    if (whole >= 0) return VB_OK;
    VB_TRY(check_length(j, to - from));
    vb_merge_start(&j->merger);
    for (; from < to; from++) {
        char utf8[4];
        uint32_t c = j->text.cp[from];
        size_t n = vb_utf8_write(utf8, c);
        if (c == VB_SPM_SPACE_CP && !b->crosses[last]) VB_TRY(finish_word(j));
        int32_t id = c < 0x80 ? b->letter[c] : vb_vocab_find(b->vocab, utf8, n);
        if (!vb_merge_add(&j->merger, (uint32_t)n, id >= 0 ? id : -1 - (int32_t)c))
            VB_FAIL(j->err, VB_E_MEMORY, "text: no memory for a word of %zu characters", j->merger.n);
        last = (uint8_t)utf8[n - 1];
    }
    return finish_word(j);
}

static void write_signs(uint32_t *cp, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (cp[i] == ' ') cp[i] = VB_SPM_SPACE_CP;
}

/* Code points and their classes, into two arrays of `len` elements. */
static vb_status read_text(const char *text, size_t len, uint32_t *cp, uint8_t *class, size_t *n, vb_err *err)
{
    *n = 0;
    for (size_t at = 0; at < len; ++*n) {
        uint32_t c;
        size_t used = vb_utf8_read(text + at, len - at, &c);
        if (c > 0x10ffff)
            VB_FAIL(err, VB_E_FORMAT, "text: byte %zu: expected a code point up to U+10FFFF, found U+%X", at, c);
        cp[*n] = c;
        class[*n] = vb_cp_is_space(c) ? VB_CP_SPACE : (uint8_t)vb_cp_class_of(c);
        at += used;
    }
    return VB_OK;
}

vb_status vb_bpe_encode(const vb_bpe *b, const char *text, size_t len, vb_ids *out, vb_err *err)
{
    size_t bytes;
    if (__builtin_mul_overflow(len, sizeof(uint32_t), &bytes))
        VB_FAIL(err, VB_E_ARGUMENT, "text: expected fewer bytes, found %zu", len);
    uint32_t *cp = malloc(bytes);
    uint8_t *class = malloc(len);
    job j = {.b = b, .text = {cp, class, 0}, .merger = {.join = join, .ud = b}, .out = out, .err = err};
    vb_status s = VB_OK;
    if (cp == NULL || class == NULL)
        s = vb_fail(err, VB_E_MEMORY, "text: no memory for %zu bytes", len);
    else
        s = read_text(text, len, cp, class, &j.text.n, err);
    if (s >= 0 && b->signs) write_signs(cp, j.text.n);
    if (s >= 0) s = (vb_status)vb_split_run(b->split, &j.text, b->signs ? encode_line : encode_word, &j);
    vb_merge_free(&j.merger);
    free(class);
    free(cp);
    return s;
}
