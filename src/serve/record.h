/* record.h - what is kept of an answer: a trace, if the server was told where, and a digest of all its logits.
 *
 *   token chosen --scheduler--> vb_record_token: the trace's next record, then the text may be shown
 *   job ended    -------------> vb_record_end: the trace is whole, before the answer names it
 *
 * A job has its own record, which is used by the scheduler's thread alone until on_end, and by its route from then on.
 */
#ifndef VB_SERVE_RECORD_H
#define VB_SERVE_RECORD_H
#include "serve/job.h"
#include "serve/request.h"

typedef struct vb_recorder vb_recorder;
typedef struct vb_record vb_record;

/* Makes the folder, for its owner alone, if it is not there. dir NULL: no traces. */
vb_status vb_recorder_open(vb_recorder **out, const char *dir, vb_err *err);
void vb_recorder_close(vb_recorder *r);
uint64_t vb_recorder_traces(const vb_recorder *r); /* begun so far */

/* What a request asks for in "verbatim": 1: the digest, also where no trace is kept. */
int vb_record_asked(vb_request *r);
/* Of choice `choice` of `choices`; *out is NULL if nothing is to be kept. 0: *fault says why not. */
int vb_record_open(vb_record **out, vb_recorder *r, const char *request, int choice, int choices, vb_fault *fault);
int vb_record_wanted(const vb_recorder *r, int asked);
void vb_record_close(vb_record *record);
/* The job has chosen `id` from what its session has evaluated. */
vb_status vb_record_token(vb_record *record, const vb_job *job, vb_session *session, vb_token id, vb_err *err);
vb_status vb_record_end(vb_record *record, vb_err *err);
/* The name of the trace: its file is NAME.trace. NULL: there is none. */
const char *vb_record_trace(const vb_record *record);
/* The answer's "verbatim":{"trace":...,"logits_digest":...,"ignored":[...]}, with what there is of it; names as
 * vb_request_ignored gives them. */
void vb_verbatim_put(vb_out *out, const vb_record *record, const char *names);
void vb_verbatim_put_all(vb_out *out, const vb_record *record, const vb_request *r);

#endif
