/* like_ggml.h - steps as ggml computes them, where it differs on purpose (VB_GGML_... in verbatim.h).
 *
 * Each has the parameters of the step it stands in for. None is part of the definition: they show how much of the
 * distance between two engines comes from which difference (docs/PARITY.md).
 */
#ifndef VB_ORACLE_LIKE_GGML_H
#define VB_ORACLE_LIKE_GGML_H
#include "oracle/oracle.h"

/* How these differences multiply by that weight: vb_oracle_linear where they do not touch it. */
vb_oracle_multiply *vb_like_ggml_multiply(int differences, const vb_tensor *weight, vb_arith arith);

vb_status vb_like_ggml_attend(float *out, const float *q, const vb_oracle_cache *cache, const vb_heads *shape,
                              const float *sinks, int position);
void vb_like_ggml_glu(float *y, const float *gate, const float *up, int n, vb_glu act);
void vb_like_ggml_act(float *y, const float *x, int n, vb_curve curve);
void vb_like_ggml_rope_table(float *cos, float *sin, const vb_rope *rope, int position);

/* An error names what these differences need. */
vb_status vb_like_ggml_check(int differences, vb_err *err);
vb_status vb_like_ggml_check_kv(int differences, vb_kv kv, vb_err *err);

#endif
