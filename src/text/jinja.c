/* jinja.c - one render: template and input become tree and variables, marks become spans.
 *
 *   messages                      variable; contents are data, roles are not
 *   tools, documents              variables, None if absent
 *   add_generation_prompt         variable, false if absent
 *   special_tokens: {bos_token}   variables, not data
 *   kwargs: {enable_thinking}     variables, strings are data
 *   strftime_now                  the date for strftime_now()
 *
 * Everything a render allocates but its result lies in one arena. The thread's locale is "C" meanwhile, so numbers and
 * dates read and print the same everywhere.
 */
#include "text/jinja.h"

#include "text/jinja_eval.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* --- template ------------------------------------------------------------------------------------------ */

static vb_status check_utf8(const char *text, size_t len, vb_err *err)
{
    utf8proc_int32_t code;
    for (size_t i = 0; i < len;) {
        utf8proc_ssize_t n =
            utf8proc_iterate((const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(len - i), &code);
        if (n <= 0) VB_FAIL(err, VB_E_FORMAT, "chat template: expected UTF-8, found other bytes at offset %zu", i);
        i += (size_t)n;
    }
    return VB_OK;
}

vb_status vb_j_load_source(vb_jinja *j, const char *tmpl, size_t len)
{
    if (len > VB_JINJA_MAX_TEMPLATE)
        VB_FAIL(j->err, VB_E_UNSUPPORTED, "chat template: expected at most %d bytes, found %zu", VB_JINJA_MAX_TEMPLATE,
                len);
    VB_TRY(check_utf8(tmpl, len, j->err));
    j->source = tmpl;
    j->source_len = len;
    return VB_OK;
}

/* Newlines become "\n" and the last one goes, as Jinja reads its sources. */
static vb_status load_source(vb_jinja *j, const char *tmpl, size_t len)
{
    size_t n = 0;
    VB_TRY(vb_j_load_source(j, tmpl, len));
    char *copy = vb_j_alloc(j, len + 1, 1);
    if (copy == NULL) return VB_E_MEMORY;
    for (size_t i = 0; i < len; i++) {
        if (tmpl[i] == '\r' && i + 1 < len && tmpl[i + 1] == '\n') continue;
        copy[n++] = tmpl[i] == '\r' ? '\n' : tmpl[i];
    }
    if (n > 0 && copy[n - 1] == '\n') n--;
    copy[n] = 0;
    j->source = copy;
    j->source_len = n;
    return VB_OK;
}

/* --- input --------------------------------------------------------------------------------------------- */

static vb_status bad_input(vb_jinja *j, const char *key, const char *expected, const vb_jval *found)
{
    VB_FAIL(j->err, VB_E_FORMAT, "chat template input: %s: expected %s, found a %s", key, expected,
            vb_j_type_name(found));
}

/* What the program chose itself may hold control tokens. */
static void unmark(vb_jval *v)
{
    v->mark = NULL;
    if (v->type != VB_J_LIST) return;
    for (size_t i = 0; i < v->u.list->n; i++) v->u.list->items[i].mark = NULL;
}

vb_status vb_j_input(vb_jinja *j, const vb_jval *input, const char *key, vb_jval **out)
{
    vb_jval name = vb_j_text(key);
    VB_TRY(vb_j_dict_find(j, input->u.dict, &name, out));
    if (*out != NULL && (*out)->type == VB_J_NONE) *out = NULL;
    return VB_OK;
}

static vb_status set(vb_jinja *j, const char *name, const vb_jval *value)
{
    return vb_j_set(j, j->scope, name, strlen(name), value);
}

/* input[key] as the variable of that name, or `otherwise`. */
static vb_status set_field(vb_jinja *j, const vb_jval *input, const char *key, const vb_jval *otherwise)
{
    vb_jval *value;
    VB_TRY(vb_j_input(j, input, key, &value));
    return set(j, key, value != NULL ? value : otherwise);
}

/* Roles are the program's words; messages must be a list of objects where there are any. */
static vb_status unmark_roles(vb_jinja *j, const vb_jval *input)
{
    vb_jval *messages, *role, name = vb_j_text("role");
    VB_TRY(vb_j_input(j, input, "messages", &messages));
    if (messages == NULL) return VB_OK;
    if (messages->type != VB_J_LIST) return bad_input(j, "messages", "a list", messages);
    for (size_t i = 0; i < messages->u.list->n; i++) {
        vb_jval *message = &messages->u.list->items[i];
        if (message->type != VB_J_DICT) return bad_input(j, "messages", "objects", message);
        VB_TRY(vb_j_dict_find(j, message->u.dict, &name, &role));
        if (role != NULL) unmark(role);
    }
    return VB_OK;
}

/* The entries of input[key] as variables. */
static vb_status set_entries(vb_jinja *j, const vb_jval *input, const char *key, int special)
{
    vb_jval *entries;
    VB_TRY(vb_j_input(j, input, key, &entries));
    if (entries == NULL) return VB_OK;
    if (entries->type != VB_J_DICT) return bad_input(j, key, "an object", entries);
    for (size_t i = 0; i < entries->u.dict->n; i++) {
        vb_jpair *pair = &entries->u.dict->pairs[i];
        if (special && pair->value.type == VB_J_NONE) continue;
        if (special) unmark(&pair->value);
        VB_TRY(vb_j_set(j, j->scope, pair->key.u.s, pair->key.len, &pair->value));
    }
    return VB_OK;
}

static vb_status set_token(vb_jinja *j, const char *name, const char *text)
{
    vb_jbuf copy = {0};
    if (text == NULL || vb_j_lookup(j->scope, name, strlen(name)) != NULL) return VB_OK;
    VB_TRY(check_utf8(text, strlen(text), j->err));
    VB_TRY(vb_j_add_text(j, &copy, text));
    vb_jval value = vb_j_done(&copy);
    return set(j, name, &value);
}

static vb_status set_date(vb_jinja *j, const vb_jval *input)
{
    vb_jval *value;
    char text[32], rest;
    struct tm given = {0};
    VB_TRY(vb_j_input(j, input, "strftime_now", &value));
    if (value == NULL) {
        time_t now = time(NULL);
        localtime_r(&now, &j->now);
        return VB_OK;
    }
    if (value->type != VB_J_STR || value->len >= sizeof text) return bad_input(j, "strftime_now", "an ISO time", value);
    snprintf(text, sizeof text, "%.*s", (int)value->len, value->u.s);
    int n = sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%c", &given.tm_year, &given.tm_mon, &given.tm_mday, &given.tm_hour,
                   &given.tm_min, &given.tm_sec, &rest);
    given.tm_year -= 1900;
    given.tm_mon -= 1;
    j->now = given;
    timegm(&j->now); /* fills in the day of the week and of the year */
    if ((n != 3 && n != 6) || given.tm_mday != j->now.tm_mday || given.tm_mon != j->now.tm_mon ||
        given.tm_hour != j->now.tm_hour || given.tm_sec != j->now.tm_sec)
        return bad_input(j, "strftime_now", "an ISO time as 2026-01-15T12:34:56", value);
    return VB_OK;
}

