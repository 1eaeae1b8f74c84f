/* pattern.h - regular expressions of schemas, as expressions over a string's characters. */
#ifndef VB_GRAMMAR_PATTERN_H
#define VB_GRAMMAR_PATTERN_H
#include "grammar/json.h"

/* What stands between the quotation marks of a string in which the pattern is found (ECMA 262; ^ and $ tie it to the
 * ends). VB_E_UNSUPPORTED: assertions inside, references, properties; VB_E_FORMAT: no pattern. */
vb_status vb_pattern_read(int *out, vb_jg_rules *j, const char *pattern, vb_err *err);
/* The pattern of a "format" that has one; NULL: it is not looked at. */
const char *vb_pattern_of_format(const char *format);

#endif
