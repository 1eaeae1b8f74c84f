/* grammar.c - grammars beside a matcher that tries everything, masks beside tokens tried one by one, what is refused,
 * and choices within a mask beside the sampler's naive twin on the tokens that are left.
 */
#include "grammar/gbnf.h"
#include "grammar/grammar.h"
#include "oracle/oracle.h"
#include "session/sampler.h"

#include "tests/random.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static uint32_t below(rng *x, uint32_t n)
{
    return rng_word(x) % n;
}

/* --- a vocabulary ------------------------------------------------------------------------------------------------ */

enum { END = 300, N_VOCAB = 301 };

/* Every byte, some longer texts that cut characters apart, a control token (299) and an end. */
static const char *const longer[] = {"ab", "abc", "ba", "aa", "\"a", "\":", "{\"", "tru", "e}", "\xc3\xa9", "\xa9\"", "a\xe2\x82",
                                     "true", "null", "12", "1.5", ", ", "[[", "]]", "\n\n"};

static int64_t text_of(void *ud, vb_token id, char *buf, size_t cap)
{
    (void)ud;
    if (id == END) return -1;
    if (id < 256) {
        buf[0] = (char)id;
        return 1;
    }
    size_t i = (size_t)id - 256;
    if (i >= sizeof longer / sizeof longer[0]) return 0;
    cr_assert_leq(strlen(longer[i]), cap);
    memcpy(buf, longer[i], strlen(longer[i]));
    return (int64_t)strlen(longer[i]);
}

static vb_trie *vocabulary(void)
{
    static vb_trie trie;
    if (trie.n_vocab == 0) cr_assert_eq(vb_trie_make(&trie, N_VOCAB, text_of, NULL, NULL), VB_OK);
    return &trie;
}

static vb_status open_gbnf(vb_grammar **out, const char *text, vb_err *err)
{
    vb_rules rules;
    int root;
    *out = NULL;
    vb_rules_start(&rules);
    vb_status s = vb_gbnf_read(&rules, &root, text, strlen(text), err);
    if (s == VB_OK) s = vb_grammar_make(out, &rules, root, vocabulary(), err);
    vb_rules_free(&rules);
    return s;
}

static vb_grammar *grammar(const char *text)
{
    vb_grammar *g;
    vb_err err = {0};
    cr_assert_eq(open_gbnf(&g, text, &err), VB_OK, "%s: %s", text, err.text);
    return g;
}

/* 'y' it fits, 'n' it does not, '+' it is the beginning of one that may fit. */
static char fits(vb_grammar *g, const char *text, size_t len)
{
    vb_grammar *fork;
    cr_assert_eq(vb_grammar_fork(&fork, g, NULL), VB_OK);
    char verdict = vb_grammar_accept_text(fork, text, len, NULL) != VB_OK ? 'n' : vb_grammar_may_end(fork) ? 'y' : '+';
    vb_grammar_close(fork);
    return verdict;
}

static void judge(const char *gbnf, const char *const *cases)
{
    vb_grammar *g = grammar(gbnf);
    for (; *cases != NULL; cases++) {
        char found = fits(g, *cases + 1, strlen(*cases + 1));
        cr_assert_eq(found, (*cases)[0], "%s: \"%s\": expected %c, found %c", gbnf, *cases + 1, (*cases)[0], found);
    }
    vb_grammar_close(g);
}
#define JUDGE(gbnf, ...) judge(gbnf, (const char *const[]){__VA_ARGS__, NULL})

