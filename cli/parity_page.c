/* parity_page.c - a certificate becomes the plain data of page/page.h: for each answer their tokens and, below them, our
 * best token after the same beginning.
 *
 * Everything that the page points to lives in one store until the page is written.
 */
#include "parity_page.h"

#include "page/page.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const vb_certificate *from;
    const vb_model *model;
    vb_page_case *cases;
    void **kept;   /* everything that is freed behind the page */
    size_t n_kept, cap;
    int failed;    /* 1: no memory */
} store;

static void *keep(store *s, size_t n, size_t size)
{
    if (s->n_kept == s->cap) {
        void **more = realloc(s->kept, (s->cap = s->cap * 2 + 64) * sizeof *more);
        if (more == NULL) return s->failed = 1, NULL;
        s->kept = more;
    }
    void *p = calloc(n + 1, size);
    if (p == NULL) return s->failed = 1, NULL;
    return s->kept[s->n_kept++] = p;
}

static const char *bytes_of(store *s, vb_token id, size_t *len)
{
    int64_t n = vb_token_bytes(s->model, id, NULL, 0);
    char *text = keep(s, n > 0 ? (size_t)n : 0, 1);
    *len = n > 0 && text != NULL ? (size_t)n : 0;
    if (*len > 0) vb_token_bytes(s->model, id, text, *len);
    return text ? text : "";
}

static vb_page_choice our_choice(store *s, const vb_choice *c)
{
    vb_page_choice out = {.id = c->id, .has_bits = 1, .logprob = (double)c->logprob};
    memcpy(&out.bits, &c->logit, sizeof out.bits);
    out.text = bytes_of(s, c->id, &out.len);
    return out;
}

static void our_token(store *s, vb_page_token *out, const vb_aligned_token *t)
{
    vb_page_choice *top = keep(s, (size_t)t->n_top, sizeof *top);
    *out = (vb_page_token){.id = -1, .logprob = (double)NAN, .margin = (double)NAN};
    if (top == NULL || t->n_top == 0) return;
    for (int i = 0; i < t->n_top; i++) top[i] = our_choice(s, &t->top[i]);
    *out = (vb_page_token){.text = top[0].text, .len = top[0].len, .id = top[0].id, .logprob = top[0].logprob,
                           .margin = t->our_margin, .top = top, .n_top = t->n_top};
    if (t->gap <= 0) return;
    char *note = keep(s, 120, 1);
    if (note != NULL)
        snprintf(note, 120, "gap %.4f nat: %s", t->gap, t->gap > s->from->limit ? "more than rounding explains" : "rounding");
    out->note = note;
}

static void their_token(store *s, vb_page_token *out, const vb_answer_token *t, const vb_aligned_token *a)
{
    vb_page_choice *top = keep(s, (size_t)t->n_top, sizeof *top);
    *out = (vb_page_token){.text = t->chosen.bytes, .len = t->chosen.len, .id = a->judged ? a->id : t->chosen.id,
                           .logprob = t->chosen.logprob, .margin = a->judged ? a->their_margin : (double)NAN, .top = top};
    for (int i = 0; top != NULL && i < t->n_top; i++)
        top[i] = (vb_page_choice){.text = t->top[i].bytes, .len = t->top[i].len, .id = t->top[i].id, .logprob = t->top[i].logprob};
    out->n_top = top == NULL ? 0 : t->n_top;
}

static vb_page_tone tone_of(vb_verdict v)
{
    return v == VB_VERDICT_SAME ? VB_PAGE_GOOD : v == VB_VERDICT_UNEXPLAINED ? VB_PAGE_BAD : VB_PAGE_EXPLAINED;
}

