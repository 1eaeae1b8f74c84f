/* openblas.c - libopenblas by dlopen. */
#include "oracle/openblas.h"

#include <dlfcn.h>
#include <string.h>

/* POSIX lets a symbol be a function though C does not: copied as bytes. */
static int find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

vb_status vb_openblas_load(vb_openblas *out, vb_err *err)
{
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        VB_FAIL(err, VB_E_UNSUPPORTED, "player blas: expected libopenblas.so.0 (Debian: libopenblas0), found none: %s",
                dlerror());
    if (!find(library, "cblas_sdot", &out->sdot) || !find(library, "cblas_saxpy", &out->saxpy) ||
        !find(library, "cblas_sgemv", &out->sgemv) || !find(library, "cblas_sgemm", &out->sgemm) ||
        !find(library, "openblas_set_num_threads", &out->set_threads))
        VB_FAIL(err, VB_E_UNSUPPORTED, "player blas: libopenblas.so.0: %s", dlerror());
    return VB_OK;
}
