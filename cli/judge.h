/* judge.h - what a comparison came to: a difference is a result, not a failure, so it is data on stdout and exit code 1. */
#ifndef VB_CLI_JUDGE_H
#define VB_CLI_JUDGE_H
#include "opts.h"

#include <jansson.h>

json_t *vb_json_diff(const vb_diff *diff);
/* "differs in record 7 (position 6): top", then both sides under their names. */
void vb_print_difference(const vb_diff *diff, const char *a, const char *b);
/* Prints the result of comparing args->rest[0] with `b` and returns the exit code. */
int vb_diff_verdict(const vb_args *args, vb_status status, const vb_err *err, const vb_diff *diff, const char *b);

#endif
