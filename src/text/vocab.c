/* vocab.c - an index from text to position: open addressing, at most half full, XXH3 of the text.
 *
 * A pair is joined in a small buffer first; no merge is as long as that, so a longer pair is none.
 */
#include "text/vocab.h"

#include <string.h>
#include <xxhash.h>

enum { LONGEST_PAIR = 512 };

static int same(vb_text a, const char *text, size_t len)
{
    return a.len == len && memcmp(a.ptr, text, len) == 0;
}

vb_status vb_text_index_make(vb_text_index *index, vb_arena *arena, const vb_text *texts, size_t n, vb_err *err)
{
    size_t slots = 16;
    while (slots < 2 * n) slots *= 2;
    index->texts = texts;
    index->mask = (uint32_t)(slots - 1);
    index->slots = vb_arena_array(arena, slots, sizeof *index->slots);
    if (index->slots == NULL) VB_FAIL(err, VB_E_MEMORY, "vocabulary: out of memory for %zu texts", n);
    for (size_t i = 0; i < n; i++) {
        uint32_t at = (uint32_t)XXH3_64bits(texts[i].ptr, texts[i].len) & index->mask;
        while (index->slots[at] != 0 && !same(texts[index->slots[at] - 1], texts[i].ptr, texts[i].len))
            at = (at + 1) & index->mask;
        index->slots[at] = (uint32_t)i + 1;
    }
    return VB_OK;
}

int32_t vb_text_index_find(const vb_text_index *index, const char *text, size_t len)
{
    uint32_t at = (uint32_t)XXH3_64bits(text, len) & index->mask;
    for (; index->slots[at] != 0; at = (at + 1) & index->mask)
        if (same(index->texts[index->slots[at] - 1], text, len)) return (int32_t)(index->slots[at] - 1);
    return -1;
}

int32_t vb_text_index_find_pair(const vb_text_index *index, vb_text left, vb_text right)
{
    char joined[LONGEST_PAIR];
    size_t len = left.len + 1 + right.len;
    if (len > sizeof joined) return -1;
    memcpy(joined, left.ptr, left.len);
    joined[left.len] = ' ';
    memcpy(joined + left.len + 1, right.ptr, right.len);
    return vb_text_index_find(index, joined, len);
}
