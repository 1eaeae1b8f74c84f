/* retap.h - the recorded taps of a trace, compared with the same values while they are computed again. */
#ifndef VB_TRACES_RETAP_H
#define VB_TRACES_RETAP_H
#include "traces/rerun.h"

typedef struct vb_retap vb_retap;

/* From now on what `session` computes is compared; the session must go before the rerun and the retap. */
vb_status vb_retap_open(vb_retap **out, const vb_rerun *rerun, vb_session *session, vb_err *err);
/* The first difference in the taps of tokens from .. to, which have been evaluated. */
const vb_diff *vb_retap_verdict(vb_retap *taps, int from, int to);
void vb_retap_close(vb_retap *taps);

#endif
