/* trace_rules.c - recordings of choices within a grammar and of biased ones: they verify, replay and are gone on from;
 * what the rules would not have chosen is found, and rules that contradict the format are refused.
 */
#include "base/os.h"
#include "traces/read.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char model_path[] = "tests/golden/llama-gqa/model.gguf";
static const vb_token prompt[] = {1, 20, 300, 41, 5};
static const char letters[] = "root ::= [a-z ]{5,300}";
static const char object[] = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]}";
static const vb_bias biases[] = {{70, 4.0f}, {200, -3.5f}};
enum { PROMPT = sizeof prompt / sizeof prompt[0], TOKENS = 24 };

typedef struct {
    vb_model *model;
    vb_session *session;
    vb_grammar *grammar;
    vb_trace *trace;
    char path[64];
    vb_err err;
} fixture;

static void open_all(fixture *f, const char *gbnf)
{
    static int number;
    memset(f, 0, sizeof *f);
    snprintf(f->path, sizeof f->path, "/tmp/verbatim-rules-%d-%d.trace", (int)getpid(), number++);
    unlink(f->path);
    cr_assert_eq(vb_model_open(&f->model, model_path, NULL, &f->err), VB_OK, "%s", f->err.text);
    cr_assert_eq(vb_session_open(&f->session, f->model, NULL, &f->err), VB_OK, "%s", f->err.text);
    cr_assert_eq(vb_session_sync(f->session, prompt, PROMPT, &f->err), VB_OK, "%s", f->err.text);
    if (gbnf == NULL) return;
    vb_status s = gbnf[0] == '{' ? vb_grammar_open_schema(&f->grammar, f->model, gbnf, strlen(gbnf), &f->err)
                                 : vb_grammar_open_gbnf(&f->grammar, f->model, gbnf, strlen(gbnf), &f->err);
    cr_assert_eq(s, VB_OK, "%s", f->err.text);
}

static void close_all(fixture *f)
{
    vb_session_close(f->session);
    vb_grammar_close(f->grammar);
    vb_model_close(f->model);
    unlink(f->path);
}

static void begin(fixture *f, vb_trace_opts opts)
{
    opts.grammar = f->grammar;
    cr_assert_eq(vb_trace_open(&f->trace, f->path, f->session, &opts, &f->err), VB_OK, "%s", f->err.text);
}

static void generate(fixture *f, const vb_trace_opts *opts)
{
    vb_generation how = {.sampling = opts->sampling, .max_tokens = TOKENS, .trace = f->trace, .grammar = f->grammar,
                         .biases = opts->biases, .n_biases = opts->n_biases};
    cr_assert_eq(vb_generate(f->session, &how, NULL, &f->err), VB_OK, "%s", f->err.text);
    cr_assert_eq(vb_trace_close(f->trace, &f->err), VB_OK, "%s", f->err.text);
}

static vb_status verify(fixture *f, const char *path, vb_diff *diff, int sample)
{
    vb_verified v;
    vb_trace_verify_opts how = {.opened = f->model, .sample = sample};
    vb_status s = vb_trace_verify(path, &how, NULL, &v, &f->err);
    *diff = v.diff;
    return s;
}

Test(trace_rules, held_and_biased_choices_verify_and_replay)
{
    static const vb_sampling settings[] = {{0}, {.temperature = 0.9f, .seed = 5, .top_k = 20},
                                           {.temperature = 1.0f, .seed = 6, .repeat = 1.2f, .top_p = 0.9f}};
    for (int i = 0; i < 9; i++) {
        fixture f;
        vb_diff d;
        vb_trace_opts opts = {.sampling = settings[i % 3], .biases = biases, .n_biases = i < 3 ? 0 : 2};
        open_all(&f, i < 6 ? letters : NULL);
        if (i == 1) {
            vb_grammar_close(f.grammar);
            cr_assert_eq(vb_grammar_open_schema(&f.grammar, f.model, object, strlen(object), &f.err), VB_OK);
        }
        begin(&f, opts);
        generate(&f, &opts);
        for (int sample = 0; sample < 3; sample++)
            cr_assert_eq(verify(&f, f.path, &d, sample), VB_OK, "%d: %s", i, f.err.text);
        cr_assert_eq(vb_trace_replay(f.path, NULL, &(vb_model_opts){.player = "oracle"}, &d, &f.err), VB_OK, "%s", f.err.text);
        close_all(&f);
    }
}

