/* rows.c - pieces of rows for threads: one counter, each thread takes the next piece until none is left. */
#include "quantize/rows.h"
#include "base/fp.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { MOST_THREADS = 256 };

typedef struct {
    const vb_rows *rows;
    _Atomic int64_t next;
} share;

static void *worker(void *ud)
{
    share *s = ud;
    const vb_rows *r = s->rows;
    uint64_t modes = vb_fp_enter();
    for (;;) {
        int64_t from = atomic_fetch_add(&s->next, r->piece);
        if (from >= r->rows) break;
        r->work(r->ud, from, r->rows - from < r->piece ? r->rows : from + r->piece);
    }
    vb_fp_leave(modes);
    return NULL;
}

int vb_rows_threads(int asked)
{
    cpu_set_t set;
    if (asked <= 0) asked = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return asked < MOST_THREADS ? asked : MOST_THREADS;
}

void vb_rows_share(const vb_rows *rows)
{
    share s = {.rows = rows};
    pthread_t others[MOST_THREADS];
    int64_t pieces = (rows->rows + rows->piece - 1) / rows->piece;
    int threads = vb_rows_threads(rows->threads), n = 0;
    while (n + 1 < threads && n + 1 < pieces && pthread_create(&others[n], NULL, worker, &s) == 0) n++;
    worker(&s);
    for (int i = 0; i < n; i++) pthread_join(others[i], NULL);
}
