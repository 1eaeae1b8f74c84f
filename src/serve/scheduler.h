/* scheduler.h - many jobs, one thread that evaluates: prompts in chunks, decoding in steps, all together. */
#ifndef VB_SERVE_SCHEDULER_H
#define VB_SERVE_SCHEDULER_H
#include "serve/job.h"

typedef struct vb_scheduler vb_scheduler;

typedef struct {
    int queue_most;           /* waiting jobs; 0: 512 */
    int64_t queue_ns;         /* how long a job may wait; 0: 5 minutes */
    int64_t step_ns;          /* what one step should take at most; 0: 50 ms */
    void (*ended)(void *ud, const vb_job_end *end); /* of every job, before its own on_end; NULL: nobody asks */
    void (*waited)(void *ud, const vb_job *job, int64_t ns); /* one got its slot that had to wait for it; NULL: nobody asks */
    void *ud;
} vb_scheduler_opts;

typedef struct {
    int waiting, running;
    uint64_t jobs, refused, cancelled, timeouts, late, failed; /* late: their deadline passed */
    uint64_t prompt_tokens, reused_tokens, tokens, steps;
    int64_t prefill_ns, decode_ns, busy_ns; /* of all jobs; busy: of the evaluating thread */
} vb_scheduler_stats;

vb_status vb_scheduler_open(vb_scheduler **out, vb_hosts *hosts, const vb_scheduler_opts *opts, vb_err *err);
/* Cancels what is left and waits for it; then every job is refused. Closing is for when nobody can ask any more. */
void vb_scheduler_stop(vb_scheduler *s);
void vb_scheduler_close(vb_scheduler *s);
/* VB_E_FULL: the queue is full. Otherwise on_end will be called, and `job` must live until then. */
vb_status vb_scheduler_submit(vb_scheduler *s, vb_job *job, vb_err *err);
void vb_scheduler_wake(vb_scheduler *s); /* something was cancelled */
/* A slot of a loaded model as others may see it; what its job asks for is 0 while it is free. */
typedef struct {
    const vb_host *host;
    int slot, busy, prompt_tokens, max_tokens;
} vb_slot;
void vb_scheduler_slots(vb_scheduler *s, void (*fn)(void *ud, const vb_slot *slot), void *ud);
void vb_scheduler_stats_get(vb_scheduler *s, vb_scheduler_stats *out);
int vb_scheduler_most(const vb_scheduler *s); /* jobs that may wait */

#endif
