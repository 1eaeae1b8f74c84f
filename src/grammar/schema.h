/* schema.h - a JSON Schema read into rules. docs/GRAMMAR.md says which keywords are held. */
#ifndef VB_GRAMMAR_SCHEMA_H
#define VB_GRAMMAR_SCHEMA_H
#include "grammar/expr.h"

/* What asks for something that no rule says is named in rules->unheld. Errors name the place. */
vb_status vb_schema_read(vb_rules *rules, int *root, const char *text, size_t len, vb_err *err);

#endif
