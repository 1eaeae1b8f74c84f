/* chat.c - choosing a template, and messages as its input.
 *
 * The families' templates are written after the published formats. They print contents as data and put every control
 * token into a text of their own, as all templates do that vb_jinja_render can guard.
 */
#include "text/chat.h"

#include "base/hash.h"
#include "text/go.h"
#include "text/jinja_value.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* --- the families -------------------------------------------------------------------------------------- */

static const char chatml[] =
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

static const char llama3[] =
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}"
    "{{ message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}";

/* The system message stands inside the first user turn. */
static const char llama2[] =
    "{% set ns = namespace(system='') %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}"
    "{% set ns.system = '<<SYS>>\\n' + message['content'] | trim + '\\n<</SYS>>\\n\\n' %}"
    "{% elif message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + ns.system + message['content'] | trim + ' [/INST]' }}"
    "{% set ns.system = '' %}"
    "{% elif message['role'] == 'assistant' %}"
    "{{ ' ' + message['content'] | trim + ' ' + eos_token }}"
    "{% else %}"
    "{{ raise_exception('expected the role system, user or assistant, found ' + message['role']) }}"
    "{% endif %}"
    "{% endfor %}";

/* Gemma knows no system turn: its text opens the next user turn. */
static const char gemma[] =
    "{{ bos_token }}"
    "{% set ns = namespace(system='') %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}"
    "{% set ns.system = message['content'] | trim + '\\n\\n' %}"
    "{% else %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\\n' + ns.system + message['content'] | trim + '<end_of_turn>\\n' }}"
    "{% set ns.system = '' %}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}";

static const char granite[] =
    "{% for message in messages %}"
    "{{ '<|start_of_role|>' + message['role'] + '<|end_of_role|>' + message['content'] + '<|end_of_text|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %}";

static const char gemma4[] =
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<|turn>' + role + '\\n' + message['content'] | trim + '<turn|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|turn>model\\n' }}{% endif %}";

static const char phi3[] =
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}";

/* Roles are plain text here; only an answer ends with a token. */
static const char olmo2[] =
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
    "{{ '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}";

/* The first row whose architecture (a beginning of it) and token fit. A token of a format is the best sign of it. */
static const struct {
    const char *name, *arch, *token, *text;
} families[] = {
    {"ChatML", "", "<|im_start|>", chatml},
    {"Llama 3", "", "<|start_header_id|>", llama3},
    {"Gemma 4", "gemma4", "<|turn>", gemma4},
    {"Gemma", "gemma", "<start_of_turn>", gemma},
    {"Phi 3", "phi3", "<|end|>", phi3},
    {"Granite", "", "<|start_of_role|>", granite},
    {"OLMo 2", "olmo2", "<|endoftext|>", olmo2},
    {"Llama 2", "llama", "<s>", llama2},
};

/* --- choosing ------------------------------------------------------------------------------------------ */

/* The template named "default" in tokenizer.chat_templates, or the first one. */
static vb_status named_template(const vb_gguf *g, vb_text *out, vb_err *err)
{
    const vb_gguf_entry *names;
    char key[128];
    vb_text chosen = {"", 0};
    VB_TRY(vb_gguf_array(g, "tokenizer.chat_templates", VB_GGUF_STRINGS, &names, err));
    const uint8_t *cursor = names->data;
    for (uint64_t i = 0; i < names->n; i++) {
        vb_text name = vb_gguf_next_string(&cursor);
        int is_default = name.len == 7 && memcmp(name.ptr, "default", 7) == 0;
        if (i == 0 || is_default) chosen = name;
        if (is_default) break;
    }
    if (chosen.len == 0 || chosen.len > 64)
        VB_FAIL(err, VB_E_FORMAT, "%s: tokenizer.chat_templates: expected names, found one of %zu bytes",
                vb_gguf_path(g), chosen.len);
    snprintf(key, sizeof key, "tokenizer.chat_template.%.*s", (int)chosen.len, chosen.ptr);
    return vb_gguf_string(g, key, out, err);
}

static vb_status from_file(const vb_gguf *g, vb_text *out, vb_err *err)
{
    *out = (vb_text){NULL, 0};
    if (vb_gguf_find(g, "tokenizer.chat_template") != NULL)
        return vb_gguf_string(g, "tokenizer.chat_template", out, err);
    if (vb_gguf_find(g, "tokenizer.chat_templates") != NULL) return named_template(g, out, err);
    return VB_OK;
}

