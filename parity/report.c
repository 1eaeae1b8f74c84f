/* report.c - a certificate as lines for people and as JSON for programs.
 *
 * Texts of the other engine and of the model are data: nothing of them reaches a terminal unescaped, and bytes that are
 * no text are written as \xNN in JSON too.
 */
#include "parity/parity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *tone(const vb_report_colours *c, vb_verdict v)
{
    return v == VB_VERDICT_UNEXPLAINED ? c->bad : v == VB_VERDICT_SAME || v == VB_VERDICT_ROUNDING ? c->good : c->plain;
}

static const char *question_of(const vb_answer *a)
{
    if (!a->chat) return a->prompt;
    return a->n_messages > 0 ? a->messages[a->n_messages - 1].content : "";
}

/* The first characters on one line. */
static void put_start(FILE *to, const char *text, int width)
{
    int shown = 0;
    for (; *text != '\0' && shown < width; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 32 || c == 127) fputc(' ', to);
        else fputc(c, to);
        shown += (c & 0xc0) != 0x80;
    }
    for (; ((unsigned char)*text & 0xc0) == 0x80; text++) fputc(*text, to);
    if (*text != '\0') fputs("...", to);
}

static vb_spread drift_of(const vb_aligned *a)
{
    double *values = calloc((size_t)a->n + 1, sizeof *values);
    int n = 0;
    for (int i = 0; values != NULL && i < a->n; i++)
        if (a->token[i].judged) values[n++] = a->token[i].drift;
    vb_spread spread = vb_spread_of(values, n);
    free(values);
    return spread;
}

static void print_answer(FILE *to, const vb_certificate *c, int i, const vb_report_colours *colours)
{
    const vb_answer *answer = &c->answers->item[i];
    const vb_aligned *a = &c->aligned[i];
    const vb_judgement *j = &c->judged[i];
    vb_spread drift = drift_of(a);
    fprintf(to, "%3d  %s%-24s%s %3d/%-3d  %.4f  %.4f  ", i + 1, tone(colours, j->verdict), vb_verdict_name(j->verdict),
            colours->plain, a->agreed, a->judged, drift.median, drift.p95);
    put_start(to, question_of(answer), 44);
    fputc('\n', to);
    if (j->why[0] != '\0') fprintf(to, "       %s\n", j->why);
}

static void print_spread(FILE *to, const char *name, const vb_spread *s)
{
    fprintf(to, "%-22s median %.4f  95 %% %.4f  99 %% %.4f  most %.4f nat  (%d tokens)\n", name, s->median, s->p95, s->p99,
            s->most, s->n);
}

static void print_verdicts(FILE *to, const vb_certificate *c)
{
    fprintf(to, "%-22s", "answers");
    for (int v = 0; v < VB_VERDICTS; v++)
        if (c->verdicts[v] > 0) fprintf(to, " %d %s%s", c->verdicts[v], vb_verdict_name((vb_verdict)v), v + 1 < VB_VERDICTS ? ";" : "");
    fprintf(to, " of %d\n", c->n);
}

static double percent(int part, int whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

void vb_certificate_print(FILE *to, const vb_certificate *c, const vb_report_colours *colours)
{
    fputs("     verdict                  best     drift    95 %    question\n", to);
    for (int i = 0; i < c->n; i++) print_answer(to, c, i, colours);
    fputc('\n', to);
    print_verdicts(to, c);
    fprintf(to, "%-22s %d of %d tokens, %.2f %%; %d entries of several tokens not compared\n", "best token the same", c->agreed,
            c->tokens, percent(c->agreed, c->tokens), c->joined);
    print_spread(to, "drift, they and we", &c->drift);
    print_spread(to, "last bits moved", &c->envelope.drift);
    print_spread(to, "margins, bits moved", &c->envelope.margin);
    fprintf(to, "%-22s gaps up to %.4f nat are rounding: %d of %d\n", "limit", c->limit, c->apart - c->outside, c->apart);
    fprintf(to, "%-22s %d of %d tokens have a smaller margin than that: any engine may choose another there\n", "open tokens",
            c->open, c->tokens);
    fprintf(to, "%-22s %s%s%s\n", "verdict", c->explained ? colours->good : colours->bad,
            c->explained ? "explained" : c->holds ? "unexplained" : "unexplained: the drift is not rounding's", colours->plain);
}

void vb_contributions_print(FILE *to, const vb_contribution *list, int n)
{
    fputs("\nwhat differences to ggml move, each alone, computed by the oracle\n", to);
    for (int i = 0; i < n; i++) print_spread(to, list[i].name, &list[i].found.drift);
}

/* --- JSON -------------------------------------------------------------------------------------------------------- */

static json_t *text_json(const char *text, size_t len)
{
    json_t *value = json_stringn_nocheck("", 0), *whole = text == NULL ? json_null() : json_stringn(text, len);
    if (whole != NULL) {
        json_decref(value);
        return whole;
    }
    json_decref(value);
    char *escaped = malloc(4 * len + 1), *at = escaped;
    for (size_t i = 0; escaped != NULL && i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 32 && c < 127 && c != '\\') *at++ = (char)c;
        else at += sprintf(at, "\\x%02x", c);
    }
    value = escaped == NULL ? NULL : json_stringn(escaped, (size_t)(at - escaped));
    free(escaped);
    return value;
}

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *spread_json(const vb_spread *s)
{
    return json_pack("{s:i, s:o, s:o, s:o, s:o}", "tokens", s->n, "median", number(s->median), "p95", number(s->p95), "p99",
                     number(s->p99), "most", number(s->most));
}

