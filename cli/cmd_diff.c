/* cmd_diff.c - `verbatim diff`: our answer beside another engine's, and why they differ.
 *
 *   their answer --vb_certify--> their tokens in our numbers, verdict      our model --> our own text, greedy
 *
 *       at  their token             log-probability    our best                        drift
 *       11  " approximately"        -0.4312  -0.4398   " about"             -0.4310    0.0086  <
 *
 * A row shows their token, its log-probability as they and as we have it, and our best token if it is another one. Two
 * arguments and no other engine are two traces: the same as `trace diff`.
 */
#include "commands.h"
#include "gpu.h"
#include "out.h"
#include "parity/parity.h"
#include "parity_page.h"
#include "partners.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BEFORE = 3, BEHIND = 6 }; /* rows around the first place where they part */

typedef struct {
    const vb_args *args;
    vb_model *model;
    vb_answers answers;
    vb_certificate found;
    vb_err err;
} comparison;

/* --- our own text ------------------------------------------------------------------------------------------------ */

static int collect(void *ud, const char *text, size_t len)
{
    return vb_buffer_add(ud, text, len) != 0 || vb_interrupted();
}

/* What we would have answered: the same question in our own words, greedy, as many tokens, the same stops. */
static int answer_ourselves(comparison *c, int i, vb_buffer *text)
{
    const vb_answer *a = &c->answers.item[i];
    const vb_aligned *aligned = &c->found.aligned[i];
    vb_session *session = NULL;
    int limit = a->generated > 0 ? (int)a->generated : a->n_tokens;
    vb_session_opts opts = {.context = aligned->n_prompt + limit + 1};
    vb_generation how = {.max_tokens = limit, .stops = (const char *const *)a->stops, .n_stops = a->n_stops,
                         .on_text = collect, .ud = text};
    if (aligned->n_prompt == 0 || limit == 0) return 0;
    vb_status status = vb_session_open(&session, c->model, &opts, &c->err);
    if (status == VB_OK) status = vb_session_sync(session, aligned->prompt_ids, aligned->n_prompt, &c->err);
    if (status == VB_OK) status = vb_generate(session, &how, NULL, &c->err);
    vb_session_close(session);
    return status < 0 ? vb_report(status, &c->err) : vb_interrupted() ? VB_EXIT_INTERRUPTED : 0;
}

/* --- lines for people -------------------------------------------------------------------------------------------- */

/* The length of the character that begins here; 0: these bytes are none. */
static size_t character(const unsigned char *at, size_t left)
{
    size_t n = *at < 0x80 ? 1 : *at >= 0xc2 && *at < 0xe0 ? 2 : (*at & 0xf0) == 0xe0 ? 3 : *at >= 0xf0 && *at < 0xf5 ? 4 : 0;
    if (n > left) return 0;
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xc0) != 0x80) return 0;
    return n;
}

/* A token in quotes, cut and padded to `width` columns; what is no visible character is an escape. */
static void put_token(const char *text, size_t len, int width)
{
    int shown = 2;
    putchar('"');
    for (size_t i = 0, n; i < len && shown + 4 <= width; i += n) {
        const unsigned char *at = (const unsigned char *)text + i;
        n = character(at, len - i);
        if (n == 0 || *at < 32 || *at == 127) {
            shown += *at == '\n' || *at == '\t' ? 2 : 4;
            if (n == 0) printf("\\x%02x", *at);
            else vb_put_escaped(stdout, text + i, 1);
            n = 1;
        } else {
            fwrite(at, 1, n, stdout);
            shown++;
        }
    }
    printf("\"%*s", shown < width ? width - shown : 0, "");
}

