/* hard.c - chance for tests (see hard.h): a xorshift generator, asked by the calling thread alone. */
#include "run/hard.h"

#include <stdlib.h>
#include <string.h>

void vb_hard_start(vb_hard *h)
{
    const char *seed = getenv("VB_HARD");
    h->state = seed == NULL ? 0 : strtoull(seed, NULL, 10) * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t next(vb_hard *h)
{
    h->state ^= h->state << 13;
    h->state ^= h->state >> 7;
    h->state ^= h->state << 17;
    return h->state >> 16;
}

int vb_hard_below(vb_hard *h, int n)
{
    return h->state == 0 ? n : (int)(next(h) % (uint64_t)n);
}

int vb_hard_size(vb_hard *h, int usual, int unit)
{
    return h->state == 0 || usual < unit ? usual : (1 + vb_hard_below(h, usual / unit)) * unit;
}

int vb_hard_choice(vb_hard *h, int usual)
{
    return h->state == 0 ? usual : vb_hard_below(h, 2);
}

void vb_hard_poison(const vb_hard *h, void *memory, size_t bytes)
{
    if (h->state != 0) memset(memory, 0xff, bytes);
}
