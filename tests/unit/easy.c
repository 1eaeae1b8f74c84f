/* easy.c - JSON taken out of texts, values beside schemas, labels beside sums by hand, one call at a time, cancelling. */
#include "verbatim_easy.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char tiny[] = "tests/golden/llama-gqa/model.gguf";

/* --- JSON out of texts -------------------------------------------------------------------------------------------- */

static const char ann[] = "{\"type\": \"object\", \"properties\": {\"name\": {\"type\": \"string\"}, \"age\": {\"type\": \"integer\", "
                          "\"minimum\": 0}, \"tags\": {\"type\": \"array\", \"items\": {\"type\": \"string\"}}}, \"required\": [\"name\"], "
                          "\"additionalProperties\": false}";

typedef struct {
    const char *text, *json; /* json NULL: refused, and `says` stands in the reason */
    int repairs;
    const char *says;
} taking;

static void takes(const char *schema, const taking *t)
{
    char json[512] = "";
    int repairs = -1;
    vb_err err = {0};
    int64_t n = vb_easy_json(t->text, schema, json, sizeof json - 1, &repairs, &err);
    if (t->json == NULL) {
        cr_assert_eq(n, VB_E_DIFFERS, "%s: %lld", t->text, (long long)n);
        cr_assert_not_null(strstr(err.text, t->says), "%s: expected '%s' in '%s'", t->text, t->says, err.text);
        return;
    }
    cr_assert_geq(n, 0, "%s: %s", t->text, err.text);
    cr_assert_str_eq(json, t->json, "%s: %s", t->text, json);
    cr_assert_eq((size_t)n, strlen(json));
    cr_assert_eq(repairs, t->repairs, "%s: repairs %d", t->text, repairs);
    cr_assert_eq(vb_easy_json(t->text, schema, NULL, 0, NULL, NULL), n);
}

