/* completion.c - completion scripts written from the two tables, so that they cannot fall behind the program.
 *
 * All three ask `verbatim list` for models when a MODEL is wanted, and offer files beside them.
 */
#include "completion.h"

#include "commands.h"

#include <string.h>

static const char MODELS[] = "verbatim list 2>/dev/null | awk 'NR > 1 { print $1 }'";

static int takes_words(const vb_opt *opt)
{
    return opt->type == VB_OPT_CHOICE || opt->type == VB_OPT_WORD || opt->type == VB_OPT_SET;
}

static int takes_files(const vb_opt *opt)
{
    return opt->type == VB_OPT_FILE || opt->type == VB_OPT_FILES;
}

static int takes_value(const vb_opt *opt)
{
    return opt->type != VB_OPT_FLAG && opt->type != VB_OPT_MAYBE;
}

static int may_repeat(const vb_opt *opt)
{
    return opt->type == VB_OPT_TEXTS || opt->type == VB_OPT_FILES;
}

/* "a|b|c" as "a b c". */
static void put_words(FILE *to, const char *words)
{
    for (; *words; words++) fputc(*words == '|' ? ' ' : *words, to);
}

/* The first words of all commands, each once; of "trace show" and its sisters only "trace". */
static void put_first_words(FILE *to)
{
    size_t last = 0;
    for (int i = 0; i < VB_CMD_COUNT; i++) {
        const char *name = vb_commands[i].name;
        size_t len = strcspn(name, " ");
        int again = i > 0 && len == last && memcmp(name, vb_commands[i - 1].name, len) == 0;
        if (!again) fprintf(to, "%s%.*s", i ? " " : "", (int)len, name);
        last = len;
    }
}

static void put_second_words(FILE *to)
{
    const char *space, *gap = "";
    for (int i = 0; i < VB_CMD_COUNT; i++) {
        if ((space = strchr(vb_commands[i].name, ' ')) == NULL) continue;
        fprintf(to, "%s%s", gap, space + 1);
        gap = " ";
    }
}

/* --- bash ---------------------------------------------------------------------------------------------- */

static const char BASH_HEAD[] =
    "# bash completion for verbatim, printed by `verbatim help --completion bash`\n"
    "_verbatim()\n"
    "{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}\n"
    "    local first=2 n=0 i options= kinds= valued kind\n"
    "    COMPREPLY=()\n"
    "    if [[ $cur == = ]]; then cur=\n"
    "    elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}\n"
    "    fi\n";

static const char BASH_TAIL[] =
    "    if [[ $cur == -* ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    for ((i = first; i < COMP_CWORD; i++)); do\n"
    "        case \" $valued \" in *\" ${COMP_WORDS[i]} \"*) ((i++)); continue ;; esac\n"
    "        [[ ${COMP_WORDS[i]} == -?* ]] || ((n++))\n"
    "    done\n"
    "    kind=${kinds:n:1}\n"
    "    case ${kind:-${kinds: -1}} in\n"
    "        m) _verbatim_files; COMPREPLY+=($(compgen -W \"$(%s)\" -- \"$cur\")) ;;\n"
    "        f) _verbatim_files ;;\n"
    "        c) COMPREPLY=($(compgen -W \"$commands\" -- \"$cur\")) ;;\n"
    "    esac\n"
    "}\n"
    "_verbatim_files()\n"
    "{\n"
    "    compopt -o filenames 2>/dev/null\n"
    "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
    "}\n"
    "complete -F _verbatim verbatim\n";

static void bash_commands(FILE *to)
{
    fputs("    local commands=\"", to);
    put_first_words(to);
    fputs("\"\n    if ((COMP_CWORD == 1)); then\n        COMPREPLY=($(compgen -W \"$commands\" -- \"$cur\"))\n"
          "        return\n    fi\n    if [[ $command == trace ]]; then\n        if ((COMP_CWORD == 2)); then\n"
          "            COMPREPLY=($(compgen -W \"", to);
    put_second_words(to);
    fputs("\" -- \"$cur\"))\n            return\n        fi\n        command=\"trace ${COMP_WORDS[2]}\"\n"
          "        first=3\n    fi\n    case $command in\n", to);
    for (int i = 0; i < VB_CMD_COUNT; i++) {
        fprintf(to, "        '%s') kinds=%s options=\"", vb_commands[i].name, vb_commands[i].kinds);
        for (int k = 0; k < vb_n_opts; k++)
            if (vb_opt_of(&vb_opts[k], &vb_commands[i])) fprintf(to, "--%s ", vb_opts[k].name);
        fputs("\" ;;\n", to);
    }
    fputs("    esac\n", to);
}

