/* bpe.c - byte-level BPE: a word's bytes become symbols, and neighbours merge by rank until none can.
 *
 *   "low er"   l o w e r   ->   lo w e r   ->   low er   ->   lower
 *
 * The lowest rank goes first, the leftmost of equal ranks. Symbols are slices of one buffer in a linked list; pairs
 * wait in a heap, and one whose parts have changed since is dropped when its turn comes. So a word of n bytes takes
 * n log n, however long it is.
 */
#include "text/heap.h"
#include "text/unicode.h"
#include "text/vocab.h"

#include <stdlib.h>
#include <string.h>

/* --- bytes as code points ---------------------------------------------------------------------------------- */

/* Bytes that print stand for themselves; the others, 0-32, 127-160 and 173, are counted from U+0100. */
static uint32_t code_point_of(unsigned byte)
{
    if (byte <= 32) return 256 + byte;
    if (byte >= 127 && byte <= 160) return 256 + 33 + byte - 127;
    return byte == 173 ? 256 + 67 : byte;
}

static int byte_of(uint32_t cp)
{
    if (cp < 256) return code_point_of(cp) == cp ? (int)cp : -1;
    if (cp <= 256 + 32) return (int)cp - 256;
    if (cp < 256 + 67) return (int)cp - 256 - 33 + 127;
    return cp == 256 + 67 ? 173 : -1;
}

size_t vb_byte_level_write(char *out, const char *bytes, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) n += vb_utf8_write(out + n, code_point_of((unsigned char)bytes[i]));
    return n;
}

size_t vb_byte_level_read(char *out, const char *text, size_t len)
{
    size_t n = 0;
    for (size_t at = 0; at < len;) {
        uint32_t cp;
        size_t used = vb_utf8_read(text + at, len - at, &cp);
        int byte = byte_of(cp);
        if (byte >= 0)
            out[n++] = (char)byte;
        else
            memcpy(out + n, text + at, used), n += used;
        at += used;
    }
    return n;
}

/* --- merging ------------------------------------------------------------------------------------------------- */

typedef struct {
    vb_text text; /* len 0: merged into its left neighbour */
    int32_t left, right;
} symbol;

/* Memory for the longest word so far, kept from word to word. */
typedef struct {
    vb_id_sink *sink;
    const uint32_t *cp;
    char *raw, *text;
    symbol *symbols;
    vb_heap heap;
    size_t room; /* bytes of raw */
} worker;

static vb_status make_room(worker *w, size_t bytes)
{
    if (bytes <= w->room) return VB_OK;
    size_t room = bytes < 256 ? 256 : bytes * 2;
    char *raw = realloc(w->raw, room);
    if (raw != NULL) w->raw = raw;
    char *text = realloc(w->text, room * 2);
    if (text != NULL) w->text = text;
    symbol *symbols = realloc(w->symbols, room * sizeof *symbols);
    if (symbols != NULL) w->symbols = symbols;
    if (raw == NULL || text == NULL || symbols == NULL)
        VB_FAIL(w->sink->err, VB_E_MEMORY, "tokenizer: out of memory for a word of %zu bytes", bytes);
    w->room = room;
    return VB_OK;
}

static vb_status offer(worker *w, int32_t left)
{
    if (left < 0 || w->symbols[left].right < 0) return VB_OK;
    const symbol *a = &w->symbols[left], *b = &w->symbols[a->right];
    int32_t rank = vb_text_index_find_pair(&w->sink->t->merges, a->text, b->text);
    if (rank < 0) return VB_OK;
    return vb_heap_push(&w->heap, (vb_pair){(float)rank, left, (uint32_t)(a->text.len + b->text.len)}, w->sink->err);
}

