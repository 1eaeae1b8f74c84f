/* answer.c - see answer.h. The prompt is read in pieces, so that Ctrl-C is heard in the middle of a long one; the
 * pieces cannot change a bit of the answer.
 */
#include "answer.h"

#include "out.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 256 };

static int read_prompt(vb_session *session, const vb_ids *ids, int *known, vb_err *err)
{
    int total = (int)ids->n;
    vb_status status = vb_session_recall(session, ids->ids, total, known, err);
    if (status < 0) return vb_report(status, err);
    for (int n = *known;;) {
        n = total - n > PIECE ? (n / PIECE + 1) * PIECE : total;
        status = vb_session_sync(session, ids->ids, n, err);
        if (status < 0) return vb_report(status, err);
        if (n == total) return 0;
        if (vb_interrupted()) return VB_EXIT_INTERRUPTED;
    }
}

/* A terminal obeys control characters, and a model may write any: only those that are text pass. */
static void print(const char *text, size_t len)
{
    if (!isatty(STDOUT_FILENO)) {
        fwrite(text, 1, len, stdout);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 ? c != 0x7f : c == '\n' || c == '\t') fputc(c, stdout);
    }
}

static int on_text(void *ud, const char *text, size_t len)
{
    vb_turn *answer = ud;
    if (answer->print) {
        print(text, len);
        answer->failed = vb_out_flush();
    }
    if (!answer->failed) answer->failed = vb_buffer_add(&answer->text, text, len);
    return answer->failed || vb_interrupted();
}

static int generate(vb_turn *answer, vb_session *session, const vb_args *args, vb_trace *trace, vb_err *err)
{
    vb_generation how = {.sampling = args->sampling,
                         .max_tokens = args->max_tokens,
                         .stops = args->stops.text,
                         .n_stops = args->stops.n,
                         .trace = trace,
                         .speculate = (vb_speculate)args->speculate,
                         .draft = answer->draft,
                         .grammar = answer->grammar,
                         .biases = answer->from != NULL ? answer->from->biases : NULL,
                         .n_biases = answer->from != NULL ? answer->from->n_biases : 0,
                         .on_text = on_text,
                         .ud = answer};
    vb_status status = vb_generate(session, &how, &answer->generated, err);
    if (answer->failed) return answer->failed;
    if (vb_interrupted()) return VB_EXIT_INTERRUPTED;
    return status < 0 ? vb_report(status, err) : 0;
}

static int recorded(vb_turn *answer, vb_session *session, const vb_args *args, const char *prompt, vb_err *err)
{
    vb_trace_opts opts = {.sampling = args->sampling, .prompt = prompt, .taps = args->taps, .sign = args->sign,
                          .grammar = answer->grammar};
    if (answer->from != NULL) {
        opts.held_from = answer->from->held_from;
        opts.biases = answer->from->biases;
        opts.n_biases = answer->from->n_biases;
        opts.top = answer->from->top;
        opts.parent_at = answer->from->parent_at;
        memcpy(opts.parent, answer->from->parent, sizeof opts.parent);
    }
    vb_trace *trace = NULL;
    vb_status status = vb_trace_open(&trace, answer->trace, session, &opts, err);
    if (status < 0) return vb_report(status, err);
    int code = generate(answer, session, args, trace, err);
    vb_trace_digest(trace, answer->digest);
    status = vb_trace_close(trace, err);
    return status < 0 && (code == 0 || code == VB_EXIT_INTERRUPTED) ? vb_report(status, err) : code;
}

static void subtract(vb_stats *now, const vb_stats *before)
{
    now->evaluated -= before->evaluated;
    now->reused -= before->reused;
    now->prefill_ns -= before->prefill_ns;
    now->decode_ns -= before->decode_ns;
    now->prefill_tokens -= before->prefill_tokens;
    now->decode_tokens -= before->decode_tokens;
    now->drafted -= before->drafted;
    now->accepted -= before->accepted;
}

int vb_turn_make(vb_turn *answer, vb_session *session, const vb_args *args, const vb_ids *ids, const char *prompt,
                   const char *trace)
{
    vb_err err = {0};
    vb_stats before;
    if (ids->n == 0) return vb_wrong("run", "PROMPT: expected text, found no tokens");
    answer->trace = NULL;
    vb_session_stats(session, &before);
    int code = vb_buffer_add(&answer->text, "", 0);
    if (code == 0) code = read_prompt(session, ids, &answer->known, &err);
    if (code == 0 && trace != NULL) {
        answer->trace = trace;
        code = recorded(answer, session, args, prompt, &err);
    } else if (code == 0) code = generate(answer, session, args, NULL, &err);
    vb_session_stats(session, &answer->stats);
    subtract(&answer->stats, &before);
    return code;
}

static double speed(uint64_t tokens, uint64_t ns)
{
    return ns > 0 ? (double)tokens * 1e9 / (double)ns : 0;
}

void vb_turn_say(const vb_turn *answer)
{
    const vb_stats *s = &answer->stats;
    char digest[65], known[32] = "", guessed[64] = "";
    if (answer->known > 0) snprintf(known, sizeof known, " (%d more known)", answer->known);
    if (s->drafted > 0)
        snprintf(guessed, sizeof guessed, " (%llu of %llu drafted accepted)", (unsigned long long)s->accepted,
                 (unsigned long long)s->drafted);
    vb_hex_text(digest, answer->digest, 32);
    vb_say("prefill %llu tokens %.1f/s%s, decode %llu tokens %.1f/s%s%s%s%s%s", (unsigned long long)s->prefill_tokens,
           speed(s->prefill_tokens, s->prefill_ns), known, (unsigned long long)s->decode_tokens,
           speed(s->decode_tokens, s->decode_ns), guessed, answer->trace ? ", trace " : "",
           answer->trace ? answer->trace : "",
           answer->trace ? ", digest " : "", answer->trace ? digest : "");
}

const char *vb_end_name(vb_end end)
{
    switch (end) {
    case VB_END_TOKEN: return "token";
    case VB_END_STOP: return "stop";
    case VB_END_LENGTH: return "length";
    case VB_END_CONTEXT: return "context";
    case VB_END_NONE:
    case VB_END_CALLBACK: break;
    }
    return "interrupted";
}