static void bash_values(FILE *to)
{
    fputs("    valued=\"", to);
    for (int k = 0; k < vb_n_opts; k++) {
        if (!takes_value(&vb_opts[k])) continue;
        fprintf(to, "--%s ", vb_opts[k].name);
        if (vb_opts[k].letter) fprintf(to, "-%c ", vb_opts[k].letter);
    }
    fputs("\"\n    case $prev in\n", to);
    for (int k = 0; k < vb_n_opts; k++) {
        const vb_opt *opt = &vb_opts[k];
        if (takes_words(opt)) {
            fprintf(to, "        --%s) COMPREPLY=($(compgen -W \"", opt->name);
            put_words(to, opt->value);
            fputs("\" -- \"$cur\")); return ;;\n", to);
        } else if (takes_files(opt)) fprintf(to, "        --%s) _verbatim_files; return ;;\n", opt->name);
        else if (opt->type == VB_OPT_MODEL)
            fprintf(to, "        --%s) _verbatim_files; COMPREPLY+=($(compgen -W \"$(%s)\" -- \"$cur\")); return ;;\n",
                    opt->name, MODELS);
    }
    fputs("    esac\n    case \" $valued \" in *\" $prev \"*) return ;; esac\n", to);
}

static void print_bash(FILE *to)
{
    fputs(BASH_HEAD, to);
    bash_commands(to);
    bash_values(to);
    fprintf(to, BASH_TAIL, MODELS);
}

/* --- zsh ----------------------------------------------------------------------------------------------- */

/* Inside '...' and a zsh specification: quotes, brackets and colons are escaped. */
static void zsh_text(FILE *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'') fputs("'\\''", to);
        else if (strchr("[]:\\", *text)) fprintf(to, "\\%c", *text);
        else if (*text != '`') fputc(*text, to);
    }
}

static void zsh_value(FILE *to, const vb_opt *opt)
{
    fputs(":", to);
    zsh_text(to, takes_words(opt) ? opt->name : opt->value);
    fputs(":", to);
    if (takes_words(opt)) {
        fputc('(', to);
        put_words(to, opt->value);
        fputc(')', to);
    } else fputs(takes_files(opt) ? "_files" : opt->type == VB_OPT_MODEL ? "_verbatim_models" : " ", to);
}

static void zsh_option(FILE *to, const vb_opt *opt)
{
    int has_value = takes_value(opt);
    for (int letter = 0; letter <= (opt->letter != 0); letter++) {
        fputs(" \\\n            '", to);
        if (may_repeat(opt)) fputc('*', to);
        else if (opt->letter) fprintf(to, "(-%c --%s)", opt->letter, opt->name);
        if (letter) fprintf(to, "-%c%s[", opt->letter, has_value ? "+" : "");
        else fprintf(to, "--%s%s[", opt->name, has_value ? "=" : "");
        zsh_text(to, opt->help);
        fputc(']', to);
        if (has_value) zsh_value(to, opt);
        fputc('\'', to);
    }
}

static const char *zsh_action(char kind)
{
    return kind == 'm' ? "model:_verbatim_models" : kind == 'f' ? "file:_files"
         : kind == 'c' ? "command:_verbatim_commands" : "text: ";
}

static void zsh_command(FILE *to, const vb_command *command)
{
    fprintf(to, "        '%s') _arguments -S", command->name);
    for (int k = 0; k < vb_n_opts; k++)
        if (vb_opt_of(&vb_opts[k], command)) zsh_option(to, &vb_opts[k]);
    for (const char *kind = command->kinds; *kind; kind++)
        fprintf(to, " \\\n            '%s:%s'",
                kind[1] == '\0' && command->most > kind - command->kinds + 1 ? "*" : "", zsh_action(*kind));
    fputs(" ;;\n", to);
}