static vb_status merge_all(worker *w)
{
    vb_pair p;
    while (vb_heap_pop(&w->heap, &p)) {
        symbol *a = &w->symbols[p.left];
        if (a->text.len == 0 || a->right < 0) continue;
        symbol *b = &w->symbols[a->right];
        if (a->text.len + b->text.len != p.len) continue;
        a->text.len += b->text.len;
        b->text.len = 0;
        a->right = b->right;
        if (a->right >= 0) w->symbols[a->right].left = p.left;
        VB_TRY(offer(w, a->left));
        VB_TRY(offer(w, p.left));
    }
    return VB_OK;
}

/* A symbol that is no token falls apart into its bytes; what is no token even then is left out. */
static void push_symbol(vb_id_sink *s, vb_text text)
{
    vb_token id = vb_text_index_find(&s->t->index, text.ptr, text.len);
    if (id >= 0) {
        vb_id_push(s, id);
        return;
    }
    for (size_t i = 0; i < text.len; i++) {
        id = vb_text_index_find(&s->t->index, text.ptr + i, 1);
        if (id >= 0) vb_id_push(s, id);
    }
}

static vb_status merge_word(worker *w, size_t len)
{
    int32_t n = 0;
    for (size_t at = 0; at < len; n++) {
        uint32_t cp;
        size_t used = vb_utf8_read(w->text + at, len - at, &cp);
        w->symbols[n] = (symbol){{w->text + at, used}, n - 1, n + 1};
        at += used;
    }
    w->symbols[n - 1].right = -1;
    for (int32_t i = 0; i + 1 < n; i++) VB_TRY(offer(w, i));
    VB_TRY(merge_all(w));
    for (int32_t i = 0; i >= 0; i = w->symbols[i].right) push_symbol(w->sink, w->symbols[i].text);
    return VB_OK;
}

static int encode_word(void *ud, size_t from, size_t to)
{
    worker *w = ud;
    const vb_tokenizer *t = w->sink->t;
    size_t raw = 0;
    VB_TRY(make_room(w, (to - from) * 4));
    for (size_t i = from; i < to; i++) raw += vb_utf8_write(w->raw + raw, w->cp[i]);
    size_t len = vb_byte_level_write(w->text, w->raw, raw);
    vb_token whole = vb_split_whole_words(t->split) ? vb_text_index_find(&t->index, w->text, len) : -1;
    if (whole >= 0) {
        vb_id_push(w->sink, whole);
        return VB_OK;
    }
    return merge_word(w, len);
}

/* --- a run of text --------------------------------------------------------------------------------------------- */

static uint8_t class_of(uint32_t cp)
{
    return vb_cp_is_space(cp) ? VB_CP_SPACE : (uint8_t)vb_cp_class_of(cp);
}

static vb_status read_all(uint32_t *cp, uint8_t *class, const char *text, size_t len, vb_codepoints *out, vb_err *err)
{
    *out = (vb_codepoints){cp, class, 0};
    for (size_t at = 0; at < len; out->n++) {
        at += vb_utf8_read(text + at, len - at, &cp[out->n]);
        if (cp[out->n] > 0x10ffff)
            VB_FAIL(err, VB_E_ARGUMENT, "text: invalid codepoint: expected at most U+10FFFF, found U+%X before byte %zu",
                    cp[out->n], at);
        class[out->n] = class_of(cp[out->n]);
    }
    return VB_OK;
}

vb_status vb_bpe_encode(vb_id_sink *s, const char *text, size_t len)
{
    vb_codepoints all;
    worker w = {.sink = s};
    uint32_t *cp = malloc(len * sizeof *cp);
    uint8_t *class = malloc(len);
    vb_status status = VB_OK;
    if (cp == NULL || class == NULL)
        status = vb_fail(s->err, VB_E_MEMORY, "tokenizer: out of memory for %zu bytes of text", len);
    else
        status = read_all(cp, class, text, len, &all, s->err);
    w.cp = cp;
    if (status == VB_OK) status = (vb_status)vb_split_run(s->t->split, &all, encode_word, &w);
    free(cp);
    free(class);
    free(w.raw);
    free(w.text);
    free(w.symbols);
    vb_heap_free(&w.heap);
    return status;
}
