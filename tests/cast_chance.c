/* cast_chance.c - chance in lines: keys that differ by one have nothing in common, and tokens come as often as they should.
 *
 *   cast_chance MODEL
 *
 * All keys are fixed, so a verdict is for ever. The expected frequencies are computed here, from a session's logits in
 * binary64, without anything of the sampler; the bound on chi-square is the one that chance exceeds once in a million times.
 */
#include "tests/tally.h"
#include "verbatim_dialogue.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROMPT "A man was asked \"Where is the treasure?\". He smiled and said, \""
enum { KEYS = 500, WORDS = 64, LINES = 250, DRAWS = 20000, TOP_K = 40, CONTEXT = 128, LEAST = 20 };

static const vb_persona man = {.name = "man", .prompt = "A man was asked \"${text}\". He smiled and said, \"",
                               .sampling = {.temperature = 0.9f, .top_k = TOP_K}};
static const vb_persona token = {.name = "token", .prompt = PROMPT,
                                 .sampling = {.temperature = 0.9f, .top_k = TOP_K}, .stop = VB_STOP_LENGTH, .max_tokens = 1,
                                 .keep_quotes = 1};

__attribute__((noreturn)) static void fatal(const char *why)
{
    fprintf(stderr, "cast_chance: %s\n", why);
    exit(1);
}

static vb_cast *open_cast(vb_model *m, const vb_persona *p)
{
    vb_cast_opts o = {.personas = p, .n_personas = 1, .context = CONTEXT, .waiting = DRAWS};
    vb_err err;
    vb_cast *c;
    if (vb_cast_open(&c, m, &o, &err) < 0) fatal(err.text);
    return c;
}

static vb_line_key key_of(int i)
{
    return (vb_line_key){(uint64_t)i / 7, (uint64_t)i % 7 * 1000003, (uint64_t)i * 3, (uint64_t)i % 2};
}

/* The key with one of its four numbers larger by one. */
static vb_line_key changed(vb_line_key key, int which)
{
    uint64_t *const numbers[] = {&key.world, &key.entity, &key.tick, &key.draw};
    ++*numbers[which];
    return key;
}

static void check_words(void)
{
    int same = 0;
    for (int i = 0; i < KEYS; i++) {
        uint32_t a[WORDS], b[WORDS];
        vb_line_key key = key_of(i);
        vb_line_words(&key, a, WORDS);
        for (int which = 0; which < 4; which++) {
            vb_line_key other = changed(key, which);
            vb_line_words(&other, b, WORDS);
            for (int k = 0; k < WORDS; k++) same += a[k] == b[k];
        }
    }
    if (same == 0) passed();
    else failed("keys: expected no word in common, found %d", same);
}

/* --- lines ----------------------------------------------------------------------------------------------------- */

static char said[5 * LINES][512];

static void request(vb_cast *c, vb_line_key key, const char *text)
{
    vb_err err;
    vb_line_request q = {.key = key, .text = text};
    if (vb_cast_request(c, &q, &err) < 0) fatal(err.text);
}

static void step_all(vb_cast *c)
{
    vb_err err;
    if (vb_cast_step(c, 0, 0, &err) != 0) fatal(err.text);
}

/* World 2i is the line i, 2i + 1 the same in another world; other numbers tell which of them was changed. */
static void check_lines(vb_model *m)
{
    vb_cast *c = open_cast(m, &man);
    vb_line l;
    int differ = 0;
    for (int i = 0; i < LINES; i++) {
        vb_line_key key = {(uint64_t)i * 2, 1000, 2000, 0};
        request(c, key, "What will the river bring us tomorrow?");
        for (int which = 0; which < 4; which++) request(c, changed(key, which), "What will the river bring us tomorrow?");
    }
    step_all(c);
    while (vb_cast_collect(c, &l)) {
        int which = l.key.world % 2 ? 1 : l.key.entity > 1000 ? 2 : l.key.tick > 2000 ? 3 : l.key.draw > 0 ? 4 : 0;
        if (l.failed < 0 || l.len >= sizeof said[0]) fatal(l.text);
        memcpy(said[5 * (l.key.world / 2) + (uint64_t)which], l.text, l.len + 1);
    }
    for (int i = 0; i < LINES; i++)
        for (int which = 1; which < 5; which++) differ += strcmp(said[5 * i], said[5 * i + which]) != 0;
    printf("lines: %d of %d differ\n", differ, 4 * LINES);
    if (differ * 100 >= 4 * LINES * 99) passed();
    else failed("lines: expected 99 of 100 to differ, found %d of %d", differ, 4 * LINES);
    vb_cast_close(c);
}

