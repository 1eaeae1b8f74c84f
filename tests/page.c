/* page.c KIND FILE - writes pages whose contents are known, for a browser to look at (tests/cli/page.py).
 *
 *   ten       ten tokens of two streams that part at the seventh, all there is beside them
 *   many      10,000 tokens, 32 layers
 *   hostile   texts that would be markup, script, control characters or no UTF-8
 *   cases     several prompts with a verdict each
 *   noise     4,000 tokens of random bytes
 *   bare      one stream without any numbers; nothing at all of a second
 */
#include "page/page.h"
#include "tests/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 10000, TOP = 5, LAYERS = 32, CASES = 12 };

static const char *const words[] = {
    "The",         " sky",  " is",   " blue",   " because", " of",  " the",        " way",     " light", " is",
    " scattered",  " by",   " the",  " air",    ".",        "\n",   "Sunlight",    " reaches", " Earth", "'s",
    " atmosphere", " and",  " is",   " spread", " in",      " all", " directions", ",",        " but",   " short",
    " waves",      " more", " than", " long",   " ones",    ".",    "\n\n"};
enum { WORDS = sizeof words / sizeof words[0] };
static const char *const hostile[] = {"<script>alert(1)</script>",
                                      "</script><img src=x onerror=alert(2)>",
                                      "\" onmouseover=\"alert(3)",
                                      "<!--",
                                      "]]>",
                                      "&amp;&lt;",
                                      "\x1b[31m",
                                      "\xff\xfe",
                                      "\xe2\x96",
                                      "\xe2\x80\xae"
                                      "desrever",
                                      "\\u003c",
                                      "'",
                                      "\t\r\n",
                                      "{{7*7}}",
                                      "\xf0\x9f\x98\x80",
                                      "</style><style>*{display:none}</style>",
                                      "http://127.0.0.1:1/x",
                                      "\xe0\xa4\x95\xe0\xa5\x8d\xe0\xa4\xb7",
                                      "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d"};
enum { HOSTILE = sizeof hostile / sizeof hostile[0] };

typedef struct {
    vb_page_token tokens[2][MOST];
    vb_page_choice top[2][MOST][TOP];
    double drift[MOST], largest[LAYERS * MOST], rms[LAYERS * MOST];
} sample;

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double real(rng *r)
{
    return (double)rng_float(r) * 0.5 + 0.5;
}

/* Choices whose logits fall from one to the next; the chosen one is the first, or here and there the second. */
static void fill_token(sample *s, int stream, int i, const char *text, double apart, rng *r)
{
    vb_page_token *t = &s->tokens[stream][i];
    vb_page_choice *top = s->top[stream][i];
    double gap = 6 * real(r) * real(r) + 1e-4, sum = 0;
    for (int k = 0; k < TOP; k++) {
        float logit = (float)(18 - gap * k - 0.3 * k * k * gap + apart);
        int id = k == 0 ? i % WORDS + 1 : 1000 + (i * 7 + k) % 500;
        const char *name = k == 0 ? text : words[(i + k * 5) % WORDS];
        top[k] = (vb_page_choice){name, strlen(name), id, 1, bits_of(logit), (double)logit};
        sum += exp((double)logit);
    }
    for (int k = 0; k < TOP; k++) top[k].logprob -= log(sum);
    *t = (vb_page_token){.text = text,
                         .len = strlen(text),
                         .id = top[0].id,
                         .given = i < 3,
                         .logprob = top[0].logprob,
                         .margin = gap * 1.3,
                         .top = top,
                         .n_top = i < 3 ? 0 : TOP};
    if (i < 3) t->logprob = t->margin = (double)NAN;
}

static void fill(sample *s, int n, int parted, const char *const *texts, int n_texts, uint64_t seed)
{
    rng one = {seed + 99}, two = one, other = {seed + 7};
    for (int i = 0; i < n; i++) {
        double apart = i < 3 ? 0 : 0.002 * exp(4 * real(&other) - 2);
        fill_token(s, 0, i, texts[i % n_texts], 0, &one);
        fill_token(s, 1, i, texts[(i >= parted ? i + 3 : i) % n_texts], apart, &two);
        if (i >= parted) s->tokens[1][i].id = s->top[1][i][0].id = 2000 + i % 7;
        s->drift[i] = i < 3 || i > parted ? (double)NAN : apart;
        for (int layer = 0; layer < LAYERS; layer++) {
            double grown = i < n / 3 || layer < 5 ? 0 : 1e-6 * exp(layer * 0.3 + 2 * real(&other));
            s->largest[layer * n + i] = grown;
            s->rms[layer * n + i] = grown / 7;
        }
    }
}