Test(grammar, fits_what_it_says)
{
    JUDGE("root ::= \"ab\" | \"cd\"", "yab", "ycd", "+a", "nb", "nabc", "+");
    JUDGE("root ::= [a-c]+", "+", "ya", "yabcabc", "nd", "nabd");
    JUDGE("root ::= [^a-c]", "yd", "na", "y\xc3\xa9", "+\xc3", "n\xc3\x28", "n\xff", "n\xed\xa0\x80", "y\xf4\x8f\xbf\xbf", "n\xf4\x90");
    JUDGE("root ::= \"a\"{2,3} \"b\"?", "+a", "yaa", "yaaa", "naaaa", "yaab", "nab");
    JUDGE("root ::= \"a\"{3}", "+aa", "yaaa", "naaaa");
    JUDGE("root ::= \"a\"{2,}", "+a", "yaa", "yaaaaaaaaaa");
    JUDGE("root ::= (\"a\" | \"b\" \"c\")* \"d\"", "yd", "yabcad", "nabd", "+abc");
    JUDGE("root ::= \"(\" root \")\" | \"x\"", "yx", "y(x)", "y((((x))))", "+((x)", "n(x))");
    JUDGE("root ::= \"a\" root | \"\"", "y", "yaaaa", "nab");
    JUDGE("# comment\nroot ::= one\n\none ::= # here\n  \"\\x41\\u00e9\\n\\\"\" # there", "yA\xc3\xa9\n\"");
    JUDGE("root ::= [\\]\\-a] .", "y]z", "y-\xc3\xa9", "ya\n", "nbz");
    JUDGE("root ::= (\n  \"a\" |\n  \"b\"\n)+ [ \\t]*", "ya", "yab ", "+");
    JUDGE("root ::= [\xce\xb1-\xcf\x89]+", "y\xce\xb1\xcf\x89", "n\xcf\x8a", "+\xce\xb1\xcf", "n\xce\xb0");
    JUDGE("root ::= (\"a\"? \"b\"?){2,4}", "y", "yabab", "yabababab", "nababababab");
    JUDGE("root ::= %json {\"enum\": [\"}\", 5]} x %json\n{\"type\":\"array\", \"maxItems\": 0}\nx ::= \"-\"", "y5-[]", "y\"}\"-[]", "+5-", "n6");
    JUDGE("root ::= (a %json {\"const\": 1}){2}\na ::= \"x\"", "yx1x1", "+x1");
    JUDGE("root ::= [\\U00010000-\\U0001F600]", "y\xf0\x90\x80\x80", "y\xf0\x9f\x98\x80", "n\xf0\x9f\x98\x81", "n\xef");
}

Test(grammar, refuses_what_is_none)
{
    static const char *const bad[] = {
        "", "rot ::= \"a\"", "root = \"a\"", "root ::= \"a", "root ::= [a", "root ::= (\"a\"", "root ::= \"a\")", "root ::= other",
        "root ::= \"a\"\nroot ::= \"b\"", "root ::= root \"a\" | \"b\"", "root ::= a\na ::= b \"x\"\nb ::= a | \"y\"",
        "root ::= \"\"? root \"a\" | \"b\"", "root ::= root | \"a\"", "root ::= (root \"a\")* \"b\"", "root ::= \"a\"{3,2}",
        "root ::= \"a\"{2001}", "root ::= \"a\"{0,1000000000}", "root ::= [z-a]", "root ::= \"\\q\"", "root ::= \"\\ud800\"",
        "root ::= \"\\x4\"", "root ::= \"\xff\"", "root ::= \"a\" root", "root ::= []", "root ::= \"a\"***** ",
        "root ::= ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((\"a\"",
        "root ::= (((((\"a\"{1,2000}){1,2000}){1,2000}){0,2000}){0,2000} <x>",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        vb_grammar *g;
        vb_err err = {0};
        vb_status s = open_gbnf(&g, bad[i], &err);
        cr_assert(s < 0 && g == NULL, "%s: expected an error", bad[i]);
        cr_assert(err.code == s && strncmp(err.text, "grammar: ", 9) == 0, "%s: %s", bad[i], err.text);
    }
    static const char *const bad_schemas[] = {
        "root ::= %json", "root ::= %json x", "root ::= %json {\"a\": \"}\"", "root ::= %json {]", "root ::= %jsn {}", "root ::= %json {} }",
        "root ::= %json {\"type\": \"nothing\"}", "root ::= %json {\"$ref\": \"#\"}", "root ::= % json {}"};
    for (size_t i = 0; i < sizeof bad_schemas / sizeof bad_schemas[0]; i++) {
        vb_grammar *g;
        vb_err err = {0};
        cr_assert(open_gbnf(&g, bad_schemas[i], &err) < 0 && g == NULL && err.text[0] != '\0', "%s: expected an error", bad_schemas[i]);
    }
}

/* A branch that can never be finished is not begun. */
Test(grammar, begins_nothing_that_cannot_end)
{
    JUDGE("root ::= \"a\" [] | \"b\" never | \"c\"\nnever ::= \"x\" never", "na", "nb", "yc");
}

Test(grammar, many_ways_at_once_are_an_error_and_no_hang)
{
    vb_grammar *g;
    vb_err err = {0};
    vb_status s = open_gbnf(&g, "root ::= ((\"a\"{0,2000}){0,2000}){0,2000}", &err);
    for (int i = 0; i < 100 && s == VB_OK; i++) s = vb_grammar_accept_text(g, "a", 1, &err);
    cr_assert_eq(s, VB_E_UNSUPPORTED);
    cr_assert(strstr(err.text, "ambiguous") != NULL, "%s", err.text);
    vb_grammar_close(g);
}

