/* cmd_trace_branch.c - `verbatim trace branch`: back to a point of a recording, and on from there in another way.
 *
 *   parent   [ 0 .. at )  [ at ..
 *   branch   [ 0 .. at )  [ --token or --text ]  [ chosen with the recorded settings, or those of the command line ..
 *            \_____ given tokens of the new trace ____/
 */
#include "answer.h"
#include "commands.h"
#include "out.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- settings -------------------------------------------------------------------------------------------- */

/* The recorded settings, where the command line says nothing else. */
static vb_sampling settings(const vb_args *args, const vb_sampling *recorded)
{
    vb_sampling s = *recorded;
    const vb_sampling *given = &args->sampling;
    if (vb_opt_given(args, "temp")) s.temperature = given->temperature;
    if (vb_opt_given(args, "top-k")) s.top_k = given->top_k;
    if (vb_opt_given(args, "top-p")) s.top_p = given->top_p;
    if (vb_opt_given(args, "min-p")) s.min_p = given->min_p;
    if (vb_opt_given(args, "typical")) s.typical = given->typical;
    if (vb_opt_given(args, "repeat-penalty")) s.repeat = given->repeat;
    if (vb_opt_given(args, "repeat-last-n")) s.repeat_last = given->repeat_last;
    if (vb_opt_given(args, "presence-penalty")) s.presence = given->presence;
    if (vb_opt_given(args, "frequency-penalty")) s.frequency = given->frequency;
    if (vb_opt_given(args, "seed")) s.seed = given->seed;
    return s;
}

static int check(const vb_args *args)
{
    vb_err err = {0};
    int says_token = vb_opt_given(args, "token");
    if (!vb_opt_given(args, "at")) return vb_wrong("trace branch", "expected --at N, the position to go on from");
    if (says_token && args->text != NULL) return vb_wrong("trace branch", "--text: expected no --token beside it");
    if (args->speculate == VB_SPECULATE_DRAFT)
        return vb_wrong("trace branch", "--speculate: expected auto, off or ngram, as there is no draft model, found 'draft'");
    vb_status status = vb_sampling_check(&args->sampling, &err);
    return status < 0 ? vb_report(status, &err) : 0;
}

/* --- the new file ---------------------------------------------------------------------------------------- */

/* "a.trace" at 12 becomes "a-12.trace", or if there is one "a-12.2.trace", "a-12.3.trace", ... */
static char *free_path(const char *parent, int at)
{
    static const char ending[] = ".trace";
    size_t len = strlen(parent), cut = sizeof ending - 1, cap = len + 64;
    char *path = malloc(cap);
    if (len > cut && strcmp(parent + len - cut, ending) == 0) len -= cut;
    for (int i = 1; path != NULL; i++) {
        if (i == 1) snprintf(path, cap, "%.*s-%d%s", (int)len, parent, at, ending);
        else snprintf(path, cap, "%.*s-%d.%d%s", (int)len, parent, at, i, ending);
        if (access(path, F_OK) != 0) break;
    }
    return path;
}

/* --- the tokens ------------------------------------------------------------------------------------------ */

static int add_ids(vb_ids *ids, const vb_token *more, size_t n)
{
    vb_token *grown = realloc(ids->ids, (ids->n + n + 1) * sizeof *grown);
    if (grown == NULL) return vb_no_memory();
    if (n > 0) memcpy(grown + ids->n, more, n * sizeof *more);
    ids->ids = grown;
    ids->n += n;
    return 0;
}

/* The shared tokens, then what the command line puts behind them. */
static int collect(const vb_args *args, const vb_resumed *from, vb_ids *ids)
{
    int n = 0;
    vb_ids text = {0};
    const vb_token *held = vb_session_tokens(from->session, &n), forced = args->token;
    int code = add_ids(ids, held, (size_t)n);
    if (code == 0 && vb_opt_given(args, "token")) code = add_ids(ids, &forced, 1);
    if (code == 0 && args->text != NULL) {
        code = vb_encode(from->model, args->text, strlen(args->text), 0, &text);
        if (code == 0) code = add_ids(ids, text.ids, text.n);
        free(text.ids);
    }
    return code;
}

/* --- the answer ------------------------------------------------------------------------------------------ */

static int print_json(const vb_turn *answer, const vb_args *args, const vb_resumed *from, const vb_ids *given)
{
    int n = 0;
    vb_stats stats;
    const vb_token *tokens = vb_session_tokens(from->session, &n);
    json_t *ids = json_array();
    vb_session_stats(from->session, &stats);
    for (int i = (int)given->n; i < n; i++) json_array_append_new(ids, json_integer(tokens[i]));
    return vb_print_json(json_pack(
        "{s:o, s:o, s:i, s:i, s:I, s:i, s:o, s:o, s:s, s:o, s:o}", "parent", vb_json_string(args->rest[0]), "parent_link",
        vb_json_hex(from->parent, 32), "at", from->parent_at, "given_tokens", (int)given->n, "evaluated_tokens",
        (json_int_t)stats.evaluated, "tokens", answer->generated.tokens, "text", vb_json_text(answer->text.data, answer->text.len),
        "ids", ids, "end", vb_end_name(answer->generated.end), "trace", vb_json_string(answer->trace), "digest",
        vb_json_hex(answer->digest, 32)));
}

/* What is put behind the shared tokens must fit, where the recorded text is held to a grammar already. */
static int hold(const vb_resumed *from, const vb_ids *ids)
{
    vb_err err = {0};
    for (size_t i = (size_t)from->parent_at; from->held_from > 0 && i < ids->n; i++) {
        vb_status status = vb_grammar_accept(from->grammar, ids->ids[i], &err);
        if (status < 0) return vb_report(status, &err);
    }
    return 0;
}

static int go_on(const vb_args *args, const vb_resumed *from, const char *path)
{
    vb_ids ids = {0};
    vb_turn answer = {.print = !args->json, .from = from, .grammar = from->grammar};
    int code = collect(args, from, &ids);
    if (code == 0) code = hold(from, &ids);
    if (code == 0) code = vb_turn_make(&answer, from->session, args, &ids, NULL, path);
    if (code == 0 || code == VB_EXIT_INTERRUPTED) {
        int failed = args->json ? print_json(&answer, args, from, &ids) : 0;
        if (!args->json && isatty(STDOUT_FILENO)) fputc('\n', stdout);
        if (!failed) failed = vb_out_flush();
        if (failed) code = failed;
        vb_turn_say(&answer);
    }
    free(answer.text.data);
    free(ids.ids);
    return code;
}

int vb_cmd_trace_branch(const vb_args *args)
{
    vb_err err = {0};
    vb_resumed from = {0};
    vb_trace_resume_opts how = {.model = args->other_model, .model_opts = &args->model, .session_opts = &args->session};
    int code = check(args);
    if (code != 0) return code;
    vb_status status = vb_trace_resume(&from, args->rest[0], args->at, &how, &err);
    if (status < 0) return vb_report(status, &err);
    vb_args now = *args;
    now.sampling = settings(args, &from.sampling);
    char *path = args->out != NULL ? NULL : free_path(args->rest[0], args->at);
    if (path == NULL && args->out == NULL) code = vb_no_memory();
    vb_interrupt_catch();
    if (code == 0) code = go_on(&now, &from, args->out != NULL ? args->out : path);
    free(path);
    vb_session_close(from.session);
    vb_grammar_close(from.grammar);
    free(from.biases);
    vb_model_close(from.model);
    return code;
}
