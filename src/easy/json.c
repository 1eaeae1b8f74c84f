/* json.c - the first JSON of a text that fits a schema, and asking a model for it.
 *
 *   Sure! ```json {"name": 'Ann',} ```  -> candidates: every value that begins with { or [ -> the first that fits
 *
 * Behind a value that does not fit the search goes on after its end, not inside it, so that a part never stands for the whole.
 */
#include "easy/easy.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_LOOKED = 16, LEAST_BUDGET = 1 << 20 };

typedef struct {
    const char *text;
    size_t len, budget;
    json_t *schema; /* NULL: any object or array */
    vb_easy_buf json;
    int repairs;
    size_t worst; /* length of the candidate that `reason` speaks of */
    vb_err reason;
} search;

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_blanks(const search *s, size_t at)
{
    while (at < s->len && is_blank(s->text[at])) at++;
    return at;
}

/* Keeps the complaint about the longest candidate. */
static void complain(search *s, size_t length, const vb_err *why)
{
    if (s->reason.code != VB_OK && length <= s->worst) return;
    s->worst = length;
    s->reason = *why;
}

/* The candidate in s->json beside the schema. VB_OK: it fits. */
static vb_status judge(search *s, vb_err *err)
{
    json_error_t wrong;
    json_t *value = json_loadb(s->json.data, s->json.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &wrong);
    if (value == NULL) VB_FAIL(err, VB_E_DIFFERS, "$: expected JSON, found: %.200s", wrong.text);
    vb_status status = s->schema != NULL ? vb_easy_fit(s->schema, value, err) : VB_OK;
    json_decref(value);
    return status;
}

/* A value that begins at *at, which is then behind it, or behind its first byte if it is none. VB_OK: it fits. */
static vb_status try_at(search *s, size_t *at, vb_err *err)
{
    size_t begin = *at, before = skip_blanks(s, 0);
    const char *why;
    vb_err wrong = {0};
    s->json.len = 0;
    int read = vb_easy_rewrite(s->text, s->len, at, &s->json, &s->repairs, &s->budget, &why);
    if (read < 0) VB_FAIL(err, VB_E_MEMORY, "json: out of memory");
    if (!read) {
        vb_fail(&wrong, VB_E_DIFFERS, "byte %zu: expected %s", *at, why);
        complain(s, *at - begin, &wrong);
        *at = begin + 1;
        return VB_E_DIFFERS;
    }
    if (s->repairs == 0) { /* nothing had to be done: its own bytes */
        s->json.len = 0;
        if (!vb_easy_put(&s->json, s->text + begin, *at - begin)) VB_FAIL(err, VB_E_MEMORY, "json: out of memory");
    }
    if (begin > before || skip_blanks(s, *at) < s->len) s->repairs |= VB_EASY_PROSE;
    vb_status status = judge(s, &wrong);
    if (status == VB_E_DIFFERS) complain(s, *at - begin, &wrong);
    else if (status < 0 && err != NULL) *err = wrong;
    return status;
}

/* The inside of a text that is one code fence; otherwise the text. */
static void unfence(search *s)
{
    size_t at = skip_blanks(s, 0);
    const char *line = s->len - at >= 6 && memcmp(s->text + at, "```", 3) == 0 ? memchr(s->text + at, '\n', s->len - at) : NULL;
    size_t end = s->len;
    while (end > at && is_blank(s->text[end - 1])) end--;
    if (line == NULL || end < 3 || memcmp(s->text + end - 3, "```", 3) != 0 || s->text + end - 3 < line) return;
    s->len = (size_t)(s->text + end - 3 - line);
    s->text = line;
}

static vb_status find(search *s, vb_err *err)
{
    const char *whole = s->text;
    unfence(s);
    size_t at = skip_blanks(s, 0), begin = at;
    int fenced = s->text != whole;
    vb_status status = VB_E_DIFFERS;
    if (at < s->len && s->schema != NULL && s->text[at] != '{' && s->text[at] != '[') {
        status = try_at(s, &at, err);
        if (status == VB_OK && (s->repairs & VB_EASY_PROSE)) status = VB_E_DIFFERS; /* a word of some prose */
        at = begin;
    }
    while (status == VB_E_DIFFERS && at < s->len) {
        if (s->text[at] == '{' || s->text[at] == '[') status = try_at(s, &at, err);
        else at++;
    }
    if (status == VB_OK && fenced) s->repairs |= VB_EASY_PROSE;
    if (status == VB_E_DIFFERS && s->reason.code == VB_OK)
        vb_fail(&s->reason, VB_E_DIFFERS, "expected JSON in the text, found none");
    if (status == VB_E_DIFFERS && err != NULL) *err = s->reason;
    return status;
}

