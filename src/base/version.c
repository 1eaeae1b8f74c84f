/* version.c - names of the version and of the status codes. */
#include "verbatim.h"

VB_API const char *vb_version(void)
{
    return VB_VERSION;
}

VB_API const char *vb_status_name(vb_status status)
{
    static const char *const names[] = {"ok", "input/output", "format", "unsupported", "memory", "argument",
                                        "context full", "stopped", "differs", "not found"};
    int i = -(int)status;
    return i >= 0 && i < (int)(sizeof names / sizeof names[0]) ? names[i] : "unknown";
}