static void put_row(const comparison *c, int i, int at, int first)
{
    const vb_answer_token *theirs = &c->answers.item[i].tokens[at];
    const vb_aligned_token *t = &c->found.aligned[i].token[at];
    char bytes[256];
    printf("  %5d  ", at);
    put_token(theirs->chosen.bytes, theirs->chosen.len, 22);
    if (!t->judged) {
        puts(" several tokens, not compared");
        return;
    }
    printf(" %8.4f %8.4f  %.4f", t->theirs, t->ours, t->drift);
    if (t->n_top > 0 && t->top[0].id != t->id) {
        int64_t n = vb_token_bytes(c->model, t->top[0].id, bytes, sizeof bytes);
        printf("  %sours%s ", vb_colour(stdout, "31"), vb_colour(stdout, "0"));
        put_token(bytes, n < 0 || n > (int64_t)sizeof bytes ? 0 : (size_t)n, 22);
        printf(" %8.4f%s", (double)t->top[0].logprob, at == first ? "  <" : "");
    }
    putchar('\n');
}

static void put_rows(const comparison *c, int i)
{
    const vb_aligned *a = &c->found.aligned[i];
    int from = a->first < 0 ? 0 : a->first - BEFORE, to = a->first < 0 ? a->n : a->first + BEHIND;
    if (c->answers.n > 1 && a->first < 0) to = 0; /* many answers: only where there is something to see */
    if (from < 0) from = 0;
    if (to > a->n) to = a->n;
    if (from < to) puts("     at  their token             theirs     ours   drift");
    for (int at = from; at < to; at++) put_row(c, i, at, a->first);
}

static void put_text(const char *who, const char *text, size_t len)
{
    printf("  %s%-8s%s", vb_colour(stdout, "1"), who, vb_colour(stdout, "0"));
    vb_put_escaped(stdout, text, len);
    putchar('\n');
}

static const char *question_of(const vb_answer *a)
{
    return !a->chat ? a->prompt : a->n_messages > 0 ? a->messages[a->n_messages - 1].content : "";
}

static void put_case(const comparison *c, int i, const vb_buffer *ours)
{
    const vb_answer *a = &c->answers.item[i];
    const vb_judgement *j = &c->found.judged[i];
    const vb_aligned *aligned = &c->found.aligned[i];
    int equal = ours->len == a->len && (a->len == 0 || memcmp(ours->data, a->text, a->len) == 0);
    if (i > 0) putchar('\n');
    put_text(a->chat ? "chat" : "prompt", question_of(a), strlen(question_of(a)));
    put_text("theirs", a->text ? a->text : "", a->len);
    if (equal) put_text("ours", "the same", 8);
    else put_text("ours", ours->data ? ours->data : "", ours->len);
    put_rows(c, i);
    printf("  %d of %d best tokens the same; %s%s%s%s%s\n", aligned->agreed, aligned->judged,
           vb_colour(stdout, j->verdict == VB_VERDICT_UNEXPLAINED ? "31" : "32"), vb_verdict_name(j->verdict),
           vb_colour(stdout, "0"), j->why[0] ? ": " : "", j->why);
}

static void put_whole(const comparison *c)
{
    const vb_answer *a = &c->answers.item[0];
    const vb_certificate *f = &c->found;
    printf("\n%s %s, %s: %d of %d best tokens the same; drift median %.4f, 95 %% %.4f nat; ", a->engine,
           a->version ? a->version : "?", a->model ? a->model : "?", f->agreed, f->tokens, f->drift.median, f->drift.p95);
    printf("gaps up to %.4f nat are rounding; %s%s%s\n", f->limit, vb_colour(stdout, f->explained ? "32" : "31"),
           f->explained ? "explained" : f->holds ? "unexplained" : "unexplained: the drift is not rounding's",
           vb_colour(stdout, "0"));
}

/* --- the comparison ---------------------------------------------------------------------------------------------- */

