/* err.c - the one place where error text is written. Text that does not fit is cut, never overrun. */
#include "base/err.h"

#include <stdarg.h>

vb_status vb_fail(vb_err *err, vb_status code, const char *fmt, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, args);
        va_end(args);
        err->code = code;
    }
    return code;
}
