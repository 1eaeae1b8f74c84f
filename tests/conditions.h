/* conditions.h - the one table of conditions that must not change a bit: players, instruction sets, threads, chunk
 * sizes, cache histories. Every harness that asks "one digest?" walks this table.
 */
#ifndef VB_TESTS_CONDITIONS_H
#define VB_TESTS_CONDITIONS_H

static const char *const vb_isas[] = {"portable", "avx2", "avx512", "neon"};
static const int vb_thread_counts[] = {1, 2, 3, 5};
static const int vb_chunks[] = {1, 3, 16, 0}; /* tokens an evaluation; 0: all at once */
typedef enum { VB_FRESH, VB_CACHED, VB_FORKED, VB_HISTORIES } vb_history;
static const char *const vb_history_names[] = {"fresh", "cached prefix", "forked"};

#define VB_COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

#endif