static vb_status read_schema(json_t **out, const char *schema, vb_err *err)
{
    json_error_t wrong;
    *out = NULL;
    if (schema == NULL) return VB_OK;
    *out = json_loads(schema, JSON_DECODE_ANY, &wrong);
    if (*out == NULL) VB_FAIL(err, VB_E_FORMAT, "schema: expected JSON, found: line %d: %.200s", wrong.line, wrong.text);
    return VB_OK;
}

VB_API const char *vb_easy_repair_name(int repair)
{
    static const char *const names[] = {"prose", "commas", "quotes", "words", "comments", "escapes", "closed"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (repair == 1 << i) return names[i];
    return NULL;
}

VB_API int64_t vb_easy_json(const char *text, const char *schema, char *buf, size_t cap, int *repairs, vb_err *err)
{
    search s = {.text = text, .len = strlen(text)};
    int64_t n;
    s.budget = s.len > LEAST_BUDGET / MOST_LOOKED ? s.len * MOST_LOOKED : LEAST_BUDGET;
    VB_TRY(read_schema(&s.schema, schema, err));
    vb_status status = find(&s, err);
    n = status == VB_OK ? (int64_t)s.json.len : status;
    if (n > 0 && cap > 0) memcpy(buf, s.json.data, s.json.len < cap ? s.json.len : cap);
    if (status == VB_OK && repairs != NULL) *repairs = s.repairs;
    free(s.json.data);
    json_decref(s.schema);
    return n;
}

/* --- asking for it ------------------------------------------------------------------------------------------------ */

static vb_status encode(const vb_easy *e, const char *text, const char *schema, const char *system, vb_easy_ids *ids, vb_err *err)
{
    vb_easy_buf user = {0}, plain = {0};
    int fits = vb_easy_print(&user, "Text:\n") && vb_easy_print(&user, text) && vb_easy_print(&user, "\n\nJSON Schema:\n") &&
               vb_easy_print(&user, schema) && vb_easy_print(&user, "\n\nAnswer with JSON that fits the schema and says what the "
                                                                    "text says, and with nothing else.") &&
               vb_easy_print(&plain, "Text: ") && vb_easy_print(&plain, text) && vb_easy_print(&plain, "\nJSON Schema: ") &&
               vb_easy_print(&plain, schema) && vb_easy_print(&plain, "\nJSON: ");
    vb_status s = fits ? vb_easy_encode(e, system, user.data, plain.data, ids, err) : vb_fail(err, VB_E_MEMORY, "json: out of memory");
    free(user.data);
    free(plain.data);
    return s;
}

/* What the grammar does not hold is looked for, and an answer that was cut has no JSON. */
static vb_status check(const vb_easy_answer *answer, const char *schema, vb_err *err)
{
    int repairs = 0;
    vb_err wrong = {0};
    int64_t n = vb_easy_json(answer->text, schema, NULL, 0, &repairs, &wrong);
    if (n >= 0 && (repairs & ~VB_EASY_PROSE) == 0) return VB_OK;
    if (n < 0 && n != VB_E_DIFFERS) {
        *err = wrong;
        return (vb_status)n;
    }
    if (answer->end == VB_END_LENGTH || answer->end == VB_END_CONTEXT || answer->end == VB_END_CALLBACK)
        VB_FAIL(err, VB_E_DIFFERS, "json: expected a whole value, found one that ends after %d tokens", answer->tokens);
    if (n < 0) *err = wrong;
    else vb_fail(err, VB_E_DIFFERS, "json: expected a whole value, found '%.100s'", answer->text);
    return VB_E_DIFFERS;
}

static vb_status extract(vb_easy *e, const char *text, const char *schema, const vb_easy_how *how, vb_easy_answer *out, vb_err *err)
{
    vb_easy_ids ids = {0};
    vb_easy_how held = *how;
    json_t *read;
    vb_status s;
    held.grammar = NULL;
    VB_TRY(read_schema(&read, schema, err));
    json_decref(read);
    VB_TRY_OUT(s, vb_grammar_open_schema(&held.grammar, e->model, schema, strlen(schema), err));
    VB_TRY_OUT(s, encode(e, text, schema, how->system, &ids, err));
    VB_TRY_OUT(s, vb_easy_answer_ids(e, &ids, text, &held, out, err));
    s = check(out, schema, err);
out:
    vb_grammar_close(held.grammar);
    free(ids.ids);
    return s;
}

VB_API vb_status vb_easy_extract(vb_easy *e, const char *text, const char *schema, const vb_easy_how *how, vb_easy_answer *out,
                                 vb_err *err)
{
    static const vb_easy_how defaults;
    vb_easy_answer ignored;
    vb_err own = {0};
    if (err == NULL) err = &own;
    VB_TRY(vb_easy_begin(e, err));
    vb_status s = extract(e, text, schema, how != NULL ? how : &defaults, out != NULL ? out : &ignored, err);
    return vb_easy_done(e, s, err);
}
