/* common.h - what several families settle and emit alike. */
#ifndef VB_ARCH_COMMON_H
#define VB_ARCH_COMMON_H
#include "arch/arch.h"

/* Every rotating dimension and every kind of scaling as the file says. */
vb_rope vb_rope_of(const vb_params *h, vb_pairing pairing);
/* Yarn without the context it scales from: the model's own. */
void vb_settle_yarn(vb_params *h);
/* An error where the file gives no epsilon for its RMS norms. */
vb_status vb_need_eps(const vb_params *h, vb_err *err);
/* An error where experts, those used for a token, or their width make no sense; a width left out is feed_forward_length
 * of layer 0. */
vb_status vb_settle_experts(vb_params *h, vb_err *err);
/* Routed experts with weights that sum to 1 or are shares of all (`how`), as wide as x. */
vb_val vb_routed_ffn(vb_plan *p, const vb_params *h, vb_val x, vb_routing how);

#endif