/* --- frequencies ------------------------------------------------------------------------------------------------ */

typedef struct {
    double p[TOP_K];
    vb_token id[TOP_K];
    int drawn[TOP_K];
} table;

/* The k largest by repeated search, and their shares. */
static void expect(vb_model *m, table *t)
{
    vb_token ids[CONTEXT];
    vb_session *s;
    vb_session_opts o = {.context = CONTEXT};
    vb_err err;
    double sum = 0;
    int n_vocab;
    int64_t n = vb_tokenize(m, PROMPT, sizeof PROMPT - 1, VB_ADD_SPECIAL, ids, CONTEXT, &err);
    if (vb_session_open(&s, m, &o, &err) < 0 || vb_session_sync(s, ids, (int)n, &err) < 0) fatal(err.text);
    const float *logits = vb_session_logits(s, &n_vocab);
    char *taken = calloc((size_t)n_vocab, 1);
    if (taken == NULL) fatal("out of memory");
    for (int k = 0; k < TOP_K; k++) {
        int best = -1;
        for (int i = 0; i < n_vocab; i++)
            if (!taken[i] && (best < 0 || logits[i] > logits[best])) best = i;
        taken[best] = 1;
        t->id[k] = best;
        t->p[k] = exp(((double)logits[best] - (double)logits[t->id[0]]) / (double)token.sampling.temperature);
        sum += t->p[k];
    }
    for (int k = 0; k < TOP_K; k++) t->p[k] /= sum;
    free(taken);
    vb_session_close(s);
}

static void note(vb_model *m, table *t, const vb_line *l)
{
    char text[256];
    for (int k = 0; k < TOP_K; k++) {
        int64_t n = vb_token_bytes(m, t->id[k], text, sizeof text), from = n > 0 && text[0] == ' ';
        if (n - from != (int64_t)l->len || memcmp(text + from, l->text, l->len) != 0) continue;
        t->drawn[k]++;
        return;
    }
    failed("frequencies: a token that should not come: \"%s\"", l->text);
}

/* Tokens that are expected less than LEAST times count together. With f degrees of freedom chi-square is below
 * f (1 - 2/(9f) + 4.75 sqrt(2/(9f)))^3 but for once in a million times (Wilson and Hilferty). */
static void judge(const table *t)
{
    double chi = 0, rest = 0, rest_drawn = 0;
    int cells = 0;
    for (int k = 0; k < TOP_K; k++) {
        double e = t->p[k] * DRAWS, d = t->drawn[k];
        if (e < LEAST) {
            rest += e;
            rest_drawn += d;
            continue;
        }
        chi += (d - e) * (d - e) / e;
        cells++;
    }
    if (rest > 0) chi += (rest_drawn - rest) * (rest_drawn - rest) / rest, cells++;
    double f = cells - 1, h = 2 / (9 * f), bound = f * pow(1 - h + 4.75 * sqrt(h), 3);
    printf("frequencies: chi-square %.1f of %d cells, bound %.1f\n", chi, cells, bound);
    if (chi < bound && cells > 4) passed();
    else failed("frequencies: chi-square %.1f of %d cells: expected less than %.1f", chi, cells, bound);
}

static void check_frequencies(vb_model *m)
{
    static table t;
    vb_cast *c = open_cast(m, &token);
    vb_line l;
    memset(&t, 0, sizeof t);
    expect(m, &t);
    for (int i = 0; i < DRAWS; i++) request(c, (vb_line_key){11, 5, (uint64_t)i, 0}, NULL);
    step_all(c);
    while (vb_cast_collect(c, &l)) note(m, &t, &l);
    judge(&t);
    vb_cast_close(c);
}

int main(int argc, char **argv)
{
    vb_err err;
    vb_model *m;
    vb_model_opts o = {.threads = 1};
    if (argc < 2) return fprintf(stderr, "usage: cast_chance MODEL\n"), 2;
    if (vb_model_open(&m, argv[1], &o, &err) < 0) fatal(err.text);
    check_words();
    check_lines(m);
    check_frequencies(m);
    vb_model_close(m);
    return verdict();
}
