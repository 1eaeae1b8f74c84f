/* gbnf.h - GBNF, the grammars of llama.cpp, read into rules. */
#ifndef VB_GRAMMAR_GBNF_H
#define VB_GRAMMAR_GBNF_H
#include "grammar/expr.h"

/* Errors name the line. *root gets the rule "root". */
vb_status vb_gbnf_read(vb_rules *rules, int *root, const char *text, size_t len, vb_err *err);

#endif
