/* json.h - the parts of JSON as expressions: white space, strings and their characters, values of any kind.
 *
 * White space is bounded, so that a model cannot write it forever: nothing, a blank, or up to two line ends and an
 * indent.
 */
#ifndef VB_GRAMMAR_JSON_H
#define VB_GRAMMAR_JSON_H
#include "grammar/expr.h"

#include <jansson.h>

typedef struct {
    vb_rules *r;
    int space, character, string, number, integer, value, object, array; /* rules, -1: not made yet */
} vb_jg_rules;

void vb_jg_start(vb_jg_rules *j, vb_rules *r);
int vb_jg_space(vb_jg_rules *j);
int vb_jg_char(vb_jg_rules *j);   /* one code point, as itself or escaped */
int vb_jg_string(vb_jg_rules *j);
int vb_jg_number(vb_jg_rules *j);
int vb_jg_integer(vb_jg_rules *j);
int vb_jg_value(vb_jg_rules *j);
int vb_jg_object(vb_jg_rules *j);
int vb_jg_array(vb_jg_rules *j);
/* One of the code points, in the form a string has it in; `ranges` as for vb_expr_class. */
int vb_jg_class(vb_jg_rules *j, const vb_range *ranges, int n, int inverted);
/* Exactly this text, between quotation marks. */
int vb_jg_literal(vb_jg_rules *j, const char *text, size_t len);
/* Exactly this value, with white space where there may be some. */
int vb_jg_exactly(vb_jg_rules *j, const json_t *value);
/* A string that is none of the `n` keys: sorted by their bytes, all different. */
int vb_jg_other_key(vb_jg_rules *j, const char *const *keys, int n);

#endif
