/* commands.h - the commands as data (commands.def) and as functions. A command gets its parsed arguments, writes data
 * to stdout and talk to stderr, and returns the exit code.
 */
#ifndef VB_CLI_COMMANDS_H
#define VB_CLI_COMMANDS_H
#include "opts.h"

typedef enum {
#define VB_COMMAND(id, ...) VB_CMD_##id,
#include "commands.def"
#undef VB_COMMAND
    VB_CMD_COUNT
} vb_command_id;

struct vb_command {
    vb_command_id id;
    int (*run)(const vb_args *args);
    const char *name, *arguments;
    int least, most;
    const char *kinds, *summary;
};
extern const vb_command vb_commands[VB_CMD_COUNT];

#define VB_COMMAND(id, function, ...) int function(const vb_args *args);
#include "commands.def"
#undef VB_COMMAND

/* The command that words[0..n) begin with ("trace show" takes two); *used gets the number of words. NULL: none. */
const vb_command *vb_command_find(char *const *words, int n, int *used);

void vb_print_usage(FILE *to, const vb_command *command); /* NULL: the list of commands */

#endif
