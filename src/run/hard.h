/* hard.h - a mode for tests, switched on by VB_HARD=<seed> in the environment: whatever may not change a bit is done
 * differently each time. Off, it costs nothing.
 *
 *   scratch        NaNs before every batch
 *   batches        cut at random
 *   stages         played as one round or step by step
 *   a device       performs sections together, alone, by steps, or not at all
 *   steps          cut into tiles of random size, done in random order, by the pool or by the caller alone
 */
#ifndef VB_RUN_HARD_H
#define VB_RUN_HARD_H
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t state; /* 0: the mode is off */
} vb_hard;

void vb_hard_start(vb_hard *h);
/* A number from 0 to n-1; n if the mode is off. n >= 1. */
int vb_hard_below(vb_hard *h, int n);
/* A size of at most `usual`, a multiple of `unit` if `usual` is one; `usual` if the mode is off. */
int vb_hard_size(vb_hard *h, int usual, int unit);
/* `usual`, or one of 0 and 1 by chance. */
int vb_hard_choice(vb_hard *h, int usual);
void vb_hard_poison(const vb_hard *h, void *memory, size_t bytes);

#endif