static int says(const vb_text *t, const char *what)
{
    return memmem(t->ptr, t->len, what, strlen(what)) != NULL;
}

static int says_any(const vb_text *t, const char *const *words)
{
    for (; *words != NULL; words++)
        if (says(t, *words)) return 1;
    return 0;
}

/* Of a template in Jinja, as Ollama tells it. */
static int jinja_can(const vb_text *t)
{
    static const char *const cuts[] = {"content.split('</think>')", "content.split(\"</think>\")", NULL};
    static const char *const but[] = {"reasoning_content", "<SPECIAL_12>", NULL};
    int tools = says(t, "tools") || says(t, "tool_call");
    int marks = says(t, "<think>") && says(t, "</think>"), cut = says_any(t, cuts) && !says_any(t, but);
    return (tools ? VB_CAN_TOOLS : 0) | (marks || cut ? VB_CAN_THINK : 0);
}

static void take(vb_chat_template *out, const char *text, size_t len, const char *source)
{
    vb_text own = {text, len};
    out->text = text;
    out->len = len;
    out->source = source;
    out->can = jinja_can(&own);
    vb_sha256_of(text, len, out->digest);
}

vb_status vb_chat_template_choose(vb_chat_template *out, const vb_gguf *g, const char *arch, const char *template_as,
                                  int (*has_token)(const void *ud, const char *text), const void *ud, vb_err *err)
{
    vb_text own;
    *out = (vb_chat_template){.source = "none"};
    if (template_as != NULL && strcmp(template_as, "ollama") != 0)
        VB_FAIL(err, VB_E_ARGUMENT, "template_as: expected \"ollama\" or nothing, found \"%.60s\"", template_as);
    VB_TRY(from_file(g, &own, err));
    if (own.ptr != NULL && own.len > 0) {
        take(out, own.ptr, own.len, "file");
        return VB_OK;
    }
    if (template_as != NULL) {
        take(out, chatml, sizeof chatml - 1, "ollama");
        out->instead = "ChatML, as Ollama does";
        return VB_OK;
    }
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (strncmp(arch, families[i].arch, strlen(families[i].arch)) != 0) continue;
        if (!has_token(ud, families[i].token)) continue;
        take(out, families[i].text, strlen(families[i].text), "family");
        out->instead = families[i].name;
        return VB_OK;
    }
    return VB_OK;
}

/* --- the store's ----------------------------------------------------------------------------------------- */

/* Results of tools have their place in it, not only calls. */
static int jinja_takes_results(const vb_text *t)
{
    static const char *const calls[] = {"tool_calls", "assistant_tool_call", NULL};
    static const char *const results[] = {"tool_response", "tool_results", "role'] == 'tool'", "role'] == \"tool\"",
                                          "role\"] == 'tool'", "role\"] == \"tool\"", "message.role == 'tool'",
                                          "message.role == \"tool\"", "ipython", NULL};
    return says_any(t, calls) && says_any(t, results);
}

static int go_takes_results(const vb_text *t, const vb_go_facts *f)
{
    static const char *const results[] = {"eq .Role \"tool\"", "tool_response", "TOOL_RESULTS", NULL};
    return f->tools && f->calls && says_any(t, results);
}

static int count(int can)
{
    return !!(can & VB_CAN_TOOLS) + !!(can & VB_CAN_INSERT) + !!(can & VB_CAN_THINK);
}

/* Ollama's weighing: the file's own if it can do more, or the same, but with results of tools. */
static int prefers_own(const vb_chat_template *own, const vb_text *stored, const vb_go_facts *f, int can)
{
    vb_text t = {own->text, own->len};
    int own_results = jinja_takes_results(&t), results = go_takes_results(stored, f);
    if (count(own->can) > count(can)) return !results || own_results;
    return own->can == can && (can & VB_CAN_TOOLS) && own_results && !results;
}

void vb_chat_template_stored(vb_chat_template *tmpl, const char *stored, int stands_in)
{
    vb_text text = {stored, strlen(stored)};
    vb_go_facts f = {0};
    if (text.len == 0) return;
    vb_go_look(text.ptr, text.len, &f, NULL); /* one that is wrong can nothing, and fails when it is rendered */
    int can = (f.tools ? VB_CAN_TOOLS : 0) | (f.suffix ? VB_CAN_INSERT : 0) | (f.thinking ? VB_CAN_THINK : 0);
    if (strcmp(tmpl->source, "file") == 0 && (stands_in || prefers_own(tmpl, &text, &f, can))) return;
    *tmpl = (vb_chat_template){0};
    take(tmpl, text.ptr, text.len, "ollama");
    tmpl->go = 1;
    tmpl->can = can;
}