static vb_status load_input(vb_jinja *j, const vb_jinja_job *job, vb_jval *out)
{
    if (job->input_len > VB_JINJA_MAX_INPUT)
        VB_FAIL(j->err, VB_E_UNSUPPORTED, "chat template input: expected at most %d bytes, found %zu",
                VB_JINJA_MAX_INPUT, job->input_len);
    uint8_t *ones = vb_j_alloc(j, job->input_len, 1);
    if (ones == NULL) return VB_E_MEMORY;
    memset(ones, 1, job->input_len);
    j->ones = ones;
    j->n_ones = job->input_len;
    VB_TRY(vb_j_from_json(j, job->input, job->input_len, 1, out));
    if (out->type != VB_J_DICT) return bad_input(j, "everything", "an object", out);
    VB_TRY(set_date(j, out));
    return unmark_roles(j, out);
}

static vb_status set_variables(vb_jinja *j, const vb_jinja_job *job, const vb_jval *input)
{
    vb_jval no = vb_j_bool(0), *messages;
    VB_TRY(vb_j_input(j, input, "messages", &messages));
    if (messages == NULL) return bad_input(j, "messages", "a list", &vb_j_none);
    VB_TRY(set_entries(j, input, "special_tokens", 1));
    VB_TRY(set_token(j, "bos_token", job->bos));
    VB_TRY(set_token(j, "eos_token", job->eos));
    VB_TRY(set(j, "messages", messages));
    VB_TRY(set_field(j, input, "tools", &vb_j_none));
    VB_TRY(set_field(j, input, "documents", &vb_j_none));
    VB_TRY(set_field(j, input, "add_generation_prompt", &no));
    return set_entries(j, input, "kwargs", 0);
}

