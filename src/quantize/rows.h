/* rows.h - work on many rows, shared among threads: pieces of fixed size, taken in order by whoever is free.
 *
 * What a piece computes may depend on its rows alone; then neither the number of threads nor chance can be seen in it.
 */
#ifndef VB_QUANTIZE_ROWS_H
#define VB_QUANTIZE_ROWS_H
#include <stdint.h>

typedef struct {
    int64_t rows, piece; /* rows of one piece, > 0 */
    int threads;         /* the caller is one of them; <= 0: as many as processors may be used */
    void (*work)(void *ud, int64_t from, int64_t to);
    void *ud;
} vb_rows;
/* Returns when all rows are done. Where threads cannot be had, the caller does the rest. */
void vb_rows_share(const vb_rows *rows);
int vb_rows_threads(int asked); /* how many that would be */

#endif
