/* reply.c - replies taken apart: what templates of many families write for a call is read back as that call, at any cut;
 * thoughts, texts that only look like marks, calls that must be made and the grammars of these.
 */
#include "base/os.h"
#include "grammar/gbnf.h"
#include "grammar/grammar.h"
#include "reply/reply.h"
#include "tests/gz.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static const char tools_text[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"description\":\"d\",\"parameters\":{\"type\":\"object\","
    "\"properties\":{\"city\":{\"type\":\"string\"},\"unit\":{\"type\":\"string\",\"enum\":[\"C\",\"F\"]}},\"required\":[\"city\"]}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"add\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":"
    "\"number\"},\"b\":{\"type\":\"number\"}},\"required\":[\"a\",\"b\"]}}}]";

/* Everything that came out, one behind another; calls as "name arguments\n". */
typedef struct {
    char content[4096], thinking[4096], calls[4096];
    int n_calls;
} whole;

static void collect(whole *w, const vb_reply_piece *p)
{
    strncat(w->content, p->content, p->content_len);
    strncat(w->thinking, p->thinking, p->thinking_len);
    for (int i = 0; i < p->n_calls; i++) {
        strcat(strcat(w->calls, p->calls[i].name), " ");
        strcat(strcat(w->calls, p->calls[i].arguments), "\n");
    }
    w->n_calls += p->n_calls;
}

typedef struct {
    const char *tmpl, *prompt, *begun;
    int tools, most;
} setting;

/* The text in pieces of `cut` bytes; 0: at once. */
static whole take_apart(const setting *s, const char *text, size_t cut)
{
    vb_reply_style style;
    vb_reply *r;
    vb_reply_piece piece;
    vb_err err = {0};
    whole w = {0};
    json_t *tools = s->tools ? json_loads(tools_text, 0, NULL) : NULL;
    size_t len = strlen(text);
    vb_reply_recognise(&style, s->tmpl, strlen(s->tmpl));
    vb_reply_opts opts = {.style = &style, .tools = tools, .most_calls = s->most, .prompt = s->prompt, .begun = s->begun,
                          .prompt_len = s->prompt != NULL ? strlen(s->prompt) : 0};
    cr_assert_eq(vb_reply_open(&r, &opts, &err), VB_OK, "%s", err.text);
    json_decref(tools);
    for (size_t at = 0; at < len; at += cut > 0 ? cut : len) {
        size_t n = cut > 0 && cut < len - at ? cut : len - at;
        cr_assert_eq(vb_reply_add(r, text + at, n, &piece, &err), VB_OK);
        collect(&w, &piece);
    }
    cr_assert_eq(vb_reply_end(r, "", 0, &piece, &err), VB_OK);
    collect(&w, &piece);
    vb_reply_close(r);
    return w;
}

static void expect(const setting *s, const char *text, const char *content, const char *thinking, const char *calls)
{
    for (size_t cut = 0; cut < 5; cut++) {
        whole w = take_apart(s, text, cut);
        cr_expect_str_eq(w.content, content, "cut %zu: expected content %s, found %s", cut, content, w.content);
        cr_expect_str_eq(w.thinking, thinking, "cut %zu: expected thought %s, found %s", cut, thinking, w.thinking);
        cr_expect_str_eq(w.calls, calls, "cut %zu: expected calls %s, found %s", cut, calls, w.calls);
    }
}

/* --- grammars ------------------------------------------------------------------------------------------------ */

enum { END = 256 };

static int64_t byte_of(void *ud, vb_token id, char *buf, size_t cap)
{
    (void)ud;
    if (id == END) return -1;
    if (cap > 0) buf[0] = (char)id;
    return 1;
}

