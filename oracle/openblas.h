/* openblas.h - the few functions of OpenBLAS that blas.c calls, found when such a player is opened: nobody else needs
 * the library, and loading it starts threads. Declared here as in its cblas.h, row-major.
 */
#ifndef VB_ORACLE_OPENBLAS_H
#define VB_ORACLE_OPENBLAS_H
#include "base/err.h"

enum { CblasRowMajor = 101, CblasNoTrans = 111, CblasTrans = 112 };

typedef struct {
    float (*sdot)(int n, const float *x, int incx, const float *y, int incy);
    void (*saxpy)(int n, float alpha, const float *x, int incx, float *y, int incy);
    void (*sgemv)(int order, int trans, int m, int n, float alpha, const float *a, int lda, const float *x, int incx,
                  float beta, float *y, int incy);
    void (*sgemm)(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a, int lda,
                  const float *b, int ldb, float beta, float *c, int ldc);
    void (*set_threads)(int n);
} vb_openblas;

/* VB_E_UNSUPPORTED says which package brings it. Once loaded it stays, because its threads do. */
vb_status vb_openblas_load(vb_openblas *out, vb_err *err);

#endif
