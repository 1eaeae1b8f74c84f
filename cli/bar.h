/* bar.h - how far a long write is, on a terminal: one line on stderr, written again and again; silent elsewhere.
 *
 *   blk.3.ffn_up.weight   43 %  [##########--------------]  116.0 MiB of 270.0 MiB  12 s
 */
#ifndef VB_CLI_BAR_H
#define VB_CLI_BAR_H
#include <stdint.h>

typedef struct {
    int shown;    /* a line that is not ended yet */
    int terminal; /* 0: silent */
    uint64_t begun, told; /* ns */
} vb_bar;

vb_bar vb_bar_begin(int silent);
void vb_bar_show(vb_bar *bar, const char *what, uint64_t done, uint64_t total);
void vb_bar_end(vb_bar *bar); /* wipes the line */

#endif
