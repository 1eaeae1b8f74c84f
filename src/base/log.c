/* log.c - the library's only writable global: where lines of talk go. */
#include "base/log.h"

#include "verbatim.h"

#include <stdarg.h>

static struct {
    vb_log_fn fn;
    void *ud;
} sink;

VB_API void vb_log_to(vb_log_fn fn, void *ud)
{
    sink.fn = fn;
    sink.ud = ud;
}

void vb_log(int level, const char *fmt, ...)
{
    if (sink.fn == NULL) return;
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    sink.fn(sink.ud, level, line);
}