static void print_zsh(FILE *to)
{
    fprintf(to, "#compdef verbatim\n# printed by `verbatim help --completion zsh`\n_verbatim_models()\n{\n"
                "    local -a models\n    models=(${(f)\"$(%s)\"})\n"
                "    _alternative 'models:model:compadd -a models' 'files:file:_files'\n}\n"
                "_verbatim_commands()\n{\n    local -a commands\n    commands=(", MODELS);
    for (int i = 0; i < VB_CMD_COUNT; i++) {
        if (strchr(vb_commands[i].name, ' ')) continue;
        fprintf(to, "\n        '%s:", vb_commands[i].name);
        zsh_text(to, vb_commands[i].summary);
        fputc('\'', to);
    }
    fputs("\n        'trace:show, compare or replay a recording')\n    _describe command commands\n}\n"
          "_verbatim()\n{\n    local command=$words[2]\n    if ((CURRENT == 2)); then _verbatim_commands; return; fi\n"
          "    if [[ $command == trace ]]; then\n        if ((CURRENT == 3)); then compadd ", to);
    put_second_words(to);
    fputs("; return; fi\n        command=\"trace $words[3]\"\n        shift words; ((CURRENT--))\n    fi\n"
          "    shift words; ((CURRENT--))\n    case $command in\n", to);
    for (int i = 0; i < VB_CMD_COUNT; i++) zsh_command(to, &vb_commands[i]);
    fputs("    esac\n}\nif [[ $funcstack[1] == _verbatim ]]; then _verbatim \"$@\"\n"
          "else compdef _verbatim verbatim\nfi\n", to);
}

/* --- fish ---------------------------------------------------------------------------------------------- */

static void fish_text(FILE *to, const char *text)
{
    fputs(" -d '", to);
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\') fputc('\\', to);
        fputc(*text, to);
    }
    fputs("'\n", to);
}

static void fish_option(FILE *to, const vb_command *command, const vb_opt *opt)
{
    fprintf(to, "complete -c verbatim -n '__verbatim_is %s' -l %s", command->name, opt->name);
    if (opt->letter) fprintf(to, " -s %c", opt->letter);
    if (takes_files(opt)) fputs(" -r -F", to);
    else if (takes_value(opt)) fputs(" -x", to);
    if (opt->type == VB_OPT_MODEL) fputs(" -a '(__verbatim_models)'", to);
    if (takes_words(opt)) {
        fputs(" -a '", to);
        put_words(to, opt->value);
        fputc('\'', to);
    }
    fish_text(to, opt->help);
}

static void fish_command(FILE *to, const vb_command *command)
{
    const char *space = strchr(command->name, ' ');
    if (space) fprintf(to, "complete -c verbatim -n '__verbatim_at 2 trace' -a %s", space + 1);
    else fprintf(to, "complete -c verbatim -n '__verbatim_at 1' -a %s", command->name);
    fish_text(to, command->summary);
    if (strchr(command->kinds, 'm'))
        fprintf(to, "complete -c verbatim -n '__verbatim_is %s' -F -a '(__verbatim_models)'\n", command->name);
    else if (strchr(command->kinds, 'f')) fprintf(to, "complete -c verbatim -n '__verbatim_is %s' -F\n", command->name);
    for (int k = 0; k < vb_n_opts; k++)
        if (vb_opt_of(&vb_opts[k], command)) fish_option(to, command, &vb_opts[k]);
}

static void print_fish(FILE *to)
{
    fprintf(to, "# fish completion for verbatim, printed by `verbatim help --completion fish`\n"
                "function __verbatim_models\n    %s\nend\n"
                "function __verbatim_is\n    set -l words (commandline -opc)\n"
                "    set -l last (math 1 + (count $argv))\n"
                "    test (count $words) -ge $last; and test \"$words[2..$last]\" = \"$argv\"\nend\n"
                "function __verbatim_at\n    test (count (commandline -opc)) -eq $argv[1]; or return 1\n"
                "    test (count $argv) -eq 1; or __verbatim_is $argv[2]\nend\n"
                "complete -c verbatim -f\n"
                "complete -c verbatim -n '__verbatim_at 1' -a trace -d 'show, compare or replay a recording'\n",
            MODELS);
    for (int i = 0; i < VB_CMD_COUNT; i++) fish_command(to, &vb_commands[i]);
}

void vb_print_completion(FILE *to, const char *shell)
{
    if (strcmp(shell, "bash") == 0) print_bash(to);
    else if (strcmp(shell, "zsh") == 0) print_zsh(to);
    else print_fish(to);
}
