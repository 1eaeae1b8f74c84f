/* go.c - one render by Ollama's rules: which data a template gets, and how often it is run.
 *
 *   prompt and suffix          once, with both
 *   it mentions .Messages      once, with the joined messages
 *   it does not                once for each turn, the last time up to .Response
 *
 *     system S, user A, assistant B, user C     {S A B}  {"" C |
 */
#include "text/go.h"

#include "text/go_eval.h"

#include <string.h>

typedef struct {
    vb_go g;
    vb_go_facts facts;
    vb_gtemplate *all;
    vb_jval messages, tools, system, prompt, suffix;
    vb_jval think, level, is_set; /* whether to think, how much, and whether the request says anything of it */
} job;

/* --- input --------------------------------------------------------------------------------------------- */

static vb_status text_of(job *r, const vb_jval *input, const char *key, vb_jval *out)
{
    vb_jval *value;
    *out = vb_j_text("");
    VB_TRY(vb_j_input(r->g.j, input, key, &value));
    return value != NULL ? vb_g_read(&r->g, value, VB_G_TEXT, out) : VB_OK;
}

static void take_think(job *r, const vb_jval *value)
{
    int is_level = value->type == VB_J_STR && value->len > 0;
    r->is_set = vb_j_bool(1);
    r->think = vb_j_bool(is_level || (value->type == VB_J_BOOL && value->u.i));
    r->level = is_level ? *value : vb_j_text(r->think.u.i ? "medium" : "");
    r->level.mark = NULL;
}

static vb_status read_think(job *r, const vb_jval *input)
{
    vb_jval *kwargs, *value;
    r->think = r->is_set = vb_j_bool(0);
    r->level = vb_j_text("");
    VB_TRY(vb_j_input(r->g.j, input, "think", &value));
    if (value != NULL) {
        take_think(r, value);
        return VB_OK;
    }
    VB_TRY(vb_j_input(r->g.j, input, "kwargs", &kwargs));
    if (kwargs == NULL || kwargs->type != VB_J_DICT) return VB_OK;
    VB_TRY(vb_j_input(r->g.j, kwargs, "enable_thinking", &value));
    if (value != NULL) take_think(r, value);
    VB_TRY(vb_j_input(r->g.j, kwargs, "reasoning_effort", &value));
    if (value != NULL) take_think(r, value);
    return VB_OK;
}

static vb_status read_input(job *r, const vb_jval *input)
{
    vb_jval none = vb_j_none, *messages, *tools;
    VB_TRY(vb_j_input(r->g.j, input, "messages", &messages));
    VB_TRY(vb_j_input(r->g.j, input, "tools", &tools));
    VB_TRY(text_of(r, input, "prompt", &r->prompt));
    VB_TRY(text_of(r, input, "suffix", &r->suffix));
    if (messages == NULL && (r->prompt.len == 0 || r->suffix.len == 0))
        VB_FAIL(r->g.j->err, VB_E_FORMAT, "chat template input: messages: expected a list, found none");
    VB_TRY(vb_g_read(&r->g, messages != NULL ? messages : &none, VB_G_MESSAGES, &r->messages));
    VB_TRY(vb_g_read(&r->g, tools != NULL ? tools : &none, VB_G_TOOLS, &r->tools));
    return read_think(r, input);
}

/* --- messages ------------------------------------------------------------------------------------------ */

enum { ROLE, CONTENT };

static vb_jval *part(const vb_jval *message, int i)
{
    return &message->u.dict->pairs[i].value;
}

