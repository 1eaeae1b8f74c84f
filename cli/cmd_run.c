/* cmd_run.c - `verbatim run`: one prompt in, the new text out. */
#include "answer.h"
#include "chat.h"
#include "commands.h"
#include "gpu.h"
#include "opening.h"
#include "out.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The prompt's tokens: as they are with --raw, otherwise as a conversation that the user's message ends. */
static int encode_prompt(const vb_model *model, const vb_args *args, const vb_buffer *prompt, vb_ids *ids)
{
    if (args->raw) return vb_encode(model, prompt->data, prompt->len, VB_ADD_SPECIAL | VB_PARSE_SPECIAL, ids);
    vb_opening opening;
    int code = vb_opening_read(&opening, model, args->system);
    if (code == 0) {
        opening.messages[opening.n] = (vb_message){"user", prompt->data};
        code = vb_encode_chat(model, opening.messages, opening.n + 1, ids);
    }
    vb_opening_free(&opening);
    return code;
}

static json_t *speed(uint64_t tokens, uint64_t ns)
{
    double seconds = (double)ns / 1e9;
    return json_pack("{s:I, s:f, s:o}", "tokens", (json_int_t)tokens, "seconds", seconds, "tokens_per_second",
                     ns > 0 ? json_real((double)tokens / seconds) : json_null());
}

static int print_json(const vb_turn *answer, const vb_session *session, const vb_ids *ids)
{
    vb_model_info info;
    int n = 0;
    const vb_token *tokens = vb_session_tokens(session, &n);
    json_t *new_ids = json_array();
    vb_model_describe(vb_session_model(session), &info);
    for (int i = (int)ids->n; i < n; i++) json_array_append_new(new_ids, json_integer(tokens[i]));
    return vb_print_json(json_pack(
        "{s:o, s:o, s:o, s:i, s:i, s:i, s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:o}", "model", vb_json_string(info.path), "text",
        vb_json_text(answer->text.data, answer->text.len), "ids", new_ids, "prompt_tokens", (int)ids->n,
        "known_tokens", answer->known, "tokens", answer->generated.tokens, "end", vb_end_name(answer->generated.end),
        "prefill", speed(answer->stats.prefill_tokens, answer->stats.prefill_ns), "decode",
        speed(answer->stats.decode_tokens, answer->stats.decode_ns), "drafted", (json_int_t)answer->stats.drafted,
        "accepted", (json_int_t)answer->stats.accepted, "trace", vb_json_string(answer->trace), "digest",
        answer->trace ? vb_json_hex(answer->digest, 32) : json_null(), "gpu", vb_json_gpu(session)));
}

/* The grammar that the answer is held to, if there is one. */
static int open_grammar(vb_grammar **out, const vb_model *model, const vb_args *args)
{
    const char *path = args->grammar != NULL ? args->grammar : args->schema;
    vb_buffer text = {0};
    vb_err err = {0};
    if (path == NULL) return 0;
    int code = vb_read_all(path, &text);
    if (code == 0) {
        vb_status status = args->grammar != NULL ? vb_grammar_open_gbnf(out, model, text.data, text.len, &err)
                                                 : vb_grammar_open_schema(out, model, text.data, text.len, &err);
        if (status < 0) code = vb_report(status, &err);
    }
    free(text.data);
    const char *keyword;
    for (int i = 0; code == 0 && (keyword = vb_grammar_unheld(*out, i)) != NULL; i++)
        vb_say("note: %s: \"%s\" is not held", path, keyword);
    return code;
}

static int answer_prompt(vb_session *session, vb_session *draft, const vb_args *args, const vb_buffer *prompt)
{
    vb_ids ids = {0};
    vb_turn answer = {.print = !args->json, .draft = draft};
    int code = open_grammar(&answer.grammar, vb_session_model(session), args);
    if (code == 0) code = encode_prompt(vb_session_model(session), args, prompt, &ids);
    if (code == 0) code = vb_turn_make(&answer, session, args, &ids, prompt->data, args->trace);
    if (code == 0 || code == VB_EXIT_INTERRUPTED) {
        int failed = args->json ? print_json(&answer, session, &ids) : 0;
        if (!args->json && isatty(STDOUT_FILENO)) fputc('\n', stdout);
        if (!failed) failed = vb_out_flush();
        if (failed) code = failed;
        vb_turn_say(&answer);
    }
    free(answer.text.data);
    free(ids.ids);
    vb_grammar_close(answer.grammar);
    return code;
}

