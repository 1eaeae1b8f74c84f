/* spm.c - SentencePiece BPE: characters merge by the score of the token they make, the highest first.
 *
 * Spaces become U+2581; a character that is no token becomes its bytes' tokens. The leftmost of equal scores goes
 * first. A merge never makes a control token: what a user wrote stays text. Lists and heap are those of bpe.c's idea:
 * symbols are slices of one buffer, stale pairs are dropped when their turn comes.
 */
#include "text/heap.h"
#include "text/vocab.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *text;
    uint32_t len; /* 0: merged into its left neighbour */
    int32_t left, right;
} symbol;

typedef struct {
    vb_id_sink *sink;
    symbol *symbols;
    vb_heap heap;
} worker;

static const char space[] = "\xe2\x96\x81";
enum { SPACE = sizeof space - 1 };

/* Spaces written out, with one in front if `prefix`; out holds 3 * (len + 1) bytes. */
static size_t escape(char *out, const char *text, size_t len, int prefix)
{
    size_t n = 0;
    if (prefix) memcpy(out, space, SPACE), n = SPACE;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == ' ')
            memcpy(out + n, space, SPACE), n += SPACE;
        else
            out[n++] = text[i];
    }
    return n;
}

/* By the first byte alone, so that invalid UTF-8 is cut the same way everywhere. */
static size_t character(unsigned char first, size_t left)
{
    size_t n = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    return n < left ? n : left;
}

static vb_status offer(worker *w, int32_t left)
{
    const vb_tokenizer *t = w->sink->t;
    if (left < 0 || w->symbols[left].right < 0) return VB_OK;
    const symbol *a = &w->symbols[left];
    uint32_t len = a->len + w->symbols[a->right].len;
    vb_token id = vb_text_index_find(&t->index, a->text, len);
    if (id < 0 || t->kinds[id] == VB_TOKEN_CONTROL) return VB_OK;
    return vb_heap_push(&w->heap, (vb_pair){-t->scores[id], left, len}, w->sink->err);
}

static vb_status merge_all(worker *w)
{
    vb_pair p;
    while (vb_heap_pop(&w->heap, &p)) {
        symbol *a = &w->symbols[p.left];
        if (a->len == 0 || a->right < 0) continue;
        symbol *b = &w->symbols[a->right];
        if (a->len + b->len != p.len) continue;
        a->len += b->len;
        b->len = 0;
        a->right = b->right;
        if (a->right >= 0) w->symbols[a->right].left = p.left;
        VB_TRY(offer(w, a->left));
        VB_TRY(offer(w, p.left));
    }
    return VB_OK;
}

static void push_symbol(vb_id_sink *s, const symbol *sym)
{
    vb_token id = vb_text_index_find(&s->t->index, sym->text, sym->len);
    if (id >= 0 && s->t->kinds[id] != VB_TOKEN_CONTROL) {
        vb_id_push(s, id);
        return;
    }
    for (uint32_t i = 0; i < sym->len; i++) {
        id = s->t->byte_token[(unsigned char)sym->text[i]];
        if (id < 0) id = s->t->unknown;
        if (id >= 0) vb_id_push(s, id);
    }
}

static vb_status encode(worker *w, const char *text, size_t len)
{
    int32_t n = 0;
    for (size_t at = 0; at < len; n++) {
        size_t used = character((unsigned char)text[at], len - at);
        w->symbols[n] = (symbol){text + at, (uint32_t)used, n - 1, n + 1};
        at += used;
    }
    w->symbols[n - 1].right = -1;
    for (int32_t i = 0; i + 1 < n; i++) VB_TRY(offer(w, i));
    VB_TRY(merge_all(w));
    for (int32_t i = 0; i >= 0; i = w->symbols[i].right) push_symbol(w->sink, &w->symbols[i]);
    return VB_OK;
}

/* In broken UTF-8 a character may swallow part of a written-out space, so there can be as many symbols as bytes. */
static vb_status encode_escaped(worker *w, const char *text, size_t len)
{
    w->symbols = malloc((len + 1) * sizeof *w->symbols);
    if (w->symbols == NULL)
        VB_FAIL(w->sink->err, VB_E_MEMORY, "tokenizer: out of memory for %zu bytes of text", len);
    return encode(w, text, len);
}

vb_status vb_spm_encode(vb_id_sink *s, const char *text, size_t len, int prefix_space)
{
    worker w = {.sink = s};
    if (len >= INT32_MAX / 4) VB_FAIL(s->err, VB_E_ARGUMENT, "text: expected at most 512 MiB, found %zu bytes", len);
    char *escaped = malloc((len + 1) * SPACE);
    if (escaped == NULL) VB_FAIL(s->err, VB_E_MEMORY, "tokenizer: out of memory for %zu bytes of text", len);
    vb_status status = encode_escaped(&w, escaped, escape(escaped, text, len, prefix_space));
    free(escaped);
    free(w.symbols);
    vb_heap_free(&w.heap);
    return status;
}