/* --- random grammars beside a matcher that tries everything --------------------------------------------------------- */

static int make(vb_rules *r, rng *x, int depth, int rule)
{
    uint32_t pick = below(x, depth == 0 ? 3 : 8);
    char letter = (char)('a' + below(x, 2));
    int expr = VB_EXPR_EMPTY, n = (int)below(x, 3) + 1;
    switch (pick) {
    case 0:
    case 1: return vb_expr_literal(r, &letter, 1);
    case 2: return vb_expr_class(r, &(vb_range){'a', 'b'}, 1, 0);
    case 3:
        for (int i = 0; i < n; i++) expr = vb_expr_then(r, expr, make(r, x, depth - 1, rule));
        return expr;
    case 4:
        for (expr = VB_EXPR_NEVER; n > 0; n--) expr = vb_expr_or(r, expr, make(r, x, depth - 1, rule));
        return expr;
    case 5: return vb_expr_repeat(r, make(r, x, depth - 1, rule), (int)below(x, 3), (int)below(x, 2) ? 3 : -1);
    case 6: /* behind a letter, so that no rule is left recursive */
        return vb_expr_then(r, vb_expr_literal(r, &letter, 1), vb_expr_rule(r, (int)below(x, 3)));
    default: return rule < 2 ? vb_expr_rule(r, rule + 1) : VB_EXPR_EMPTY;
    }
}

/* Where an expression may end when it begins at each of the places in `from`: both are sets of bits. */
static uint32_t match(const vb_rules *r, int expr, uint32_t from, const char *text, int depth);

static uint32_t match_list(const vb_rules *r, int child, uint32_t from, const char *text, int depth)
{
    if (child < 0) return from;
    return match(r, child, match_list(r, r->exprs[child].before, from, text, depth), text, depth);
}

static uint32_t match_repeat(const vb_rules *r, const vb_expr *e, uint32_t from, const char *text, int depth)
{
    uint32_t ends = e->b == 0 ? from : 0;
    int most = e->c < 0 ? e->b + 16 : e->c;
    for (int i = 1; i <= most; i++) {
        from = match(r, e->a, from, text, depth);
        if (i >= e->b) ends |= from;
    }
    return ends;
}

static uint32_t match(const vb_rules *r, int expr, uint32_t from, const char *text, int depth)
{
    const vb_expr *e = &r->exprs[expr];
    uint32_t ends = 0;
    int len = (int)strlen(text);
    if (from == 0 || depth > 40) return 0;
    switch (e->kind) {
    case VB_EMPTY: return from;
    case VB_NEVER: return 0;
    case VB_LITERAL:
        for (int i = 0; i < len; i++)
            if (from >> i & 1 && text[i] == r->bytes[e->a]) ends |= 2u << i;
        return ends;
    case VB_CLASS: return from << 1 & ((2u << len) - 1);
    case VB_RULE: return match(r, r->rules[e->a], from, text, depth + 1);
    case VB_SEQUENCE: return match_list(r, e->a, from, text, depth);
    case VB_CHOICE:
        for (int child = e->a; child >= 0; child = r->exprs[child].before) ends |= match(r, child, from, text, depth);
        return ends;
    case VB_REPEAT: return match_repeat(r, e, from, text, depth);
    }
    return 0;
}

Test(grammar, equals_a_matcher_that_tries_everything)
{
    rng x = {12345};
    int opened = 0, fitting = 0, not_fitting = 0;
    for (int round = 0; round < 400; round++) {
        vb_rules rules;
        vb_grammar *g;
        vb_rules_start(&rules);
        for (int i = 0; i < 3; i++) vb_rule_new(&rules);
        for (int i = 0; i < 3; i++) vb_rule_set(&rules, i, make(&rules, &x, 4, i));
        if (vb_grammar_make(&g, &rules, 0, vocabulary(), NULL) == VB_OK) {
            opened++;
            for (int t = 0; t < 60; t++) {
                char text[12] = {0};
                int len = (int)below(&x, 11);
                for (int i = 0; i < len; i++) text[i] = (char)('a' + below(&x, 2));
                int expected = (match(&rules, rules.rules[0], 1, text, 0) >> len & 1) != 0;
                cr_assert_eq(fits(g, text, (size_t)len) == 'y', expected, "round %d: \"%s\": expected %d", round, text, expected);
                fitting += expected;
                not_fitting += !expected;
            }
        }
        vb_grammar_close(g);
        vb_rules_free(&rules);
    }
    cr_assert(opened > 200 && fitting > 2000 && not_fitting > 2000, "%d grammars, %d and %d texts", opened, fitting, not_fitting);
}