/* From the command line, or from standard input; the newline that `echo` adds is not part of a chat message. */
static int read_prompt(const vb_args *args, vb_buffer *prompt)
{
    const char *text = args->n_rest > 1 ? args->rest[1] : "-";
    if (strcmp(text, "-") != 0) return vb_buffer_add(prompt, text, strlen(text));
    int code = vb_read_all("-", prompt);
    if (code == 0 && !args->raw && prompt->len > 0 && prompt->data[prompt->len - 1] == '\n')
        prompt->data[--prompt->len] = '\0';
    if (code == 0 && !args->raw && memchr(prompt->data, '\0', prompt->len) != NULL)
        return vb_wrong("run", "PROMPT: expected text, found a NUL byte (use --raw for arbitrary bytes)");
    return code;
}

/* Settings that greedy choice does not look at. */
static void note_unused(const vb_args *args)
{
    static const char *const names[] = {"seed", "top-k", "top-p", "min-p", "typical"};
    if (args->sampling.temperature > 0) return;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (vb_opt_given(args, names[i])) vb_say("note: --%s has no effect without --temp", names[i]);
}

static int check(const vb_args *args, int is_chat)
{
    vb_err err = {0};
    if (args->raw && args->system) return vb_wrong("run", "--system: expected no --raw, which has no system message");
    if (is_chat && (args->json || args->raw))
        return vb_wrong("run", "--%s: expected a PROMPT, found none", args->json ? "json" : "raw");
    const char *form = args->grammar != NULL ? "grammar" : "json-schema",
               *path = args->grammar != NULL ? args->grammar : args->schema;
    if (args->grammar != NULL && args->schema != NULL)
        return vb_wrong("run", "--grammar: expected no --json-schema, found both");
    if (path != NULL && is_chat) return vb_wrong("run", "--%s: expected a PROMPT, found none", form);
    if (path != NULL && strcmp(path, "-") == 0)
        return vb_wrong("run", "--%s: expected a file, found standard input", form);
    if (args->speculate == VB_SPECULATE_DRAFT && args->draft == NULL)
        return vb_wrong("run", "--speculate draft: expected --draft MODEL, found none");
    if (args->trace == NULL && (args->taps != VB_TAPS_NONE || args->sign != NULL))
        return vb_wrong("run", "--%s: expected --trace FILE, found none", args->sign != NULL ? "sign" : "taps");
    vb_status status = vb_sampling_check(&args->sampling, &err);
    return status < 0 ? vb_report(status, &err) : 0;
}

typedef struct {
    vb_model *model, *draft_model;
    vb_session *session, *draft;
} opened;

/* The draft model runs as the model does, over as many tokens, but for a GPU, which is the model's. */
static vb_status open_draft(opened *o, const vb_args *args, vb_err *err)
{
    vb_stats stats;
    vb_session_stats(o->session, &stats);
    vb_session_opts opts = {.context = stats.context};
    vb_model_opts as = args->model;
    as.gpu_layers = NULL;
    if (as.player != NULL && strcmp(as.player, "vulkan") == 0) as.player = NULL;
    vb_status status = vb_model_open(&o->draft_model, args->draft, &as, err);
    if (status == VB_OK) status = vb_draft_check(o->model, o->draft_model, err);
    return status == VB_OK ? vb_session_open(&o->draft, o->draft_model, &opts, err) : status;
}

static int open_all(opened *o, const vb_args *args)
{
    vb_err err = {0};
    int drafts = args->draft != NULL && args->speculate != VB_SPECULATE_OFF && args->speculate != VB_SPECULATE_NGRAM;
    vb_status status = vb_open_with_bar(&o->model, args->rest[0], &args->model, args->json, &err);
    int refused = status == VB_OK ? vb_need_logits_of(o->model) : 0;
    if (refused) return refused;
    if (status == VB_OK) status = vb_session_open(&o->session, o->model, &args->session, &err);
    if (status == VB_OK && drafts) status = open_draft(o, args, &err);
    return status < 0 ? vb_report(status, &err) : 0;
}

int vb_cmd_run(const vb_args *args)
{
    opened o = {0};
    vb_buffer prompt = {0};
    int is_chat = args->n_rest == 1 && isatty(STDIN_FILENO), code = check(args, is_chat);
    if (code != 0) return code;
    note_unused(args);
    if (!is_chat) code = read_prompt(args, &prompt);
    if (code == 0) code = open_all(&o, args);
    if (code == 0) {
        vb_interrupt_catch();
        code = is_chat ? vb_chat(o.session, o.draft, args) : answer_prompt(o.session, o.draft, args, &prompt);
    }
    free(prompt.data);
    vb_session_close(o.draft);
    vb_session_close(o.session);
    vb_model_close(o.draft_model);
    vb_model_close(o.model);
    return code;
}