static vb_status lower(vb_jinja *j, vb_jval *role)
{
    char *copy = vb_j_alloc(j, role->len + 1, 1);
    if (copy == NULL) return VB_E_MEMORY;
    for (size_t i = 0; i < role->len; i++) {
        char c = role->u.s[i];
        copy[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    role->u.s = copy;
    return VB_OK;
}

/* *text gets a blank line and `more`. */
static vb_status append(vb_jinja *j, vb_jval *text, const vb_jval *more)
{
    vb_jval gap = vb_j_text("\n\n"), both;
    VB_TRY(vb_j_concat(j, text, &gap, &both));
    return vb_j_concat(j, &both, more, text);
}

static int same_text(const vb_jval *a, const vb_jval *b)
{
    return a->len == b->len && memcmp(a->u.s, b->u.s, a->len) == 0;
}

/* Messages of one role that follow each other become one, but those of tools. .System is all of the system's. */
static vb_status collate(job *r)
{
    vb_jinja *j = r->g.j;
    int systems = 0;
    vb_jval all;
    r->system = vb_j_text("");
    VB_TRY(vb_j_list_new(j, VB_J_LIST, vb_g_count(&r->messages), &all));
    all.owner = VB_G_MESSAGES;
    for (size_t i = 0; i < vb_g_count(&r->messages); i++) {
        vb_jval *m = &r->messages.u.list->items[i];
        VB_TRY(lower(j, part(m, ROLE)));
        int is_system = vb_j_is_str(part(m, ROLE), "system"), n = (int)all.u.list->n;
        if (is_system && systems++ > 0) VB_TRY(append(j, &r->system, part(m, CONTENT)));
        else if (is_system) r->system = *part(m, CONTENT);
        vb_jval *before = n > 0 ? &all.u.list->items[n - 1] : NULL;
        int joins = before != NULL && same_text(part(before, ROLE), part(m, ROLE));
        joins = joins && !vb_j_is_str(part(m, ROLE), "tool");
        VB_TRY(joins ? append(j, part(before, CONTENT), part(m, CONTENT)) : vb_j_list_add(j, &all, m));
    }
    r->messages = all;
    return VB_OK;
}

/* --- runs ---------------------------------------------------------------------------------------------- */

static vb_status put(vb_jinja *j, const vb_jval *data, const char *name, const vb_jval *value)
{
    vb_jval key = vb_j_text(name);
    return vb_j_dict_set(j, data->u.dict, &key, value);
}

/* Runs the template with these data and what was said about thinking. */
static vb_status run(job *r, const vb_jval *data)
{
    vb_jinja *j = r->g.j;
    VB_TRY(put(j, data, "Think", &r->think));
    VB_TRY(put(j, data, "ThinkLevel", &r->level));
    VB_TRY(put(j, data, "IsThinkSet", &r->is_set));
    r->g.n_vars = r->g.base = 0;
    VB_TRY(vb_g_push(&r->g, "$", 1, data));
    return vb_g_exec(&r->g, r->all->list, data);
}

static vb_status run_gap(job *r)
{
    vb_jval data, none = vb_j_text("");
    VB_TRY(vb_j_dict_new(r->g.j, VB_J_DICT, 8, &data));
    VB_TRY(put(r->g.j, &data, "Prompt", &r->prompt));
    VB_TRY(put(r->g.j, &data, "Suffix", &r->suffix));
    VB_TRY(put(r->g.j, &data, "Response", &none));
    return run(r, &data);
}

static vb_status run_messages(job *r)
{
    vb_jval data, none = vb_j_text("");
    VB_TRY(vb_j_dict_new(r->g.j, VB_J_DICT, 8, &data));
    VB_TRY(put(r->g.j, &data, "System", &r->system));
    VB_TRY(put(r->g.j, &data, "Messages", &r->messages));
    VB_TRY(put(r->g.j, &data, "Tools", &r->tools));
    VB_TRY(put(r->g.j, &data, "Response", &none));
    return run(r, &data);
}

typedef struct {
    vb_jval system, prompt, response;
} turn;

static vb_status run_turn(job *r, turn *t)
{
    vb_jval data;
    VB_TRY(vb_j_dict_new(r->g.j, VB_J_DICT, 8, &data));
    VB_TRY(put(r->g.j, &data, "System", &t->system));
    VB_TRY(put(r->g.j, &data, "Prompt", &t->prompt));
    VB_TRY(put(r->g.j, &data, "Response", &t->response));
    t->system = t->prompt = t->response = vb_j_text("");
    return run(r, &data);
}

static vb_status run_turns(job *r)
{
    turn t = {vb_j_text(""), vb_j_text(""), vb_j_text("")};
    for (size_t i = 0; i < vb_g_count(&r->messages); i++) {
        const vb_jval *m = &r->messages.u.list->items[i];
        int system = vb_j_is_str(part(m, ROLE), "system"), user = vb_j_is_str(part(m, ROLE), "user");
        if ((system && t.prompt.len > 0) || ((system || user) && t.response.len > 0)) VB_TRY(run_turn(r, &t));
        if (system) t.system = *part(m, CONTENT);
        if (user) t.prompt = *part(m, CONTENT);
        if (vb_j_is_str(part(m, ROLE), "assistant")) t.response = *part(m, CONTENT);
    }
    vb_g_cut(r->all);
    return run_turn(r, &t);
}

/* --- templates ----------------------------------------------------------------------------------------- */

static vb_status add_response(vb_jinja *j, vb_gtemplate *all)
{
    static const char text[] = "{{ .Response }}";
    const char *source = j->source;
    size_t len = j->source_len;
    vb_gtemplate *one;
    j->source = text;
    j->source_len = sizeof text - 1;
    VB_TRY(vb_g_parse(j, &one));
    j->source = source;
    j->source_len = len;
    vb_gnode **last = &all->list->a;
    while (*last != NULL) last = &(*last)->next;
    *last = one->list->a;
    return VB_OK;
}

static vb_status load(vb_jinja *j, const char *tmpl, size_t len, vb_gtemplate **all, vb_go_facts *facts)
{
    int response;
    VB_TRY(vb_j_load_source(j, tmpl, len));
    VB_TRY(vb_g_parse(j, all));
    VB_TRY(vb_g_facts(j, *all, facts, &response));
    return facts->messages || response ? VB_OK : add_response(j, *all);
}

static int is_utf8(const vb_jbuf *buf)
{
    uint32_t code;
    for (size_t i = 0, n; i < buf->len; i += n) {
        n = vb_j_char(buf->s + i, buf->len - i, &code);
        if (n == 1 && code >= 128) return 0;
    }
    return 1;
}

/* Half a character, as `slice` makes it, becomes U+FFFD. */
static vb_status mend(vb_jinja *j, vb_jbuf *out)
{
    vb_jbuf sound = {0};
    for (size_t i = 0, n; i < out->len; i += n) {
        uint32_t code;
        n = vb_j_char(out->s + i, out->len - i, &code);
        const uint8_t *mark = out->mark != NULL ? out->mark + i : NULL;
        if (n > 1 || code < 128) VB_TRY(vb_j_add(j, &sound, out->s + i, mark, n));
        else VB_TRY(vb_j_add_char(j, &sound, 0xfffd, mark != NULL && *mark));
    }
    *out = sound;
    return VB_OK;
}

vb_status vb_g_run(vb_jinja *j, const vb_jinja_job *what, const vb_jval *input, vb_jbuf *out)
{
    job r = {.g.j = j};
    VB_TRY(read_input(&r, input));
    VB_TRY(load(j, what->tmpl, what->tmpl_len, &r.all, &r.facts));
    r.g.all = r.all;
    j->out = out;
    VB_TRY(collate(&r));
    if (r.prompt.len > 0 && r.suffix.len > 0) VB_TRY(run_gap(&r));
    else VB_TRY(r.facts.messages ? run_messages(&r) : run_turns(&r));
    return is_utf8(out) ? VB_OK : mend(j, out);
}

vb_status vb_go_render(const vb_jinja_job *what, vb_jinja_text *out, vb_err *err)
{
    return vb_j_render(what, vb_g_run, out, err);
}

vb_status vb_go_look(const char *tmpl, size_t tmpl_len, vb_go_facts *out, vb_err *err)
{
    vb_jinja j = {.err = err};
    vb_gtemplate *all;
    vb_status status = load(&j, tmpl, tmpl_len, &all, out);
    vb_arena_free(&j.arena);
    return status;
}
