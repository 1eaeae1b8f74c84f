/* partners.h - the other engines that a command line names: recorded ones and live ones, all asked the same way. */
#ifndef VB_CLI_PARTNERS_H
#define VB_CLI_PARTNERS_H
#include "opts.h"
#include "questions.h"

#include "parity/answer.h"

/* How many of --ollama, --llama-server and the recordings were named: 0, 1, ... */
int vb_partners_named(const vb_args *args);
int vb_partner_live(const vb_args *args); /* 1: one of them answers questions */

/* Every case of every --recording, then the live engine's answers to the questions, each as one user message behind
 * --system, or raw; `model` is how the engine calls it. Returns 0, or an exit code after saying what went wrong
 * (VB_EXIT_NETWORK where it is the partner's doing); then `out` is empty. */
int vb_partners_ask(vb_answers *out, const vb_args *args, const char *model, const vb_asked *questions, int n);

#endif