/* --- masks ---------------------------------------------------------------------------------------------------------- */

static const char json[] = "root ::= value\n"
                           "value ::= object | array | string | number | \"true\" | \"false\" | \"null\"\n"
                           "object ::= \"{\" ws (string \":\" ws value (\",\" ws string \":\" ws value)*)? ws \"}\"\n"
                           "array ::= \"[\" ws (value (\",\" ws value)*)? ws \"]\"\n"
                           "string ::= \"\\\"\" ([^\"\\\\\\x00-\\x1f] | \"\\\\\" [\"\\\\/bfnrt])* \"\\\"\"\n"
                           "number ::= \"-\"? (\"0\" | [1-9] [0-9]{0,15}) (\".\" [0-9]+)?\n"
                           "ws ::= [ \\n]{0,3}\n";

/* Random walks: at each place the mask says what trying each token says. */
Test(grammar, mask_is_what_accept_says)
{
    rng x = {7};
    uint8_t mask[(N_VOCAB + 7) / 8];
    int ended = 0;
    for (int round = 0; round < 60; round++) {
        vb_grammar *g = grammar(json);
        for (int step = 0; step < 40; step++) {
            vb_token allowed[N_VOCAB];
            int n = 0;
            cr_assert_eq(vb_grammar_mask(g, mask, sizeof mask, NULL), VB_OK);
            for (vb_token id = 0; id < N_VOCAB; id++) {
                vb_grammar *fork;
                cr_assert_eq(vb_grammar_fork(&fork, g, NULL), VB_OK);
                int fit = vb_grammar_accept(fork, id, NULL) == VB_OK;
                cr_assert_eq(fit, vb_mask_has(mask, id), "round %d step %d token %d", round, step, (int)id);
                cr_assert_eq(fit, vb_grammar_allows(g, id, NULL));
                if (fit) allowed[n++] = id;
                vb_grammar_close(fork);
            }
            if (n == 0) break;
            vb_token next = allowed[below(&x, (uint32_t)n)];
            cr_assert_eq(vb_grammar_accept(g, next, NULL), VB_OK);
            ended += next == END;
        }
        vb_grammar_close(g);
    }
    cr_assert(ended > 5, "%d ended", ended);
}

Test(grammar, an_end_token_ends)
{
    vb_grammar *g = grammar("root ::= \"a\"?");
    uint8_t mask[(N_VOCAB + 7) / 8];
    cr_assert_eq(vb_grammar_accept(g, 'b', NULL), VB_E_ARGUMENT);
    cr_assert_eq(vb_grammar_accept(g, 299, NULL), VB_E_ARGUMENT);
    cr_assert_eq(vb_grammar_accept(g, END, NULL), VB_OK);
    cr_assert(vb_grammar_may_end(g));
    cr_assert_eq(vb_grammar_accept(g, 'a', NULL), VB_E_ARGUMENT);
    cr_assert_eq(vb_grammar_mask(g, mask, sizeof mask, NULL), VB_OK);
    for (vb_token id = 0; id < N_VOCAB; id++) cr_assert_not(vb_mask_has(mask, id));
    cr_assert_eq(vb_grammar_mask(g, mask, sizeof mask - 1, NULL), VB_E_ARGUMENT);
    vb_grammar_close(g);
}

/* So many states that they are forgotten now and then, by two forks that stand apart. */
Test(grammar, forgetting_states_changes_nothing)
{
    vb_grammar *g = grammar("root ::= \"a\" root \"a\" | \"b\" root \"b\" | \"c\""), *fork;
    rng x = {99};
    char text[40000];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)('a' + below(&x, 2));
    for (size_t i = 0; i < sizeof text; i++) {
        cr_assert_eq(vb_grammar_accept_text(g, text + i, 1, NULL), VB_OK);
        if (i == 20) cr_assert_eq(vb_grammar_fork(&fork, g, NULL), VB_OK);
    }
    cr_assert_eq(vb_grammar_accept_text(g, "c", 1, NULL), VB_OK);
    cr_assert_eq(vb_grammar_accept_text(fork, "c", 1, NULL), VB_OK);
    for (size_t i = sizeof text; i-- > 0;) {
        char wrong = text[i] == 'a' ? 'b' : 'a';
        cr_assert_eq(vb_grammar_accept_text(g, &wrong, 1, NULL), VB_E_ARGUMENT);
        cr_assert_eq(vb_grammar_accept_text(g, text + i, 1, NULL), VB_OK);
        if (i <= 20) cr_assert_eq(vb_grammar_accept_text(fork, text + i, 1, NULL), VB_OK);
    }
    cr_assert(vb_grammar_may_end(g) && vb_grammar_may_end(fork));
    vb_grammar_close(g);
    vb_grammar_close(fork);
}