Test(easy_json, tolerates_forms_and_says_so)
{
    static const taking rows[] = {
        {"{\"name\":\"Ann\",  \"age\": 3}", "{\"name\":\"Ann\",  \"age\": 3}", 0, NULL},
        {" {\"name\":\"Ann\"}\n", "{\"name\":\"Ann\"}", 0, NULL},
        {"Sure! Here it is: {\"name\": \"Ann\"} Enjoy.", "{\"name\": \"Ann\"}", VB_EASY_PROSE, NULL},
        {"```json\n{\"name\": \"Ann\"}\n```", "{\"name\": \"Ann\"}", VB_EASY_PROSE, NULL},
        {"See [1] and {this}:\n```\n{\"name\": \"Ann\"}\n```\nDone {", "{\"name\": \"Ann\"}", VB_EASY_PROSE, NULL},
        {"{\"name\": \"Ann\", \"tags\": [\"a\", \"b\",],}", "{\"name\": \"Ann\", \"tags\": [\"a\", \"b\"]}", VB_EASY_COMMAS, NULL},
        {"{\"name\": \"Ann\" \"age\": 3}", "{\"name\": \"Ann\", \"age\": 3}", VB_EASY_COMMAS, NULL},
        {"{'name': 'it''s Ann'}", "{\"name\": \"it''s Ann\"}", VB_EASY_QUOTES, NULL},
        {"{'name': 'Ann\\'s \"own\"'}", "{\"name\": \"Ann's \\\"own\\\"\"}", VB_EASY_QUOTES | VB_EASY_ESCAPES, NULL},
        {"{name: \xe2\x80\x9c" "Ann\xe2\x80\x9d}", "{\"name\": \"Ann\"}", VB_EASY_QUOTES, NULL},
        {"{\"name\": \"Ann\", // her\n \"age\": /* now */ 3}", "{\"name\": \"Ann\", \"age\": 3}", VB_EASY_COMMENTS, NULL},
        {"{\"name\": \"Ann\nB\\d\"}", "{\"name\": \"Ann\\nB\\\\d\"}", VB_EASY_ESCAPES, NULL},
        {"{\"name\": \"Ann\", \"tags\": [\"a\", \"b\"", "{\"name\": \"Ann\", \"tags\": [\"a\", \"b\"]}", VB_EASY_CLOSED, NULL},
        {"{\"name\": \"Ann\", \"tags\": [\"a\", \"b\"}", "{\"name\": \"Ann\", \"tags\": [\"a\", \"b\"]}", VB_EASY_CLOSED, NULL},
        {"{\"name\": \"Ann\", \"age\":", "{\"name\": \"Ann\"}", VB_EASY_CLOSED, NULL},
        {"{\"name\": \"Ann\", \"ag", NULL, 0, "end of a string"},
        {"{\"name\": \"An", NULL, 0, "end of a string, found the end of the text"},
        {"{\"age\": 3}", NULL, 0, "$: expected a member \"name\", found none"},
        {"{\"name\": \"Ann\", \"age\": \"3\"}", NULL, 0, "$.age: expected an integer, found \"3\""},
        {"{\"name\": \"Ann\", \"age\": -1}", NULL, 0, "$.age: expected a number above or equal to 0, found -1"},
        {"{\"name\": \"Ann\", \"tags\": [\"a\", 7]}", NULL, 0, "$.tags[1]: expected a string, found 7"},
        {"{\"name\": \"Ann\", \"size\": 7}", NULL, 0, "$.size: expected no such member"},
        {"{\"name\": \"Ann\", \"name\": \"Bob\"}", NULL, 0, "duplicate"},
        {"{\"person\": {\"name\": \"Ann\"}}", NULL, 0, "$: expected a member \"name\""},
        {"{\"name\": \"Ann\", \"age\": 03}", NULL, 0, "a number as JSON writes it"},
        {"no JSON here", NULL, 0, "expected"},
        {"", NULL, 0, "found none"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) takes(ann, &rows[i]);
}

Test(easy_json, other_values_stand_alone)
{
    static const char colour[] = "{\"enum\": [\"red\", \"green\", 3, null]}";
    static const taking rows[] = {
        {" \"red\" ", "\"red\"", 0, NULL},
        {"'green'", "\"green\"", VB_EASY_QUOTES, NULL},
        {"```\n3\n```", "3", VB_EASY_PROSE, NULL},
        {"3.0", "3.0", 0, NULL},
        {"None", "null", VB_EASY_WORDS, NULL},
        {"\"blue\"", NULL, 0, "$: expected one of \"red\", \"green\", 3, null, found \"blue\""},
        {"\"red\" it is", NULL, 0, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) takes(colour, &rows[i]);
    takes(NULL, &(taking){"a [1, 2] b", "[1, 2]", VB_EASY_PROSE, NULL});
}

/* A schema, a value that fits, one that does not and why. */
Test(easy_json, keywords)
{
    static const char *const rows[][4] = {
        {"{\"const\": {\"a\": 1}}", "{\"a\": 1}", "{\"a\": 2}", "$: expected an object"},
        {"{\"type\": [\"array\", \"null\"], \"minItems\": 2}", "[1, 2]", "[1]", "$: expected at least 2 elements, found 1"},
        {"{\"maxItems\": 1}", "[1]", "[1, 2]", "at most 1 elements"},
        {"{\"uniqueItems\": true}", "[1, 2]", "[1, 2, 1.0]", "$[2]: expected an element that no other"},
        {"{\"prefixItems\": [{\"type\": \"string\"}], \"items\": {\"type\": \"integer\"}}", "[\"a\", 1]", "[\"a\", \"b\"]", "$[1]: expected an integer"},
        {"{\"items\": [{}], \"additionalItems\": false}", "[1]", "[1, 2]", "$[1]: expected nothing"},
        {"{\"items\": {\"minLength\": 2, \"maxLength\": 3}}", "[\"\xc3\xa9\xc3\xa9\"]", "[\"\xc3\xa9\"]", "$[0]: expected at least 2 characters, found 1"},
        {"{\"items\": {\"pattern\": \"^a+$\"}}", "[\"aa\", 5]", "[\"ab\"]", "$[0]: expected a text that matches '^a+$'"},
        {"{\"items\": {\"format\": \"date\"}}", "[\"2026-02-03\"]", "[\"2026-13-03\"]", "the form 'date'"},
        {"{\"items\": {\"format\": \"email\"}}", "[\"a@b.org\"]", "[\"a.b.org\"]", "the form 'email'"},
        {"{\"items\": {\"exclusiveMinimum\": 1, \"maximum\": 2}}", "[2]", "[1]", "above 1"},
        {"{\"items\": {\"minimum\": 1, \"exclusiveMinimum\": true}}", "[2]", "[1]", "above 1"},
        {"{\"items\": {\"exclusiveMaximum\": 2}}", "[1.5]", "[2]", "below 2"},
        {"{\"items\": {\"multipleOf\": 0.1}}", "[0.3]", "[0.35]", "a multiple of 0.1"},
        {"{\"minProperties\": 1, \"maxProperties\": 1}", "{\"a\": 1}", "{}", "at least 1 members"},
        {"{\"additionalProperties\": {\"type\": \"boolean\"}}", "{\"a\": true}", "{\"a\": 1}", "$.a: expected a boolean, found 1"},
        {"{\"$defs\": {\"n/1\": {\"type\": \"integer\"}}, \"items\": {\"$ref\": \"#/$defs/n~11\"}}", "[1]", "[true]", "$[0]: expected an integer, found true"},
        {"{\"type\": \"object\", \"properties\": {\"next\": {\"$ref\": \"#\"}, \"v\": {\"type\": \"null\"}}}", "{\"next\": {\"next\": {\"v\": null}}}",
         "{\"next\": {\"next\": {\"v\": 1}}}", "$.next.next.v: expected a null, found 1"},
        {"{\"items\": {\"anyOf\": [{\"type\": \"null\"}, {\"type\": \"string\"}]}}", "[null, \"a\"]", "[1]", "anyOf"},
        {"{\"items\": {\"oneOf\": [{\"minimum\": 1}, {\"maximum\": 3}]}}", "[0, 4]", "[2]", "exactly one"},
        {"{\"items\": {\"allOf\": [{\"minimum\": 1}, {\"maximum\": 3}]}}", "[1, 3]", "[4]", "below or equal to 3"},
        {"{\"items\": {\"not\": {\"const\": 1}}}", "[2]", "[1]", "not of the form in not"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        takes(rows[i][0], &(taking){rows[i][1], rows[i][1], 0, NULL});
        takes(rows[i][0], &(taking){rows[i][2], NULL, 0, rows[i][3]});
    }
}

Test(easy_json, what_is_no_schema)
{
    static const char *const rows[][2] = {
        {"{", "schema: expected JSON"},       {"{\"type\": \"thing\"}", "type"}, {"{\"$ref\": \"#/nowhere\"}", "$ref"},
        {"{\"enum\": 1}", "enum"},            {"{\"items\": 5}", "schema"},      {"{\"items\": {\"pattern\": \"(\"}}", "pattern"},
        {"{\"required\": \"a\"}", "required"}};
    vb_err err = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *text = strstr(rows[i][0], "required") ? "{}" : "[\"a\"]";
        cr_assert_eq(vb_easy_json(text, rows[i][0], NULL, 0, NULL, &err), VB_E_FORMAT, "%s: %s", rows[i][0], err.text);
        cr_assert_not_null(strstr(err.text, rows[i][1]), "%s", err.text);
    }
    cr_assert_eq(vb_easy_json("[1]", "{\"$ref\": \"#\"}", NULL, 0, NULL, &err), VB_E_UNSUPPORTED, "%s", err.text);
}

/* Texts made to be slow: every one is answered in a moment. */
Test(easy_json, hostile_texts_cost_little, .timeout = 20)
{
    static const char *const pieces[] = {"[", "{\"a\":", "[[1,", "['", "[\"[", "{a:'", "[1,", "/*[", "[//\n"};
    size_t n = 1 << 17;
    char *text = malloc(n + 1);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        size_t len = strlen(pieces[i]);
        for (size_t k = 0; k < n; k++) text[k] = pieces[i][k % len];
        text[n] = '\0';
        vb_err err = {0};
        clock_t begin = clock();
        vb_easy_json(text, ann, NULL, 0, NULL, &err);
        cr_assert_lt((double)(clock() - begin) / CLOCKS_PER_SEC, 3.0, "%s", pieces[i]);
    }
    free(text);
}

/* --- a model ------------------------------------------------------------------------------------------------------ */

typedef struct {
    vb_easy_state seen[64];
    double progress;
    int n, falls, stop_at;
} watching;

static int watch(void *ud, const vb_easy_status *status)
{
    watching *w = ud;
    if (w->n < 64) w->seen[w->n] = status->state;
    w->n++;
    if (status->state == VB_EASY_LOADING && status->progress < w->progress) w->falls++;
    if (status->state == VB_EASY_LOADING) w->progress = status->progress;
    return w->n == w->stop_at;
}

static vb_easy *open_watched(watching *w)
{
    vb_easy *e;
    vb_err err = {0};
    vb_easy_opts opts = {.model = {.threads = 1}, .session = {.context = 1000}, .on_status = watch, .ud = w};
    cr_assert_eq(vb_easy_open(&e, tiny, &opts, &err), VB_OK, "%s", err.text);
    return e;
}

Test(easy, status_and_progress)
{
    watching w = {0};
    vb_easy *e = open_watched(&w);
    vb_easy_answer answer;
    vb_easy_how how = {.max_tokens = 4};
    vb_err err = {0};
    cr_assert_eq(w.seen[0], VB_EASY_LOADING);
    cr_assert_eq(w.seen[w.n - 1], VB_EASY_READY);
    cr_assert_eq(w.falls, 0);
    cr_assert_eq(w.progress, 1.0);
    w.n = 0;
    cr_assert_eq(vb_easy_generate(e, "Hello", &how, &answer, &err), VB_OK, "%s", err.text);
    cr_assert_eq(answer.tokens, 4);
    cr_assert_eq(answer.end, VB_END_LENGTH);
    cr_assert_eq(strlen(answer.text), answer.len);
    cr_assert(w.n == 2 && w.seen[0] == VB_EASY_GENERATING && w.seen[1] == VB_EASY_READY);
    how.max_tokens = -1;
    cr_assert_eq(vb_easy_generate(e, "Hello", &how, &answer, NULL), VB_E_ARGUMENT);
    cr_assert_eq(vb_easy_state_of(e), VB_EASY_ERROR);
    cr_assert_gt(vb_easy_bytes(e), 1000);
    vb_easy_close(e);
    cr_assert_eq(w.seen[w.n - 1], VB_EASY_IDLE);
    for (int at = 1; at <= 2; at++) {
        watching stop = {.stop_at = at};
        vb_easy_opts opts = {.on_status = watch, .ud = &stop};
        cr_assert_eq(vb_easy_open(&e, tiny, &opts, &err), VB_E_STOPPED);
        cr_assert_null(e);
    }
    cr_assert_eq(vb_easy_open(&e, "tests/golden/nowhere.gguf", NULL, &err), VB_E_NOT_FOUND);
    cr_assert_eq(vb_easy_state_of(e), VB_EASY_IDLE);
}

/* The same as through verbatim.h, whatever was asked before. */
Test(easy, answers_are_those_of_the_long_way)
{
    watching w = {0};
    vb_easy *e = open_watched(&w);
    vb_easy_how how = {.max_tokens = 12, .sampling = {.temperature = 0.9f, .seed = 5}};
    vb_easy_answer answer;
    vb_session *s;
    vb_err err = {0};
    vb_token ids[32];
    vb_generation g = {.sampling = how.sampling, .max_tokens = 12};
    int64_t n = vb_tokenize(vb_easy_model(e), "Once upon", 9, VB_ADD_SPECIAL | VB_PARSE_SPECIAL, ids, 32, &err);
    cr_assert_eq(vb_session_open(&s, vb_easy_model(e), NULL, &err), VB_OK);
    cr_assert_eq(vb_session_sync(s, ids, (int)n, &err), VB_OK);
    cr_assert_eq(vb_generate(s, &g, NULL, &err), VB_OK);
    for (int i = 0; i < 3; i++) {
        int na, nb;
        cr_assert_eq(vb_easy_generate(e, i == 1 ? "Once" : "Once upon", &how, &answer, &err), VB_OK, "%s", err.text);
        if (i == 1) continue;
        const vb_token *a = vb_session_tokens(s, &na), *b = vb_session_tokens(vb_easy_session(e), &nb);
        cr_assert_eq(na, nb);
        cr_assert_arr_eq(a, b, (size_t)na * sizeof *a);
        cr_assert_eq(answer.prompt_tokens, n);
        cr_assert_eq(answer.known_tokens, i == 0 ? 0 : answer.known_tokens);
    }
    cr_assert_gt(answer.known_tokens, 0);
    vb_session_close(s);
    vb_easy_close(e);
}

static int third(void *ud, const char *text, size_t len)
{
    (void)text;
    (void)len;
    return ++*(int *)ud == 3;
}

/* Two on one model, in turns; one of them stops when a callback says so. */
Test(easy, several_share_a_model)
{
    watching w = {0};
    vb_easy *a = open_watched(&w), *b;
    vb_easy_opts opts = {.session = {.context = 1000}, .opened = vb_easy_model(a)};
    vb_easy_how how = {.max_tokens = 12};
    vb_easy_answer one, two;
    vb_err err = {0};
    int pieces = 0;
    cr_assert_eq(vb_easy_open(&b, NULL, &opts, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_easy_model(b), vb_easy_model(a));
    cr_assert_eq(vb_easy_generate(a, "Once", &how, &one, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_easy_generate(b, "Hello", &how, &two, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_easy_generate(b, "Once", &how, &two, &err), VB_OK, "%s", err.text);
    cr_assert_str_eq(one.text, two.text);
    how.on_text = third;
    how.ud = &pieces;
    cr_assert_eq(vb_easy_generate(b, "Once", &how, &two, &err), VB_OK, "%s", err.text);
    cr_assert_eq(two.end, VB_END_CALLBACK);
    cr_assert_eq(strncmp(one.text, two.text, two.len), 0);
    vb_easy_close(b);
    cr_assert_eq(vb_easy_generate(a, "Once", NULL, NULL, NULL), VB_OK);
    vb_easy_close(a);
}

/* --- labels ------------------------------------------------------------------------------------------------------- */

/* Each label alone in a session of its own, evaluated token by token. */
static double by_hand(vb_model *m, const char *prompt, const char *label, int *tokens)
{
    vb_session *s;
    vb_token ids[64], both[64], line[8];
    char text[64];
    double sum = 0;
    int64_t n = vb_tokenize(m, prompt, strlen(prompt), VB_ADD_SPECIAL | VB_PARSE_SPECIAL, ids, 64, NULL);
    snprintf(text, sizeof text, "\n%s", label);
    int64_t skip = vb_tokenize(m, "\n", 1, 0, line, 8, NULL), all = vb_tokenize(m, text, strlen(text), 0, both, 64, NULL);
    cr_assert_eq(vb_session_open(&s, m, NULL, NULL), VB_OK);
    for (int64_t i = 0; i < n; i++) cr_assert_eq(vb_eval(&(vb_work){.session = s, .ids = &ids[i], .n = 1}, 1, NULL), VB_OK);
    for (int64_t i = skip; i < all; i++) {
        int vocab;
        const float *logits = vb_session_logits(s, &vocab);
        sum += (double)vb_logprob(logits, vocab, both[i]);
        cr_assert_eq(vb_eval(&(vb_work){.session = s, .ids = &both[i], .n = 1}, 1, NULL), VB_OK);
    }
    vb_session_close(s);
    *tokens = (int)(all - skip);
    return sum;
}

Test(easy, scores_are_sums_of_log_probabilities)
{
    static const char *const names[] = {"good", "good news", "bad", "x"};
    watching w = {0};
    vb_easy *e = open_watched(&w);
    vb_easy_labels labels = {.labels = names, .n = 4, .raw = 1};
    vb_easy_score scores[4], again[4];
    vb_err err = {0};
    double share = 0;
    int best = vb_easy_classify(e, "Once upon a time", &labels, scores, &err);
    cr_assert_geq(best, 0, "%s", err.text);
    for (int i = 0; i < 4; i++) {
        int tokens;
        double sum = by_hand(vb_easy_model(e), "Once upon a time", names[i], &tokens);
        cr_assert_eq(scores[i].tokens, tokens);
        cr_assert_eq(scores[i].sum, sum, "%s: %.17g %.17g", names[i], scores[i].sum, sum);
        cr_assert_eq(scores[i].mean, sum / tokens);
        cr_assert_leq(scores[i].mean, scores[best].mean);
        share += scores[i].probability;
    }
    cr_assert_lt(fabs(share - 1), 1e-12);
    cr_assert_eq(vb_easy_classify(e, "Once upon a time", &labels, again, &err), best);
    cr_assert_arr_eq(scores, again, sizeof scores);
    labels.by_sum = 1;
    best = vb_easy_classify(e, "Once upon a time", &labels, again, &err);
    for (int i = 0; i < 4; i++) cr_assert_leq(again[i].sum, again[best].sum);
    vb_easy_close(e);
}

static void flatten(void *ud, const vb_tap *tap)
{
    (void)ud;
    for (int i = 0; i < tap->width && strcmp(tap->name, "result_norm") == 0; i++) tap->x[i] = 0;
}

/* Where every token is as good as any other, the first label is taken. */
Test(easy, ties_go_to_the_first)
{
    static const char *const names[][3] = {{"good", "bad", "a longer one"}, {"a longer one", "good", "bad"}};
    watching w = {0};
    vb_easy *e = open_watched(&w);
    vb_easy_score scores[3];
    vb_err err = {0};
    cr_assert_eq(vb_session_tap(vb_easy_session(e), flatten, NULL, &err), VB_OK);
    for (int i = 0; i < 2; i++) {
        vb_easy_labels labels = {.labels = names[i], .n = 3};
        cr_assert_eq(vb_easy_classify(e, "Hello", &labels, scores, &err), 0, "%s", err.text);
        cr_assert(scores[0].mean == scores[1].mean && scores[1].mean == scores[2].mean);
        cr_assert_neq(scores[0].sum, scores[2].sum);
        cr_assert_eq(scores[0].probability, scores[2].probability);
    }
    vb_easy_close(e);
}

Test(easy, labels_that_are_none)
{
    static const char *const twice[] = {"a", "b", "a"}, *const empty[] = {"a", ""}, *const one[] = {"a"};
    watching w = {0};
    vb_easy *e = open_watched(&w);
    vb_err err = {0};
    cr_assert_eq(vb_easy_classify(e, "x", &(vb_easy_labels){.labels = twice, .n = 3}, NULL, &err), VB_E_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "'a' twice"));
    cr_assert_eq(vb_easy_classify(e, "x", &(vb_easy_labels){.labels = empty, .n = 2}, NULL, &err), VB_E_ARGUMENT);
    cr_assert_eq(vb_easy_classify(e, "x", &(vb_easy_labels){.labels = one, .n = 1}, NULL, &err), VB_E_ARGUMENT);
    cr_assert_geq(vb_easy_classify(e, "x", &(vb_easy_labels){.labels = twice, .n = 2}, NULL, &err), 0, "%s", err.text);
    vb_easy_close(e);
}

/* --- JSON of a model ---------------------------------------------------------------------------------------------- */

Test(easy, extracted_json_fits_whatever_the_model_is)
{
    static const char schema[] = "{\"type\": \"object\", \"properties\": {\"a\": {\"enum\": [\"x\", \"y\"]}, \"b\": {\"type\": \"boolean\"}}, "
                                 "\"required\": [\"a\", \"b\"], \"additionalProperties\": false}";
    watching w = {0};
    vb_easy *e = open_watched(&w);
    vb_easy_answer answer;
    vb_err err = {0};
    for (uint64_t seed = 0; seed < 20; seed++) {
        vb_easy_how how = {.sampling = {.temperature = 2, .seed = seed}, .max_tokens = 200};
        cr_assert_eq(vb_easy_extract(e, "Ann is tall.", schema, &how, &answer, &err), VB_OK, "%s", err.text);
        cr_assert_geq(vb_easy_json(answer.text, schema, NULL, 0, NULL, NULL), 0, "%s", answer.text);
    }
    cr_assert_eq(vb_easy_extract(e, "Ann", schema, &(vb_easy_how){.max_tokens = 3}, &answer, &err), VB_E_DIFFERS);
    cr_assert_not_null(strstr(err.text, "ends after 3 tokens"), "%s", err.text);
    cr_assert_eq(vb_easy_extract(e, "Ann", "{\"type\": 5}", NULL, &answer, &err), VB_E_FORMAT);
    cr_assert_eq(vb_easy_extract(e, "Ann", "{\"enum\": [3], \"multipleOf\": 2}", NULL, &answer, &err), VB_E_DIFFERS);
    cr_assert_not_null(strstr(err.text, "multiple of 2"), "%s", err.text);
    vb_easy_close(e);
}

/* --- one call at a time ------------------------------------------------------------------------------------------- */

typedef struct {
    vb_easy *e;
    int pieces, inner;
    vb_status status;
    atomic_int begun, ended;
} calling;

static int cancels(void *ud, const char *text, size_t len)
{
    calling *c = ud;
    (void)text;
    (void)len;
    c->inner = vb_easy_generate(c->e, "x", NULL, NULL, NULL);
    if (++c->pieces == 3) cr_assert_eq(vb_easy_cancel(c->e), 1);
    return 0;
}

Test(easy, cancelled_from_a_callback)
{
    watching w = {0};
    calling c = {.e = open_watched(&w)};
    vb_easy_how how = {.on_text = cancels, .ud = &c, .sampling = {.temperature = 1}};
    vb_easy_answer answer;
    vb_err err = {0};
    cr_assert_eq(vb_easy_cancel(c.e), 0);
    cr_assert_eq(vb_easy_generate(c.e, "Hello", &how, &answer, &err), VB_E_STOPPED, "%s", err.text);
    cr_assert_eq(c.pieces, 3);
    cr_assert_eq(c.inner, VB_E_ARGUMENT);
    cr_assert_eq(vb_easy_state_of(c.e), VB_EASY_READY);
    cr_assert_eq(vb_easy_cancel(c.e), 0);
    how = (vb_easy_how){.max_tokens = 5};
    cr_assert_eq(vb_easy_generate(c.e, "Hello", &how, &answer, &err), VB_OK, "%s", err.text);
    vb_easy_close(c.e);
}

static void *calls(void *ud)
{
    calling *c = ud;
    size_t n = 20000;
    char *text = malloc(n + 1);
    for (size_t i = 0; i < n; i++) text[i] = "abcdefgh "[i % 9];
    text[n] = '\0';
    c->status = vb_easy_generate(c->e, text, NULL, NULL, NULL);
    atomic_store(&c->ended, 1);
    free(text);
    return NULL;
}

/* The prompt takes seconds; whoever cancels waits for a moment. What is asked then gets the bits that it always gets. */
Test(easy, cancelled_in_a_prompt, .timeout = 60)
{
    watching w = {0};
    vb_err err = {0};
    calling c = {.e = NULL};
    vb_easy_opts opts = {.model = {.threads = 1, .player = "oracle"}, .session = {.context = 24000}, .on_status = watch, .ud = &w};
    vb_easy_how how = {.max_tokens = 8};
    vb_easy_answer answer;
    char before[128];
    cr_assert_eq(vb_easy_open(&c.e, tiny, &opts, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_easy_generate(c.e, "abc", &how, &answer, &err), VB_OK, "%s", err.text);
    snprintf(before, sizeof before, "%s", answer.text);
    pthread_t thread;
    pthread_create(&thread, NULL, calls, &c);
    while (vb_easy_state_of(c.e) != VB_EASY_GENERATING) nanosleep(&(struct timespec){0, 1000000}, NULL);
    nanosleep(&(struct timespec){0, 50000000}, NULL);
    cr_assert_eq(atomic_load(&c.ended), 0, "the prompt was too short for this test");
    while (vb_easy_cancel(c.e) && !atomic_load(&c.ended)) nanosleep(&(struct timespec){0, 1000000}, NULL);
    pthread_join(thread, NULL);
    cr_assert_eq(c.status, VB_E_STOPPED);
    cr_assert_eq(vb_easy_generate(c.e, "abc", &how, &answer, &err), VB_OK, "%s", err.text);
    cr_assert_str_eq(answer.text, before);
    vb_easy_close(c.e);
}