/* How many bytes of the text the grammar takes; -1: it takes all of it, and may end there. */
static int takes_bytes(const char *gbnf, const char *text)
{
    static vb_trie trie;
    vb_rules rules;
    vb_grammar *g = NULL;
    vb_err err = {0};
    int root;
    if (trie.n_vocab == 0) cr_assert_eq(vb_trie_make(&trie, END + 1, byte_of, NULL, NULL), VB_OK);
    vb_rules_start(&rules);
    cr_assert_eq(vb_gbnf_read(&rules, &root, gbnf, strlen(gbnf), &err), VB_OK, "%s: %s", gbnf, err.text);
    cr_assert_eq(vb_grammar_make(&g, &rules, root, &trie, &err), VB_OK, "%s", err.text);
    vb_rules_free(&rules);
    int taken = 0;
    while (text[taken] != '\0' && vb_grammar_accept_text(g, text + taken, 1, &err) == VB_OK) taken++;
    if (text[taken] == '\0' && vb_grammar_may_end(g)) taken = -1;
    vb_grammar_close(g);
    return taken;
}

static int takes(const char *gbnf, const char *text)
{
    return takes_bytes(gbnf, text) < 0;
}

/* --- what templates write ------------------------------------------------------------------------------------- */

static json_t *golden_case(const json_t *file)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(file, "cases"), i, one) {
        const char *name = json_string_value(json_object_get(one, "name"));
        const char *text = json_string_value(json_object_get(one, "expected"));
        if (strcmp(name, "tools_roundtrip") == 0 && text != NULL && json_is_true(json_object_get(one, "add_generation_prompt")))
            return one;
    }
    return NULL;
}

static char *read_whole(const char *folder, const char *name, size_t *len)
{
    char path[512], *text;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    fseek(f, 0, SEEK_END);
    *len = (size_t)ftell(f);
    rewind(f);
    text = calloc(1, *len + 1);
    cr_assert_eq(fread(text, 1, *len, f), *len);
    fclose(f);
    return text;
}

/* The turn with the call, as a model would write it: from the last header in front of it to the token that ends it. */
static char *turn_of(const char *text, const char *call)
{
    static const char *const headers[] = {"[/INST]", "<|end_header_id|>\n\n"}, *const ends[] = {"</s>", "<|eot_id|>"};
    const char *at = strstr(text, call), *from = text, *to = text + strlen(text), *p;
    for (size_t i = 0; i < 2; i++)
        for (p = text; (p = strstr(p, headers[i])) != NULL && p < at; p += strlen(headers[i])) from = p + strlen(headers[i]);
    for (size_t i = 0; i < 2; i++)
        if ((p = strstr(at, ends[i])) != NULL && p < to) to = p;
    return strndup(from, (size_t)(to - from));
}

/* 1: a call that must be made may be written in the template's own words, at least up to its arguments' end. */
static int may_be_written(const char *tmpl, const char *turn)
{
    vb_reply_style style;
    char *prompt, *gbnf;
    json_t *tools = json_loads(tools_text, 0, NULL);
    vb_reply_recognise(&style, tmpl, strlen(tmpl));
    cr_assert_eq(vb_reply_demand(&style, tools, NULL, 1, &prompt, &gbnf, NULL), VB_OK);
    const char *at = strstr(turn, prompt);
    int taken = at != NULL ? takes_bytes(gbnf, at + strlen(prompt)) : 0;
    const char *unit = at != NULL ? strstr(at + strlen(prompt), "C") : NULL;
    int good = taken < 0 || (unit != NULL && unit < at + strlen(prompt) + taken);
    free(prompt);
    free(gbnf);
    json_decref(tools);
    return good;
}

static int written;

/* Templates that show tools say so, and others do not. */
static void expect_tools(const char *name, const char *tmpl, const char *expected)
{
    vb_reply_style style;
    vb_reply_recognise(&style, tmpl, strlen(tmpl));
    int shown = strstr(expected, "Get the current weather") != NULL;
    cr_expect_eq(style.tools, shown, "%s: tools: expected %d, found %d", name, shown, style.tools);
}

