/* cmd_help.c - `verbatim help` and `verbatim version`: all text is made from the two tables. */
#include "commands.h"
#include "completion.h"
#include "out.h"

#include <string.h>

static void print_options(FILE *to, const vb_command *command)
{
    fputs("\nOptions\n", to);
    for (int i = 0; i < vb_n_opts; i++) {
        const vb_opt *opt = &vb_opts[i];
        char left[64], letter[8] = "    ";
        if (!vb_opt_of(opt, command)) continue;
        if (opt->letter) snprintf(letter, sizeof letter, "-%c, ", opt->letter);
        if (opt->type == VB_OPT_MAYBE) snprintf(left, sizeof left, "%s--%s[=%s]", letter, opt->name, opt->value);
        else snprintf(left, sizeof left, "%s--%s%s%s", letter, opt->name, opt->value ? " " : "", opt->value ? opt->value : "");
        fprintf(to, "  %-36s %s\n", left, opt->help);
    }
}

void vb_print_usage(FILE *to, const vb_command *command)
{
    if (command != NULL) {
        fprintf(to, "Usage: verbatim %s [OPTION...]%s%s\n\n%c%s.\n", command->name, *command->arguments ? " " : "",
                command->arguments, command->summary[0] - 'a' + 'A', command->summary + 1);
        print_options(to, command);
        return;
    }
    fputs("Usage: verbatim COMMAND [OPTION...] [ARGUMENT...]\n\nRuns language models so that the same input gives the "
          "same bits.\n\nCommands\n", to);
    for (int i = 0; i < VB_CMD_COUNT; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s %s", vb_commands[i].name, vb_commands[i].arguments);
        fprintf(to, "  %-34s %s\n", left, vb_commands[i].summary);
    }
    fputs("\nMODEL is a GGUF file, a name in an Ollama store, smollm2, or tales-1m. verbatim help COMMAND says more.\n"
          "Exit codes: 0 ok, 1 differs, 2 usage, 3 input or model, 4 input/output, 5 memory, 6 network.\n", to);
}

static json_t *options_json(const vb_command *command)
{
    json_t *array = json_array();
    for (int i = 0; i < vb_n_opts; i++) {
        const vb_opt *opt = &vb_opts[i];
        char letter[2] = {opt->letter, '\0'};
        if (!vb_opt_of(opt, command)) continue;
        json_array_append_new(array, json_pack("{s:s, s:s?, s:s?, s:s}", "name", opt->name, "letter",
                                               opt->letter ? letter : NULL, "value", opt->value, "help", opt->help));
    }
    return array;
}

static json_t *command_json(const vb_command *command)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "name", command->name, "arguments", command->arguments, "summary",
                     command->summary, "options", options_json(command));
}

static int print_json(const vb_command *command)
{
    if (command != NULL) return vb_print_json(command_json(command));
    json_t *array = json_array();
    for (int i = 0; i < VB_CMD_COUNT; i++) json_array_append_new(array, command_json(&vb_commands[i]));
    return vb_print_json(json_pack("{s:o}", "commands", array));
}

int vb_cmd_help(const vb_args *args)
{
    const vb_command *command = NULL;
    int used = 0;
    if (args->completion) {
        vb_print_completion(stdout, args->completion);
        return VB_EXIT_OK;
    }
    if (args->n_rest > 0) command = vb_command_find(args->rest, args->n_rest, &used);
    if (args->n_rest > used)
        return vb_wrong("help", "expected a command, found '%s%s%s'", args->rest[0], args->n_rest > 1 ? " " : "",
                        args->n_rest > 1 ? args->rest[1] : "");
    if (args->json) return print_json(command);
    vb_print_usage(stdout, command);
    return VB_EXIT_OK;
}

int vb_cmd_version(const vb_args *args)
{
    if (args->json)
        return vb_print_json(json_pack("{s:s, s:i}", "version", vb_version(), "arithmetic", VB_ARITHMETIC_VERSION));
    printf("verbatim %s (arithmetic %d)\n", vb_version(), VB_ARITHMETIC_VERSION);
    return VB_EXIT_OK;
}