static json_t *choices_json(const vb_model *model, const vb_aligned_token *t)
{
    json_t *list = json_array();
    for (int i = 0; i < t->n_top; i++) {
        char bytes[512];
        uint32_t bits;
        char hex[16];
        int64_t n = vb_token_bytes(model, t->top[i].id, bytes, sizeof bytes);
        memcpy(&bits, &t->top[i].logit, sizeof bits);
        snprintf(hex, sizeof hex, "%08x", bits);
        json_array_append_new(list, json_pack("{s:i, s:o, s:s, s:o}", "id", (int)t->top[i].id, "text",
                                              text_json(bytes, n < 0 || n > 512 ? 0 : (size_t)n), "bits", hex, "logprob",
                                              number((double)t->top[i].logprob)));
    }
    return list;
}

static json_t *token_json(const vb_certificate *c, const vb_model *model, const vb_answer_token *theirs, const vb_aligned_token *t)
{
    json_t *value = json_pack("{s:o, s:b}", "text", text_json(theirs->chosen.bytes, theirs->chosen.len), "compared", t->judged);
    if (value == NULL || !t->judged) return value;
    json_object_update_new(value, json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:b}", "id", (int)t->id, "theirs", number(t->theirs),
                                            "ours", number(t->ours), "drift", number(t->drift), "our_margin",
                                            number(t->our_margin), "their_margin", number(t->their_margin), "open",
                                            t->our_margin < c->limit));
    if (t->gap > 0) json_object_set_new(value, "gap", number(t->gap));
    json_object_set_new(value, "top", choices_json(model, t));
    return value;
}

static json_t *answer_json(const vb_certificate *c, const vb_model *model, int i)
{
    const vb_answer *answer = &c->answers->item[i];
    const vb_aligned *a = &c->aligned[i];
    const vb_judgement *j = &c->judged[i];
    vb_spread drift = drift_of(a);
    json_t *tokens = json_array();
    for (int k = 0; k < a->n; k++) json_array_append_new(tokens, token_json(c, model, &answer->tokens[k], &a->token[k]));
    json_t *value = json_pack("{s:o, s:b, s:s, s:I, s:s, s:i, s:i, s:i, s:i}", "question",
                              text_json(question_of(answer), strlen(question_of(answer))), "chat", answer->chat, "verdict",
                              vb_verdict_name(j->verdict), "at", (json_int_t)j->at, "why", j->why, "first", a->first, "compared",
                              a->judged, "agreed", a->agreed, "prompt_tokens", a->n_ours);
    if (value == NULL) return NULL;
    json_object_set_new(value, "largest_gap", number(j->largest_gap));
    json_object_set_new(value, "drift", spread_json(&drift));
    json_object_set_new(value, "text", text_json(answer->text, answer->len));
    json_object_set_new(value, "tokens", tokens);
    return value;
}

json_t *vb_certificate_json(const vb_certificate *c, const vb_model *model)
{
    json_t *answers = json_array(), *verdicts = json_object();
    for (int i = 0; i < c->n; i++) json_array_append_new(answers, answer_json(c, model, i));
    for (int v = 0; v < VB_VERDICTS; v++) json_object_set_new(verdicts, vb_verdict_name((vb_verdict)v), json_integer(c->verdicts[v]));
    json_t *value = json_pack("{s:b, s:b, s:i, s:o, s:i, s:i, s:i, s:o, s:i, s:i, s:i}", "explained", c->explained, "drift_holds",
                              c->holds, "answers", c->n, "verdicts", verdicts, "compared", c->tokens, "agreed", c->agreed,
                              "not_compared", c->joined, "limit", number(c->limit), "open", c->open, "gaps", c->apart,
                              "gaps_unexplained", c->outside);
    if (value == NULL) return NULL;
    json_object_set_new(value, "drift", spread_json(&c->drift));
    json_object_set_new(value, "envelope", json_pack("{s:o, s:o, s:i, s:i, s:i}", "drift", spread_json(&c->envelope.drift), "margin",
                                                     spread_json(&c->envelope.margin), "flips", c->envelope.flips, "texts",
                                                     c->envelope.texts, "seeds", c->envelope.seeds));
    json_object_set_new(value, "cases", answers);
    return value;
}

json_t *vb_contributions_json(const vb_contribution *list, int n)
{
    json_t *array = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(array, json_pack("{s:s, s:o, s:o, s:i}", "difference", list[i].name, "drift",
                                               spread_json(&list[i].found.drift), "margin", spread_json(&list[i].found.margin),
                                               "flips", list[i].found.flips));
    return array;
}
