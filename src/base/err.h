/* err.h - how a failure travels.
 *
 * A function that can fail returns vb_status and takes `vb_err *err` last. Where something goes wrong VB_FAIL
 * writes one line (file, object, expected, found) and gives back the code; on the way up VB_TRY passes it on, or
 * VB_TRY_OUT jumps to the function's single `out:` label when there is something to release. Nothing is logged
 * and nothing is global. The types come from the public header, the only thing below this room.
 */
#ifndef VB_BASE_ERR_H
#define VB_BASE_ERR_H
#include "verbatim.h"

/* Fills err (if not NULL) and returns code. The first failure wins only in so far as callers stop at it. */
vb_status vb_fail(vb_err *err, vb_status code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define VB_FAIL(err, code, ...) return vb_fail(err, code, __VA_ARGS__)
#define VB_TRY(call)                     \
    do {                                 \
        vb_status vb_try_ = (call);      \
        if (vb_try_ < 0) return vb_try_; \
    } while (0)
#define VB_TRY_OUT(status, call)        \
    do {                                \
        (status) = (call);              \
        if ((status) < 0) goto out;     \
    } while (0)

#endif