static void one_case(store *s, int index)
{
    const vb_answer *answer = &s->from->answers->item[index];
    const vb_aligned *a = &s->from->aligned[index];
    const vb_judgement *j = &s->from->judged[index];
    size_t n = (size_t)a->n;
    vb_page_token *theirs = keep(s, n, sizeof *theirs), *ours = keep(s, n, sizeof *ours);
    double *drift = keep(s, n, sizeof *drift);
    if (theirs == NULL || ours == NULL || drift == NULL) return;
    for (int i = 0; i < a->n; i++) {
        their_token(s, &theirs[i], &answer->tokens[i], &a->token[i]);
        our_token(s, &ours[i], &a->token[i]);
        drift[i] = a->token[i].judged ? a->token[i].drift : (double)NAN;
    }
    s->cases[index] = (vb_page_case){
        .title = !answer->chat ? answer->prompt : answer->n_messages > 0 ? answer->messages[answer->n_messages - 1].content : "",
        .verdict = vb_verdict_name(j->verdict), .reason = j->why[0] ? j->why : NULL, .tone = tone_of(j->verdict),
        .streams = {{.name = answer->engine, .what = answer->model, .tokens = theirs, .n = a->n},
                    {.name = "verbatim", .what = "our best token after the same beginning", .tokens = ours, .n = a->n}},
        .n_streams = 2, .first_position = a->n_prompt, .divergence = a->first, .drift = drift};
}

__attribute__((format(printf, 2, 3)))
static const char *text_of(store *s, const char *fmt, ...)
{
    va_list args;
    char *text = keep(s, 200, 1);
    va_start(args, fmt);
    if (text != NULL) vsnprintf(text, 200, fmt, args);
    va_end(args);
    return text;
}

static vb_status write_page(store *s, const char *path, vb_err *err)
{
    const vb_certificate *c = s->from;
    vb_model_info info;
    vb_model_describe(s->model, &info);
    const vb_page_fact facts[] = {
        {.key = "model", .a = text_of(s, "%s %s", info.name ? info.name : info.arch, info.format)},
        {.key = "beside", .a = text_of(s, "%s %s", c->answers->item[0].engine, c->answers->item[0].version ? c->answers->item[0].version : "")},
        {.key = "answers", .a = text_of(s, "%d, of which %d the same and %d unexplained", c->n, c->verdicts[VB_VERDICT_SAME],
                                        c->verdicts[VB_VERDICT_UNEXPLAINED])},
        {.key = "best token the same", .a = text_of(s, "%d of %d", c->agreed, c->tokens)},
        {.key = "drift", .a = text_of(s, "median %.4f, 95 %% %.4f, most %.4f nat", c->drift.median, c->drift.p95, c->drift.most)},
        {.key = "gaps", .a = text_of(s, "%d, of which rounding explains %d (up to %.3f nat)", c->apart, c->apart - c->outside, c->limit)},
        {.key = "open tokens", .a = text_of(s, "%d of %d: any engine may choose another there", c->open, c->tokens)},
    };
    vb_page page = {.kind = "parity", .title = info.name ? info.name : info.arch, .verdict = c->explained ? "explained" : "unexplained",
                    .tone = c->explained ? VB_PAGE_EXPLAINED : VB_PAGE_BAD, .facts = facts, .n_facts = (int)(sizeof facts / sizeof *facts),
                    .drift_what = "drift of log-probabilities, nat", .cases = s->cases, .n_cases = c->n};
    page.envelope = (vb_page_envelope){.known = 1, .median = c->envelope.drift.median, .p95 = c->envelope.drift.p95,
                                       .most = c->envelope.drift.most, .limit = c->limit, .margin = c->limit,
                                       .how = text_of(s, "last bits moved in every layer, %d tokens", c->envelope.drift.n)};
    if (c->n == 1) page.title = s->cases[0].title;
    if (c->n == 1 && c->explained == (c->judged[0].verdict != VB_VERDICT_UNEXPLAINED)) {
        page.verdict = s->cases[0].verdict;
        page.reason = s->cases[0].reason;
        page.tone = s->cases[0].tone;
    }
    return s->failed ? vb_parity_no_memory(err) : vb_page_save(path, &page, err);
}

vb_status vb_parity_page(const char *path, const vb_certificate *certificate, const vb_model *model, vb_err *err)
{
    store s = {.from = certificate, .model = model};
    s.cases = keep(&s, (size_t)certificate->n, sizeof *s.cases);
    for (int i = 0; i < certificate->n && !s.failed; i++) one_case(&s, i);
    vb_status status = s.failed ? vb_parity_no_memory(err) : write_page(&s, path, err);
    for (size_t i = 0; i < s.n_kept; i++) free(s.kept[i]);
    free(s.kept);
    return status;
}