static int tell(comparison *c)
{
    json_t *all = c->args->json ? vb_certificate_json(&c->found, c->model) : NULL;
    int code = 0;
    for (int i = 0; code == 0 && i < c->answers.n; i++) {
        vb_buffer ours = {0};
        code = answer_ourselves(c, i, &ours);
        if (code == 0 && c->args->json)
            json_object_set_new(json_array_get(json_object_get(all, "cases"), (size_t)i), "our_text",
                                vb_json_text(ours.data ? ours.data : "", ours.len));
        else if (code == 0) put_case(c, i, &ours);
        free(ours.data);
    }
    if (code != 0) json_decref(all);
    else if (c->args->json) code = vb_print_json(all);
    else put_whole(c);
    if (code == 0 && c->args->html != NULL) {
        vb_status status = vb_parity_page(c->args->html, &c->found, c->model, &c->err);
        if (status < 0) code = vb_report(status, &c->err);
    }
    return code ? code : c->found.explained ? VB_EXIT_OK : VB_EXIT_DIFFERS;
}

static int stop_asked(void *ud, int done, int all)
{
    (void)ud, (void)done, (void)all;
    return vb_interrupted();
}

static int compare(comparison *c)
{
    uint8_t sha256[32];
    int digest = 0;
    vb_certify_opts opts = {.progress = stop_asked};
    vb_status status = VB_OK;
    for (int i = 0; i < c->answers.n; i++) digest |= c->answers.item[i].has_sha256;
    if (digest) status = vb_model_sha256(c->model, sha256, &c->err);
    if (status == VB_OK) status = vb_certify(&c->found, c->model, digest ? sha256 : NULL, &c->answers, &opts, &c->err);
    if (status < 0) return vb_report(status, &c->err);
    int code = tell(c);
    vb_certificate_free(&c->found);
    return code;
}

/* Our model: --ours, or the one that the partner names. */
static int open_ours(comparison *c)
{
    const vb_args *args = c->args;
    vb_model_opts opts = args->model;
    const char *name = args->ours ? args->ours : args->other_model ? args->other_model : c->answers.item[0].model;
    if (name == NULL) return vb_wrong("diff", "expected --ours MODEL, found none");
    if (strcmp(c->answers.item[0].engine, "ollama") == 0) opts.template_as = "ollama";
    vb_status status = vb_open_with_bar(&c->model, name, &opts, args->json, &c->err);
    return status < 0 ? vb_report(status, &c->err) : vb_need_logits_of(c->model);
}

static int ask(comparison *c)
{
    const vb_args *args = c->args;
    const char *model = args->other_model ? args->other_model : args->ours;
    vb_asked *asked = calloc((size_t)args->n_rest + 1, sizeof *asked);
    if (asked == NULL) return vb_no_memory();
    for (int i = 0; i < args->n_rest; i++) asked[i] = (vb_asked){args->rest[i], args->raw};
    int code = vb_partners_ask(&c->answers, args, model, asked, args->n_rest);
    free(asked);
    return code;
}

static int check(const vb_args *args)
{
    if (vb_partners_named(args) > 1)
        return vb_wrong("diff", "expected one of --ollama, --llama-server and --recording, found %d", vb_partners_named(args));
    if (vb_partner_live(args) && args->n_rest == 0) return vb_wrong("diff", "expected a PROMPT to ask, found none");
    if (!vb_partner_live(args) && args->n_rest > 0)
        return vb_wrong("diff", "--recording: expected no PROMPT, its own are used, found '%s'", args->rest[0]);
    if (args->ollama && !args->other_model && !args->ours)
        return vb_wrong("diff", "--ollama: expected --model with Ollama's name of the model, found none");
    return 0;
}

int vb_cmd_diff(const vb_args *args)
{
    comparison c = {.args = args};
    if (vb_partners_named(args) == 0 && args->n_rest == 2) return vb_cmd_trace_diff(args);
    if (vb_partners_named(args) == 0)
        return vb_wrong("diff", "expected --ollama, --llama-server or --recording, or two traces, found %d argument%s",
                        args->n_rest, args->n_rest == 1 ? "" : "s");
    int code = check(args);
    if (code != 0) return code;
    vb_interrupt_catch();
    code = ask(&c);
    if (code == 0) code = open_ours(&c);
    if (code == 0) code = compare(&c);
    vb_answers_free(&c.answers);
    vb_model_close(c.model);
    return code;
}