/* The same run, recorded as if there were no rules, or other ones. */
static vb_status verify_false(vb_trace_opts recorded, const char *gbnf, int held, vb_diff *d)
{
    fixture f;
    open_all(&f, gbnf);
    vb_grammar *other = NULL;
    if (held) cr_assert_eq(vb_grammar_fork(&other, f.grammar, NULL), VB_OK);
    begin(&f, recorded);
    for (int i = 0; i < TOKENS; i++) {
        vb_token id;
        vb_work work = {.session = f.session, .ids = &id, .n = 1};
        if (held) cr_assert_eq(vb_sample_masked(f.session, &recorded.sampling, other, &id, &f.err), VB_OK);
        else cr_assert_eq(vb_sample(f.session, &recorded.sampling, &id, &f.err), VB_OK);
        if (held) cr_assert_eq(vb_grammar_accept(other, id, &f.err), VB_OK);
        cr_assert_eq(vb_trace_add(f.trace, f.session, id, &f.err), VB_OK, "%s", f.err.text);
        cr_assert_eq(vb_eval(&work, 1, &f.err), VB_OK);
    }
    cr_assert_eq(vb_trace_close(f.trace, &f.err), VB_OK);
    vb_status s = verify(&f, f.path, d, 0);
    vb_grammar_close(other);
    close_all(&f);
    return s;
}

Test(trace_rules, what_they_would_not_have_chosen_is_found)
{
    vb_diff d;
    cr_assert_eq(verify_false((vb_trace_opts){0}, letters, 1, &d), VB_OK);
    cr_assert_eq(verify_false((vb_trace_opts){0}, "root ::= \"xyz\" [a-z]*", 0, &d), VB_E_DIFFERS);
    cr_assert_str_eq(d.field, "rules");
    cr_assert_eq(d.position, PROMPT);
    vb_bias much = {70, 100.0f};
    cr_assert_eq(verify_false((vb_trace_opts){.biases = &much, .n_biases = 1}, NULL, 0, &d), VB_E_DIFFERS);
    cr_assert_str_eq(d.field, "id");
}

Test(trace_rules, a_generation_needs_the_trace_that_was_opened_for_it)
{
    fixture f;
    vb_generation how = {.max_tokens = 2};
    open_all(&f, letters);
    begin(&f, (vb_trace_opts){.biases = biases, .n_biases = 2});
    how.trace = f.trace;
    cr_assert_eq(vb_generate(f.session, &how, NULL, &f.err), VB_E_ARGUMENT);
    how.grammar = f.grammar;
    cr_assert_eq(vb_generate(f.session, &how, NULL, &f.err), VB_E_ARGUMENT);
    how.biases = biases;
    how.n_biases = 1;
    cr_assert_eq(vb_generate(f.session, &how, NULL, &f.err), VB_E_ARGUMENT);
    how.n_biases = 2;
    cr_assert_eq(vb_generate(f.session, &how, NULL, &f.err), VB_OK, "%s", f.err.text);
    cr_assert_eq(vb_trace_close(f.trace, NULL), VB_OK);
    close_all(&f);
}

