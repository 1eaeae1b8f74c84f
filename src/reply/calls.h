/* calls.h - the text between the marks of a call, read: JSON, or one of the notations that families have made up.
 *
 *   {"name": "f", "arguments": {...}} ...   also in a list, and with tool_name, parameters, function, or {"f": {...}}
 *   f[ARGS]{...}    function<sep>f ```json {...} ```    functions.f:0<sep>{...}    the name, then JSON
 *   <function=f><parameter=k>v</parameter></function>    <invoke name="f"><parameter name="k">v</parameter></invoke>
 *   f <arg_key>k</arg_key><arg_value>v</arg_value>
 *   [f(k="v", n=1)]    call:f{k:<|"|>v<|"|>,n:1}
 *
 * Which one it is, is seen in the text itself.
 */
#ifndef VB_REPLY_CALLS_H
#define VB_REPLY_CALLS_H
#include <jansson.h>
#include <stddef.h>

/* Adds {"name": ..., "arguments": JSON as text} for each call; `known`: only of these tools. 0: the text is not calls, and
 * none is added. */
int vb_calls_read(json_t *calls, const json_t *tools, int known, const char *text, size_t len);
/* The same of arguments alone. */
int vb_call_named(json_t *calls, const char *name, const char *text, size_t len);

#endif
