/* arith.h - the scalar functions and ordered sums of docs/ARITHMETIC.md, in the plainest C there is.
 *
 * This text shares nothing with the fast path: both are written from the document, and tests compare them. Every
 * operation rounds once, to nearest even (A1); nothing may be fused.
 */
#ifndef VB_ORACLE_ARITH_H
#define VB_ORACLE_ARITH_H
#include <stdint.h>

float vb_oracle_guard(float x); /* A5 */
int vb_oracle_finite(const float *x, int64_t n);

float vb_oracle_from_half(uint16_t half);
uint16_t vb_oracle_to_half(float x); /* infinity where it overflows */

int vb_oracle_round(float x); /* B4 */
float vb_oracle_recip(float b);
float vb_oracle_exp(float x);
float vb_oracle_sigmoid(float x);
float vb_oracle_silu(float x);
float vb_oracle_gelu_tanh(float x);
float vb_oracle_gelu_erf(float x);
float vb_oracle_tanh(float x);
float vb_oracle_log(float x);
float vb_oracle_erf(float x);
float vb_oracle_softplus(float x);

double vb_oracle_sin64(double x); /* F6 */
double vb_oracle_cos64(double x);
double vb_oracle_exp64(double x);
double vb_oracle_log64(double x);

/* E1: the dot product of n elements in 16 lanes. */
float vb_oracle_dot(const float *x, const float *y, int64_t n);
/* The halving tree over 16 lanes that ends E1. */
float vb_oracle_tree(const float lane[16]);
/* B: n values in blocks of `block` become q[n] and d[n / block]. */
void vb_oracle_quantize(const float *x, int64_t n, int block, int8_t *q, float *d);

/* J6: Philox4x32-10. */
void vb_oracle_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);

#endif
