/* reply.c - any text as a reply of any style: what comes out does not depend on how the text was cut.
 *
 *   input: which style, flags (tools, a thought opened by the prompt, a call demanded), the pieces' length, then text
 */
#include "reply/reply.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const templates[] = {
    "{{ tools }}", "{{ tools }}<tool_call></think>", "{{ tools }}[TOOL_CALLS][ARGS][/THINK]", "{{ tools }}[TOOL_CALLS]",
    "{{ tools }}<|channel|>analysis<|message|>", "{{ tools }}<|python_tag|>", "{{ tools }}<function=", "{{ tools }}<|tool_call|></think>",
    "{{ tools }}<|tool_call>call:<|channel>thought", "{{ tools }}<|START_ACTION|><|START_THINKING|>"};
enum { TEMPLATES = sizeof templates / sizeof *templates };

/* Everything that came out, with marks between the kinds. */
typedef struct {
    char *content, *thinking, *calls;
    size_t lens[3];
} whole;

static void append(char **to, size_t *len, const char *text, size_t n)
{
    *to = realloc(*to, *len + n + 1);
    if (*to == NULL) abort();
    memcpy(*to + *len, text, n);
    *len += n;
    (*to)[*len] = '\0';
}

static void collect(whole *w, const vb_reply_piece *p)
{
    append(&w->content, &w->lens[0], p->content, p->content_len);
    append(&w->thinking, &w->lens[1], p->thinking, p->thinking_len);
    for (int i = 0; i < p->n_calls; i++) {
        json_t *arguments = json_loads(p->calls[i].arguments, 0, NULL);
        if (!json_is_object(arguments) || p->calls[i].name[0] == '\0') abort();
        json_decref(arguments);
        append(&w->calls, &w->lens[2], p->calls[i].name, strlen(p->calls[i].name));
        append(&w->calls, &w->lens[2], p->calls[i].arguments, strlen(p->calls[i].arguments));
    }
}

static whole take_apart(const vb_reply_opts *opts, const char *text, size_t len, size_t cut)
{
    whole w = {0};
    vb_reply *r;
    vb_reply_piece piece;
    if (vb_reply_open(&r, opts, NULL) < 0) abort();
    for (size_t at = 0; at < len; at += cut) {
        size_t n = cut < len - at ? cut : len - at;
        if (vb_reply_add(r, text + at, n, &piece, NULL) < 0) abort();
        collect(&w, &piece);
    }
    if (vb_reply_end(r, "", 0, &piece, NULL) < 0) abort();
    collect(&w, &piece);
    vb_reply_close(r);
    return w;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char tools[] = "[{\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"s\":{\"type\":\"string\"}}}}}]";
    if (size < 3) return 0;
    const char *tmpl = templates[data[0] % TEMPLATES];
    vb_reply_style style;
    vb_reply_recognise(&style, tmpl, strlen(tmpl));
    json_t *list = data[1] & 1 ? json_loads(tools, 0, NULL) : NULL;
    const char *prompt = data[1] & 2 && style.thoughts != NULL ? style.thoughts->open : NULL;
    vb_reply_opts opts = {.style = &style, .tools = list, .prompt = prompt, .prompt_len = prompt != NULL ? strlen(prompt) : 0};
    if (data[1] & 4 && list != NULL) opts.begun = style.calls->open != NULL ? style.calls->open : "";
    whole a = take_apart(&opts, (const char *)data + 3, size - 3, size);
    whole b = take_apart(&opts, (const char *)data + 3, size - 3, 1 + data[2] % 16);
    if (memcmp(a.lens, b.lens, sizeof a.lens) != 0) abort();
    if (a.lens[0] > 0 && memcmp(a.content, b.content, a.lens[0]) != 0) abort();
    if (a.lens[1] > 0 && memcmp(a.thinking, b.thinking, a.lens[1]) != 0) abort();
    if (a.lens[2] > 0 && memcmp(a.calls, b.calls, a.lens[2]) != 0) abort();
    char *all[] = {a.content, a.thinking, a.calls, b.content, b.thinking, b.calls};
    for (size_t i = 0; i < 6; i++) free(all[i]);
    json_decref(list);
    return 0;
}