/* --- choosing ------------------------------------------------------------------------------------------------------- */

static vb_sampling settings(rng *x, int n)
{
    vb_sampling s = {.seed = below(x, 1000), .stream = below(x, 10)};
    uint32_t on = below(x, 256);
    if (on & 1) s.temperature = 0.1f + (float)below(x, 20) * 0.1f;
    if (on & 2) s.top_k = 1 + (int)below(x, (uint32_t)n);
    if (on & 4) s.top_p = (float)below(x, 100) * 0.01f;
    if (on & 8) s.min_p = (float)below(x, 100) * 0.002f;
    if (on & 16) s.typical = (float)below(x, 100) * 0.01f;
    if (on & 32) s.repeat = 0.5f + (float)below(x, 10) * 0.1f;
    if (on & 64) s.presence = (float)below(x, 20) * 0.1f - 1.0f;
    return s;
}

/* With the others left out the twin sees fewer tokens and must choose the same one. */
Test(grammar, choice_within_a_mask_equals_the_twin_on_what_is_left)
{
    enum { MOST = 400, PAST = 50 };
    rng x = {31};
    for (int round = 0; round < 20000; round++) {
        float logits[MOST], left[MOST];
        vb_token ids[MOST], place[MOST], past[PAST], fewer[PAST], fast = -1, slow = -1;
        uint8_t mask[(MOST + 7) / 8] = {0};
        int n = 1 + (int)below(&x, MOST), n_left = 0, n_past = (int)below(&x, PAST);
        uint32_t share = 1 + below(&x, 20);
        for (int i = 0; i < n; i++) {
            logits[i] = (float)((int)below(&x, 80) - 40) * 0.25f;
            place[i] = -1;
            if (below(&x, share) != 0) continue;
            mask[i >> 3] |= (uint8_t)(1u << (i & 7));
            place[i] = n_left;
            left[n_left] = logits[i];
            ids[n_left++] = i;
        }
        vb_sampling s = settings(&x, n);
        for (int i = 0; i < n_past; i++) {
            past[i] = (vb_token)below(&x, (uint32_t)n);
            fewer[i] = place[past[i]];
        }
        vb_sample_from from = {.logits = logits, .n_vocab = n, .mask = mask, .past = past, .n_past = n_past};
        vb_status status = vb_sample_among(&from, &s, &fast, NULL);
        cr_assert_eq(status, n_left > 0 ? VB_OK : VB_E_NOT_FOUND);
        if (n_left == 0) continue;
        if (s.top_k > n_left) s.top_k = 0;
        cr_assert_eq(vb_oracle_sample(left, n_left, fewer, n_past, &s, &slow), VB_OK);
        cr_assert_eq(fast, ids[slow], "round %d: %d, twin %d of %d", round, fast, ids[slow], n_left);
    }
}

/* The ways around a whole mask lead to what the mask says, in strict and in free places. */
Test(grammar, choice_within_a_grammar_is_that_within_its_mask)
{
    rng x = {77};
    static const char *const before[] = {"", "{\"", "{\"a", "[1", "[tr", "{\"a\": \"\xc3"};
    for (int round = 0; round < 6000; round++) {
        float logits[N_VOCAB];
        uint8_t mask[(N_VOCAB + 7) / 8];
        const char *text = before[below(&x, 6)];
        vb_token direct = -1, masked = -1, past[4] = {'a', '1', '"', 'a'};
        static vb_grammar *g;
        vb_grammar *fork;
        if (g == NULL) g = grammar(json);
        cr_assert_eq(vb_grammar_fork(&fork, g, NULL), VB_OK);
        cr_assert_eq(vb_grammar_accept_text(fork, text, strlen(text), NULL), VB_OK);
        cr_assert_eq(vb_grammar_mask(fork, mask, sizeof mask, NULL), VB_OK);
        for (int i = 0; i < N_VOCAB; i++) logits[i] = (float)((int)below(&x, 80) - 40) * 0.25f;
        vb_sampling s = settings(&x, 60);
        vb_sample_from from = {.logits = logits, .n_vocab = N_VOCAB, .past = past, .n_past = 4};
        cr_assert_eq(vb_sample_within(&from, &s, fork, &direct, NULL), VB_OK);
        from.mask = mask;
        cr_assert_eq(vb_sample_among(&from, &s, &masked, NULL), VB_OK);
        cr_assert_eq(direct, masked, "round %d: %d, by the mask %d", round, direct, masked);
        vb_grammar_close(fork);
    }
}
