/* main.c - finds the command, parses its options, runs it, and makes sure that what was printed really arrived.
 *
 * The command line is a customer of the library like any other: it includes verbatim.h and
 * the rooms that stand on it (page, parity, prove, serve), nothing of the engine.
 */
#include "commands.h"
#include "out.h"

#include <stdlib.h>
#include <string.h>

const vb_command vb_commands[VB_CMD_COUNT] = {
#define VB_COMMAND(id, function, name, ...) {VB_CMD_##id, function, name, __VA_ARGS__},
#include "commands.def"
#undef VB_COMMAND
};

/* The number of `words` that spell `name`, 0 if they do not. */
static int words_of(const char *name, char *const *words, int n)
{
    size_t first = strcspn(name, " ");
    if (n < 1 || strlen(words[0]) != first || memcmp(name, words[0], first) != 0) return 0;
    if (name[first] == '\0') return 1;
    return n >= 2 && strcmp(name + first + 1, words[1]) == 0 ? 2 : 0;
}

const vb_command *vb_command_find(char *const *words, int n, int *used)
{
    for (int i = 0; i < VB_CMD_COUNT; i++) {
        *used = words_of(vb_commands[i].name, words, n);
        if (*used > 0) return &vb_commands[i];
    }
    *used = 0;
    return NULL;
}

/* What other programs have taught fingers: --help, -h, --version, ls. */
static const char *spelled(const char *word)
{
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) return "help";
    if (strcmp(word, "--version") == 0) return "version";
    return strcmp(word, "ls") == 0 ? "list" : word;
}

static int run(int argc, char **argv)
{
    vb_args args = {0};
    int used = 0, code;
    if (argc < 2) {
        vb_say("expected a command, found none; verbatim help lists them");
        return VB_EXIT_USAGE;
    }
    char *spelling = strdup(spelled(argv[1]));
    args.rest = calloc((size_t)argc, sizeof *args.rest);
    if (spelling == NULL || args.rest == NULL) {
        code = vb_no_memory();
        goto out;
    }
    char *first_two[2] = {spelling, argc > 2 ? argv[2] : NULL};
    args.command = vb_command_find(first_two, argc > 2 ? 2 : 1, &used);
    if (args.command == NULL) {
        code = vb_wrong("command", "expected one of those in verbatim help, found '%s%s%s'", argv[1],
                        argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
        goto out;
    }
    code = vb_opts_parse(&args, argv + 1 + used, argc - 1 - used);
    if (code == 0 && args.help) vb_print_usage(stdout, args.command);
    else if (code == 0) code = args.command->run(&args);
out:
    free(args.rest);
    free(spelling);
    return code;
}

int main(int argc, char **argv)
{
    vb_out_start();
    return vb_out_end(run(argc, argv));
}