Test(trace_rules, branches_go_on_within_them)
{
    static const int places[] = {3, PROMPT, PROMPT + 1, PROMPT + 9, 0};
    fixture f;
    vb_diff d;
    vb_trace_opts opts = {.sampling = {.temperature = 0.8f, .seed = 3}, .biases = biases, .n_biases = 2};
    open_all(&f, letters);
    begin(&f, opts);
    generate(&f, &opts);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        vb_resumed r;
        vb_trace *trace;
        char path[80];
        snprintf(path, sizeof path, "%s.%d", f.path, places[i]);
        cr_assert_eq(vb_trace_resume(&r, f.path, places[i], NULL, &f.err), VB_OK, "%s", f.err.text);
        cr_assert(r.n_biases == 2 && r.biases[0].id == 70 && r.held_from == (r.parent_at > PROMPT ? PROMPT : 0));
        vb_trace_opts branch = {.sampling = {.temperature = 0.8f, .seed = 4}, .parent_at = r.parent_at, .biases = r.biases,
                                .n_biases = r.n_biases, .grammar = r.grammar, .held_from = r.held_from};
        memcpy(branch.parent, r.parent, sizeof r.parent);
        cr_assert_eq(vb_trace_open(&trace, path, r.session, &branch, &f.err), VB_OK, "%s", f.err.text);
        vb_generation how = {.sampling = branch.sampling, .max_tokens = 6, .trace = trace, .grammar = r.grammar,
                             .biases = r.biases, .n_biases = r.n_biases};
        cr_assert_eq(vb_generate(r.session, &how, NULL, &f.err), VB_OK, "%s", f.err.text);
        cr_assert_eq(vb_trace_close(trace, &f.err), VB_OK);
        cr_assert_eq(verify(&f, path, &d, 0), VB_OK, "at %d: %s", places[i], f.err.text);
        unlink(path);
        vb_session_close(r.session);
        vb_grammar_close(r.grammar);
        free(r.biases);
        vb_model_close(r.model);
    }
    close_all(&f);
}

/* --- bytes ------------------------------------------------------------------------------------------------- */

static void put_start(vb_trace_bytes *b, int with_rules)
{
    vb_trace_header h = {.arithmetic_version = 1, .context = 64, .kv = VB_KV_F16, .top = 1};
    memset(b, 0, sizeof *b);
    vb_trace_encode_head(b);
    if (with_rules) vb_trace_head_rules(b);
    vb_trace_encode_header(b, &h);
}

static void expect_refused(vb_trace_bytes *b, const char *word)
{
    vb_trace_reader r;
    vb_trace_record record;
    vb_err err = {0};
    int more = 1;
    vb_status s = vb_trace_reader_start(&r, "file", b->data, b->len, &err);
    while (s == VB_OK && more) s = vb_trace_next_any(&r, &record, &more, &err);
    cr_assert_eq(s, VB_E_FORMAT, "%s", word);
    cr_assert_not_null(strstr(err.text, word), "expected \"%s\" in \"%s\"", word, err.text);
    vb_trace_bytes_free(b);
}

Test(trace_rules, that_contradict_the_format_are_refused)
{
    static const uint8_t odd[] = {255, 255, 255, 255, 0, 0, 128, 63};
    vb_trace_rules r = {.from = 2, .kind = VB_TRACE_GBNF, .text = {(const uint8_t *)"x", 1}};
    vb_trace_token t = {.position = 0, .text = {(const uint8_t *)"x", 1}};
    vb_trace_bytes b;
    put_start(&b, 0);
    vb_trace_encode_rules(&b, &r);
    expect_refused(&b, "type: expected 1 to 7, found 8");
    put_start(&b, 1);
    vb_trace_encode_token(&b, &t);
    expect_refused(&b, "expected type 8, found 2");
    put_start(&b, 1);
    vb_trace_encode_rules(&b, &r);
    vb_trace_encode_rules(&b, &r);
    expect_refused(&b, "expected a token or the end, found type 8");
    put_start(&b, 1);
    r.kind = (vb_trace_rule)3;
    vb_trace_encode_rules(&b, &r);
    expect_refused(&b, "kind: expected 0 to 2, found 3");
    r = (vb_trace_rules){.from = 0};
    put_start(&b, 1);
    vb_trace_encode_rules(&b, &r);
    expect_refused(&b, "from: expected 1 to");
    r = (vb_trace_rules){.from = 1, .n_biases = 1, .biases = {odd, sizeof odd}};
    put_start(&b, 1);
    vb_trace_encode_rules(&b, &r);
    expect_refused(&b, "bias: expected 0 to");
    r.n_biases = 2;
    put_start(&b, 1);
    vb_trace_encode_rules(&b, &r);
    expect_refused(&b, "biases: expected 16 bytes, found 8");
}