/* 1: the template's own words for a call are read back; 0: they are not; -1: it has none. */
static int round_trip(const char *name)
{
    static const char folder[] = "tests/golden/chat", question[] = "Weather in Z\xc3\xbcrich?", call[] = "get_weather";
    static const char city[] = "\"city\":\"Z\xc3\xbcrich\"", unit[] = "\"unit\":\"C\"";
    size_t len;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    json_t *file = gz_read_json(path, NULL), *one = golden_case(file);
    int result = -1;
    const char *expected = one != NULL ? json_string_value(json_object_get(one, "expected")) : NULL;
    if (expected != NULL) {
        char *tmpl = read_whole("tests/golden/chat/templates", json_string_value(json_object_get(file, "template")), &len);
        expect_tools(name, tmpl, expected);
        free(tmpl);
    }
    const char *reply = expected != NULL ? strstr(expected, question) : NULL;
    if (reply != NULL && strstr(reply, call) != NULL) {
        char *tmpl = read_whole("tests/golden/chat/templates", json_string_value(json_object_get(file, "template")), &len);
        setting s = {.tmpl = tmpl, .tools = 1};
        char *turn = turn_of(reply + strlen(question), call);
        whole w = take_apart(&s, turn, 3);
        written += may_be_written(tmpl, turn);
        free(turn);
        result = w.n_calls == 1 && strncmp(w.calls, call, strlen(call)) == 0 && strstr(w.calls, city) != NULL &&
                 strstr(w.calls, unit) != NULL;
        if (!result) fprintf(stderr, "%s: %d calls: %s\n", name, w.n_calls, w.calls);
        free(tmpl);
    }
    json_decref(file);
    return result;
}

Test(reply, reads_what_templates_write)
{
    int read = 0, not_read = 0;
    DIR *d = opendir("tests/golden/chat");
    cr_assert_not_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strstr(e->d_name, ".json.gz") == NULL) continue;
        int r = round_trip(e->d_name);
        read += r == 1;
        not_read += r == 0;
    }
    closedir(d);
    fprintf(stderr, "%d read, %d not; %d may be written\n", read, not_read, written);
    cr_expect_geq(read, 50);
    cr_expect_geq(written, 38);
    cr_expect_leq(not_read, 6); /* families whose marks are not known */
}

/* --- calls ------------------------------------------------------------------------------------------------------ */

#define HERMES "{% if tools %}<tool_call></tool_call>{% endif %}"

Test(reply, calls_between_marks)
{
    setting s = {.tmpl = HERMES, .tools = 1};
    expect(&s, "Let me look. <tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": 2}}\n</tool_call>", "Let me look.", "",
           "add {\"a\":1,\"b\":2}\n");
    expect(&s, "<tool_call>{\"name\":\"add\",\"arguments\":{}}</tool_call>\n<tool_call>{\"name\":\"other\"}</tool_call>", "", "",
           "add {}\nother {}\n");
    expect(&s, "<tool_call>{\"name\":\"add\",\"arguments\":\"{\\\"a\\\":1}\"}", "", "", "add {\"a\":1}\n"); /* not closed */
    expect(&s, "a <tool_call>what?</tool_call> b ", "a <tool_call>what?</tool_call> b ", "", "");
    expect(&s, "5 < 6 <tool", "5 < 6 <tool", "", "");
    expect(&s, "{\"name\":\"add\",\"arguments\":{}}", "{\"name\":\"add\",\"arguments\":{}}", "", "");
    expect(&s, "  \n", "  \n", "", "");
    s.most = 1;
    expect(&s, "<tool_call>{\"name\":\"add\"}</tool_call><tool_call>{\"name\":\"add\"}</tool_call>", "", "", "add {}\n");
    s.tools = 0;
    expect(&s, "<tool_call>{\"name\":\"add\"}</tool_call>", "<tool_call>{\"name\":\"add\"}</tool_call>", "", "");
}