/* --- result -------------------------------------------------------------------------------------------- */

static int is_data(const vb_jbuf *buf, size_t i)
{
    return buf->mark != NULL && buf->mark[i];
}

static vb_status hand_over(const vb_jbuf *buf, vb_jinja_text *out, vb_err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < buf->len; i++) n += i == 0 || is_data(buf, i) != is_data(buf, i - 1);
    out->text = malloc(buf->len + 1);
    out->spans = calloc(n + 1, sizeof *out->spans);
    if (out->text == NULL || out->spans == NULL) {
        vb_jinja_text_free(out);
        VB_FAIL(err, VB_E_MEMORY, "chat template: out of memory for %zu bytes of text", buf->len);
    }
    if (buf->len > 0) memcpy(out->text, buf->s, buf->len);
    out->text[buf->len] = 0;
    out->len = buf->len;
    for (size_t i = 0; i < buf->len; i++) {
        if (i == 0 || is_data(buf, i) != is_data(buf, i - 1))
            out->spans[out->n_spans++] = (vb_jinja_span){.offset = i, .data = is_data(buf, i)};
        out->spans[out->n_spans - 1].len++;
    }
    return VB_OK;
}

void vb_jinja_text_free(vb_jinja_text *text)
{
    free(text->text);
    free(text->spans);
    *text = (vb_jinja_text){0};
}

/* --- the calls ----------------------------------------------------------------------------------------- */

vb_status vb_j_render(const vb_jinja_job *job, vb_jbody body, vb_jinja_text *out, vb_err *err)
{
    vb_jinja j = {.err = err};
    vb_jbuf buf = {0};
    vb_jval input;
    *out = (vb_jinja_text){0};
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0) VB_FAIL(err, VB_E_MEMORY, "chat template: out of memory");
    locale_t before = uselocale(plain);
    vb_status status = load_input(&j, job, &input);
    if (status == VB_OK) status = body(&j, job, &input, &buf);
    if (status == VB_OK) status = hand_over(&buf, out, err);
    uselocale(before);
    freelocale(plain);
    vb_arena_free(&j.arena);
    return status;
}

vb_status vb_j_run(vb_jinja *j, const vb_jinja_job *job, const vb_jval *input, vb_jbuf *out)
{
    vb_jnode *tree;
    VB_TRY(vb_j_scope_new(j, NULL, &j->scope));
    VB_TRY(set_variables(j, job, input));
    VB_TRY(vb_j_scope_new(j, j->scope, &j->scope)); /* the template's own variables */
    VB_TRY(load_source(j, job->tmpl, job->tmpl_len));
    VB_TRY(vb_j_parse(j, &tree));
    j->out = out;
    return vb_j_exec(j, tree);
}

vb_status vb_jinja_render(const vb_jinja_job *job, vb_jinja_text *out, vb_err *err)
{
    return vb_j_render(job, vb_j_run, out, err);
}

vb_status vb_jinja_check(const char *tmpl, size_t tmpl_len, vb_err *err)
{
    vb_jinja j = {.err = err};
    vb_jnode *tree;
    vb_status status = load_source(&j, tmpl, tmpl_len);
    if (status == VB_OK) status = vb_j_parse(&j, &tree);
    vb_arena_free(&j.arena);
    return status;
}