/* --- rendering ----------------------------------------------------------------------------------------- */

static vb_status add_message(json_t *list, const vb_message *msg, size_t i, vb_err *err)
{
    if (msg->role == NULL || msg->content == NULL)
        VB_FAIL(err, VB_E_ARGUMENT, "message %zu: expected a role and a content, found NULL", i);
    json_t *role = json_string(msg->role), *content = json_string(msg->content), *object = json_object();
    const char *wrong = role == NULL ? "role" : content == NULL ? "content" : NULL;
    json_object_set_new(object, "role", role);
    json_object_set_new(object, "content", content);
    if (json_array_append_new(list, object) != 0) VB_FAIL(err, VB_E_MEMORY, "message %zu: out of memory", i);
    if (wrong != NULL) VB_FAIL(err, VB_E_ARGUMENT, "message %zu: %s: expected UTF-8, found other bytes", i, wrong);
    return VB_OK;
}

static vb_status fill_input(json_t *input, const vb_message *msgs, size_t n, char **text, vb_err *err)
{
    json_t *list = json_array();
    if (json_object_set_new(input, "messages", list) != 0 ||
        json_object_set_new(input, "add_generation_prompt", json_true()) != 0)
        VB_FAIL(err, VB_E_MEMORY, "chat template: out of memory");
    for (size_t i = 0; i < n; i++) VB_TRY(add_message(list, &msgs[i], i, err));
    *text = json_dumps(input, JSON_COMPACT | JSON_PRESERVE_ORDER);
    if (*text == NULL) VB_FAIL(err, VB_E_MEMORY, "chat template: out of memory");
    return VB_OK;
}

vb_status vb_chat_input(char **out, const vb_message *msgs, size_t n, vb_err *err)
{
    json_t *input = json_object();
    *out = NULL;
    vb_status status = fill_input(input, msgs, n, out, err);
    json_decref(input);
    return status;
}

/* What the input says of the template. */
static vb_status read_choice(vb_jinja *j, const vb_jval *input, vb_jinja_job *job, int *go)
{
    vb_jval *own, *language;
    VB_TRY(vb_j_input(j, input, "template", &own));
    VB_TRY(vb_j_input(j, input, "language", &language));
    if (own != NULL && own->type != VB_J_STR) VB_J_BAD(j, "template: expected a text, found a %s", vb_j_type_name(own));
    if (own != NULL) {
        job->tmpl = own->u.s;
        job->tmpl_len = own->len;
        *go = 1;
    }
    if (language == NULL) return VB_OK;
    if (!vb_j_is_str(language, "go") && !vb_j_is_str(language, "jinja"))
        VB_J_BAD(j, "language: expected \"go\" or \"jinja\", found something else");
    *go = vb_j_is_str(language, "go");
    return VB_OK;
}

static vb_status run(vb_jinja *j, const vb_jinja_job *job, int go, const vb_jval *input, vb_jbuf *out)
{
    vb_jinja_job chosen = *job;
    VB_TRY(read_choice(j, input, &chosen, &go));
    if (chosen.tmpl == NULL)
        VB_FAIL(j->err, VB_E_NOT_FOUND, "chat template: expected one in the model's file or of its family, found none");
    return go ? vb_g_run(j, &chosen, input, out) : vb_j_run(j, &chosen, input, out);
}

static vb_status run_jinja(vb_jinja *j, const vb_jinja_job *job, const vb_jval *input, vb_jbuf *out)
{
    return run(j, job, 0, input, out);
}

static vb_status run_go(vb_jinja *j, const vb_jinja_job *job, const vb_jval *input, vb_jbuf *out)
{
    return run(j, job, 1, input, out);
}

vb_status vb_chat_run(const vb_jinja_job *job, int go, vb_jinja_text *out, vb_err *err)
{
    return vb_j_render(job, go ? run_go : run_jinja, out, err);
}

vb_status vb_chat_render_text(const vb_chat_style *style, const char *input, size_t len, vb_jinja_text *out, vb_err *err)
{
    vb_jinja_job job = {style->tmpl->text, style->tmpl->len, input, len, style->bos, style->eos};
    return vb_chat_run(&job, style->tmpl->go, out, err);
}