Test(reply, calls_without_marks)
{
    setting s = {.tmpl = "{% if tools %}x{% endif %}", .tools = 1};
    expect(&s, " {\"name\": \"add\", \"parameters\": {\"a\": 1}}", "", "", "add {\"a\":1}\n");
    expect(&s, "[{\"name\": \"add\", \"parameters\": {\"a\": 1}}, {\"name\": \"get_weather\"}]", "", "",
           "add {\"a\":1}\nget_weather {}\n");
    expect(&s, "{\"name\": \"Bern\", \"people\": 134000}", "{\"name\": \"Bern\", \"people\": 134000}", "", "");
    expect(&s, "{\"a\": ", "{\"a\": ", "", "");
    expect(&s, "It is {\"name\": \"add\"}", "It is {\"name\": \"add\"}", "", "");
}

Test(reply, notations)
{
    setting s = {.tmpl = "{{ tools }}<tool_call>", .tools = 1};
    expect(&s, "<tool_call><function=add>\n<parameter=a>\n1\n</parameter>\n<parameter=b>\n2.5\n</parameter>\n</function></tool_call>", "",
           "", "add {\"a\":1,\"b\":2.5}\n");
    expect(&s, "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>12</arg_value>\n</tool_call>", "", "",
           "get_weather {\"city\":\"12\"}\n");
    expect(&s, "<tool_call>[get_weather(city='B\\'n', unit=\"C\"), add(a=-1, b=[True, None])]</tool_call>", "", "",
           "get_weather {\"city\":\"B'n\",\"unit\":\"C\"}\nadd {\"a\":-1,\"b\":[true,null]}\n");
    expect(&s, "<tool_call>call:add{a:1,b:{c:<|\"|>x{\"<|\"|>}}</tool_call>", "", "", "add {\"a\":1,\"b\":{\"c\":\"x{\\\"\"}}\n");
    expect(&s, "<tool_call>\n```json\n{\"name\": \"add\"}\n```\n</tool_call>", "", "", "add {}\n");
    expect(&s, "<tool_call>[add(a=1</tool_call>", "<tool_call>[add(a=1</tool_call>", "", "");
    expect(&s, "<tool_call><function=add><parameter=a>1</tool_call>", "", "", "add {\"a\":1}\n");
}

/* Marks around an answer are left out, with the blanks beside them. */
Test(reply, marks_that_are_dropped)
{
    setting s = {.tmpl = "{{ tools }}<|START_ACTION|>", .tools = 1};
    expect(&s, "<|START_RESPONSE|>Yes.<|END_RESPONSE|>", "Yes.", "", "");
    expect(&s, "\n<|START_RESPONSE|>\n\n Yes.\n<|END_RESPONSE|>", "Yes.", "", "");
    expect(&s, " <|START_RESPONSE|> <|END_RESPONSE|> ", "", "", "");
    s.tmpl = "{{ tools }}";
    expect(&s, " \n [1, 2]", " \n [1, 2]", "", "");
    s = (setting){.tmpl = "{{ tools }}<tool_call></think>", .tools = 1, .prompt = "<think>\n"};
    expect(&s, "A.</think>  \n [", "[", "A.", "");
}

/* --- thoughts ------------------------------------------------------------------------------------------------- */

Test(reply, thoughts)
{
    setting s = {.tmpl = "{{ content.split('</think>') }}"};
    expect(&s, "<think>\nA, then\n b.\n</think>\n\nYes. ", "Yes. ", "A, then\n b.", "");
    expect(&s, "\n<think></think>Yes", "Yes", "", "");
    expect(&s, "<think>cut", "", "cut", "");
    expect(&s, "No <think>x</think>", "No <think>x</think>", "", "");
    expect(&s, " Yes", " Yes", "", "");
    s.prompt = "<|im_start|>assistant\n<think>\n";
    expect(&s, "A.\n</think>\n\nYes", "Yes", "A.", "");
    s.prompt = "<think>\n\n</think>\n\n";
    expect(&s, "Yes", "Yes", "", "");
    s = (setting){.tmpl = HERMES "</think>", .tools = 1};
    expect(&s, "<think>A</think>\n\n<tool_call>{\"name\":\"add\"}</tool_call>", "", "A", "add {}\n");
}

