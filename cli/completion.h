/* completion.h - completion scripts for the three common shells. */
#ifndef VB_CLI_COMPLETION_H
#define VB_CLI_COMPLETION_H
#include <stdio.h>

void vb_print_completion(FILE *to, const char *shell); /* "bash", "zsh" or "fish" */

#endif
