/* starts.c - filling the filter: at least four places for each byte of text; most beginnings are shared, so few answers
 * say too much. */
#include "text/starts.h"

int vb_starts_open(vb_starts *s, const vb_vocab *vocab, size_t n, vb_arena *arena)
{
    size_t bytes = 64;
    int log = 10;
    for (size_t id = 0; id < n; id++) bytes += vocab->pieces[id].len;
    while (log < 26 && (size_t)1 << log < 4 * bytes) log++;
    s->shift = 64 - log;
    s->bits = vb_arena_alloc(arena, ((size_t)1 << log) / 4);
    if (s->bits == NULL) return 0;
    for (size_t id = 0; id < n; id++) {
        const vb_piece *p = &vocab->pieces[id];
        uint64_t state = VB_STARTS_EMPTY, place = 0;
        for (uint32_t i = 0; i < p->len; i++) {
            state = vb_starts_step(state, (uint8_t)p->text[i]);
            place = state >> s->shift;
            s->bits[place / 4] |= (uint8_t)(VB_STARTS_GO << place % 4 * 2);
        }
        if (p->len > 0) s->bits[place / 4] |= (uint8_t)(VB_STARTS_WHOLE << place % 4 * 2);
    }
    return 1;
}