Test(reply, channels)
{
    setting s = {.tmpl = "<|channel|>analysis<|message|>{{ tools }}", .tools = 1};
    expect(&s, "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.", "Yes.", "Hm.", "");
    expect(&s, "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.add "
           "<|constrain|>json<|message|>{\"a\": 1}<|call|>", "", "Hm.", "add {\"a\":1}\n");
    expect(&s, "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant to=functions.add<|channel|>commentary json"
           "<|message|>{\"a\":1}", "I look.", "", "add {\"a\":1}\n");
    expect(&s, "Just text", "Just text", "", "");
}

/* --- calls that must be made ------------------------------------------------------------------------------------ */

typedef struct {
    const char *tmpl, *name;
    int one;
    const char *prompt, *yes, *no, *calls;
} demand_case;

static void expect_demand(const demand_case *c)
{
    vb_reply_style style;
    vb_err err = {0};
    char *prompt, *gbnf;
    json_t *tools = json_loads(tools_text, 0, NULL);
    vb_reply_recognise(&style, c->tmpl, strlen(c->tmpl));
    cr_assert_eq(vb_reply_demand(&style, tools, c->name, c->one, &prompt, &gbnf, &err), VB_OK, "%s", err.text);
    cr_expect_str_eq(prompt, c->prompt);
    cr_expect(takes(gbnf, c->yes), "%s: expected %s to fit", gbnf, c->yes);
    cr_expect(!takes(gbnf, c->no), "%s: expected %s not to fit", gbnf, c->no);
    setting s = {.tmpl = c->tmpl, .begun = prompt, .tools = 1};
    expect(&s, c->yes, "", "", c->calls);
    free(prompt);
    free(gbnf);
    json_decref(tools);
}

Test(reply, demands)
{
    static const char channels[] = "<|channel|>analysis<|message|>{{ tools }}", mistral[] = "{{ tools }}[TOOL_CALLS][ARGS]";
    static const demand_case cases[] = {
        {HERMES, NULL, 1, "<tool_call>\n", "{\"name\":\"add\",\"arguments\":{\"a\":1,\"b\":2}}", "{\"name\":\"sub\",\"arguments\":{}}",
         "add {\"a\":1,\"b\":2}\n"},
        {HERMES, "add", 0, "<tool_call>\n",
         "{\"name\":\"add\",\"arguments\":{\"a\":1,\"b\":2}}\n</tool_call>\n<tool_call>\n{\"name\":\"add\",\"arguments\":{\"a\":3,\"b\":4}}",
         "{\"name\":\"get_weather\",\"arguments\":{\"city\":\"x\"}}", "add {\"a\":1,\"b\":2}\nadd {\"a\":3,\"b\":4}\n"},
        {mistral, "add", 0, "[TOOL_CALLS]add[ARGS]", "{\"a\":1,\"b\":2}", "{\"a\":1}", "add {\"a\":1,\"b\":2}\n"},
        {mistral, NULL, 0, "[TOOL_CALLS]", "get_weather[ARGS]{\"city\":\"x\"}", "get_weather[ARGS]{}", "get_weather {\"city\":\"x\"}\n"},
        {"{{ tools }}[TOOL_CALLS]", NULL, 0, "[TOOL_CALLS]", "[{\"name\":\"add\",\"arguments\":{\"a\":1,\"b\":2}}]", "[]",
         "add {\"a\":1,\"b\":2}\n"},
        {channels, "add", 1, "<|channel|>commentary to=functions.add <|constrain|>json<|message|>", "{\"a\":1,\"b\":2}", "x",
         "add {\"a\":1,\"b\":2}\n"},
        {"{{ tools }}", NULL, 1, "", "{\"name\":\"add\",\"arguments\":{\"a\":1,\"b\":2}}", "", "add {\"a\":1,\"b\":2}\n"},
        {"{{ tools }}<function=", NULL, 1, "<function=", "add>{\"a\":1,\"b\":2}", "add>", "add {\"a\":1,\"b\":2}\n"},
    };
    static const char coder[] = "{{ tools }}<tool_call>\\n<function=", keys[] = "{{ tools }}<tool_call><arg_key>";
    static const demand_case tagged[] = {
        {coder, NULL, 1, "<tool_call>\n",
         "<function=get_weather>\n<parameter=city>\nB & <b>\n</parameter>\n<parameter=unit>\nC\n</parameter>\n</function>",
         "<function=get_weather>\n<parameter=city>\nB\n</parameter>\n<parameter=unit>\nK\n</parameter>\n</function>",
         "get_weather {\"city\":\"B & <b>\",\"unit\":\"C\"}\n"},
        {coder, "add", 0, "<tool_call>\n",
         "<function=add>\n<parameter=a>\n1\n</parameter>\n<parameter=b>\n-2.5\n</parameter>\n</function>\n</tool_call>",
         "<function=add>\n<parameter=a>\n1\n</parameter>\n</function>", "add {\"a\":1,\"b\":-2.5}\n"},
        {keys, "get_weather", 1, "<tool_call>", "get_weather\n<arg_key>city</arg_key>\n<arg_value>7</arg_value>\n</tool_call>",
         "get_weather", "get_weather {\"city\":\"7\"}\n"},
    };
    for (size_t i = 0; i < sizeof tagged / sizeof *tagged; i++) expect_demand(&tagged[i]);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) expect_demand(&cases[i]);
}