static vb_page_case case_of(sample *s, int n, int parted)
{
    return (vb_page_case){
        .title = "Why is the sky blue?",
        .verdict = "rounding",
        .tone = VB_PAGE_EXPLAINED,
        .reason = "Both sides were within 0.0031 nat of choosing the other token; the measured drift is 0.013.",
        .streams = {{.name = "verbatim", .what = "smollm2, cpu avx2", .tokens = s->tokens[0], .n = n},
                    {.name = "another engine", .what = "by HTTP", .tokens = s->tokens[1], .n = n, .bounds = 1}},
        .n_streams = 2,
        .divergence = parted,
        .drift = s->drift,
        .layers = {LAYERS, n, NULL, s->largest, s->rms}};
}

static const vb_page_fact facts[] = {{"engine", "verbatim 0.1.0", "another 1.2", 1},
                                     {"model", "smollm2 Q4_1", "smollm2 Q4_1", 0},
                                     {"sampling", "greedy", "greedy", 0},
                                     {"prompt tokens", "3", "3", 0},
                                     {"note", "<b>of both</b>", NULL, 0}};

static vb_page page_of(const vb_page_case *cases, int n)
{
    return (vb_page){.kind = "trace diff",
                     .title = "Why is the sky <i>blue</i>?",
                     .verdict = cases->verdict,
                     .reason = cases->reason,
                     .tone = cases->tone,
                     .facts = facts,
                     .n_facts = 5,
                     .cases = cases,
                     .n_cases = n,
                     .envelope = {1, 0.002, 0.009, 0.013, 0, 0.05, "one ulp in every layer, 512 tokens"},
                     .drift_what = "largest difference of kept logits"};
}

static vb_status write_cases(const char *path, vb_err *err)
{
    sample *s = calloc(CASES, sizeof *s);
    vb_page_case cases[CASES];
    if (s == NULL) return VB_E_MEMORY;
    for (int i = 0; i < CASES; i++) {
        int same = i % 3 == 0, n = 40 + i * 9;
        fill(&s[i], n, same ? n : 20 + i, words, WORDS, (uint64_t)i);
        cases[i] = case_of(&s[i], n, same ? -1 : 20 + i);
        cases[i].layers.layers = 0;
        if (same) cases[i].verdict = "same", cases[i].tone = VB_PAGE_GOOD, cases[i].reason = NULL;
        if (i == 7) cases[i].verdict = "unexplained", cases[i].tone = VB_PAGE_BAD, cases[i].drift = NULL;
    }
    vb_page page = page_of(cases, CASES);
    page.verdict = "11 of 12 explained";
    page.tone = VB_PAGE_BAD;
    vb_status status = vb_page_save(path, &page, err);
    free(s);
    return status;
}

static vb_status write_noise(const char *path, sample *s, vb_err *err)
{
    enum { TOKENS = 4000, LENGTH = 12 };
    static char bytes[TOKENS][LENGTH];
    static const char often[] = "<>&\"'\\/-!u\n\0\xe2\x80\xf0\xc2";
    rng r = {77};
    for (int i = 0; i < TOKENS; i++) {
        size_t n = rng_word(&r) % (LENGTH + 1);
        for (size_t k = 0; k < n; k++)
            bytes[i][k] = rng_word(&r) % 2 ? often[rng_word(&r) % (sizeof often - 1)] : (char)rng_word(&r);
        s->tokens[0][i] = s->tokens[1][i] =
            (vb_page_token){.text = bytes[i], .len = n, .id = i, .logprob = -1, .margin = (double)NAN};
    }
    vb_page_case one = case_of(s, TOKENS, -1);
    one.drift = NULL;
    one.layers.layers = 0;
    vb_page page = page_of(&one, 1);
    return vb_page_save(path, &page, err);
}

static vb_status write_bare(const char *path, vb_err *err)
{
    vb_page_token tokens[2] = {{.text = "a", .len = 1, .id = -1, .logprob = (double)NAN, .margin = (double)NAN}, {0}};
    vb_page_case one = {.streams = {{.tokens = tokens, .n = 2}}, .n_streams = 1, .divergence = -1};
    return vb_page_save(path, &(vb_page){.cases = &one, .n_cases = 1}, err);
}

int main(int argc, char **argv)
{
    vb_err err = {0};
    vb_status status = VB_E_ARGUMENT;
    sample *s = calloc(1, sizeof *s);
    if (argc != 3 || s == NULL) return 2;
    int many = strcmp(argv[1], "many") == 0, strange = strcmp(argv[1], "hostile") == 0;
    int n = many ? MOST : strange ? 4 * HOSTILE : 10, parted = many ? 7000 : strange ? 30 : 7;
    fill(s, n, parted, strange ? hostile : words, strange ? HOSTILE : WORDS, 1);
    vb_page_case one = case_of(s, n, parted);
    vb_page page = page_of(&one, 1);
    if (strcmp(argv[1], "noise") == 0) status = write_noise(argv[2], s, &err);
    else if (strcmp(argv[1], "cases") == 0) status = write_cases(argv[2], &err);
    else if (strcmp(argv[1], "bare") == 0) status = write_bare(argv[2], &err);
    else status = vb_page_save(argv[2], &page, &err);
    if (status < 0) fprintf(stderr, "%s\n", err.text);
    free(s);
    return status < 0;
}