Test(reply, demands_of_references)
{
    static const char text[] = "[{\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"x\":{\"$ref\":"
                               "\"#/$defs/n\"}},\"required\":[\"x\"],\"$defs\":{\"n\":{\"type\":\"integer\"}}}}}]";
    static const char *const templates[] = {HERMES, "{{ tools }}<TOOLCALL>"};
    json_t *tools = json_loads(text, 0, NULL);
    for (size_t i = 0; i < 2; i++) {
        vb_reply_style style;
        char *prompt, *gbnf;
        vb_reply_recognise(&style, templates[i], strlen(templates[i]));
        cr_assert_eq(vb_reply_demand(&style, tools, NULL, 1, &prompt, &gbnf, NULL), VB_OK);
        const char *yes = i ? "[{\"name\":\"f\",\"arguments\":{\"x\":7}}]" : "{\"name\":\"f\",\"arguments\":{\"x\":7}}";
        cr_expect(takes(gbnf, yes), "%s", gbnf);
        free(prompt);
        free(gbnf);
    }
    cr_expect_eq(vb_reply_demand(&(vb_reply_style){.calls = &(vb_call_marks){0}}, tools, "g", 0, &(char *){NULL}, &(char *){NULL}, NULL),
                 VB_E_ARGUMENT);
    json_decref(tools);
}

Test(reply, styles)
{
    vb_reply_style s;
    vb_reply_recognise(&s, NULL, 0);
    cr_expect(!s.tools && !s.thinks);
    vb_reply_recognise(&s, "{% for m in messages %}", 23);
    cr_expect(!s.tools && !s.thinks);
    vb_reply_recognise(&s, "{{ if .Tools }}<tool_call>{{ end }}", 35);
    cr_expect(s.tools && !s.thinks && strcmp(vb_reply_mark(&s, 1, 0), "<tool_call>") == 0);
    cr_expect_null(vb_reply_mark(&s, 0, 0));
    vb_reply_recognise(&s, "{% if my_tools %}x</think>{% endif %}", 37);
    cr_expect(!s.tools && s.thinks && strcmp(vb_reply_mark(&s, 0, 0), "<think>") == 0);
}
