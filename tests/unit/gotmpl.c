/* gotmpl.c - the interpreter of Go's templates: the language against recorded answers, what a template shows of itself,
 * limits, spans of data, dates, input, errors.
 *
 * tests/golden/gotmpl/language.jsonl: the first line holds inputs by name, each other one a template, an input, and
 * what Go's text/template made of them under Ollama's rules (null: an error); `shows`: whether it mentions messages, tools,
 * calls of tools and a suffix, and whether it can show what was thought.
 */
#include "tests/unit/rendered.h"
#include "text/chat.h"
#include "text/go.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>

static const char hello[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"strftime_now\":\"2024-03-01\"}";

static vb_status render(const char *tmpl, const char *input, vb_jinja_text *out, vb_err *err)
{
    vb_jinja_job job = {tmpl, strlen(tmpl), input, strlen(input), "<s>", NULL};
    *err = (vb_err){0};
    return vb_go_render(&job, out, err);
}

/* --- the language -------------------------------------------------------------------------------------- */

static void expect_facts(const char *tmpl, size_t len, const char *shows)
{
    vb_go_facts f;
    char found[8];
    vb_err err = {0};
    vb_status status = vb_go_look(tmpl, len, &f, &err);
    cr_expect_eq(status == VB_OK, shows != NULL, "%s: %s", tmpl, err.text);
    if (status < 0 || shows == NULL) return;
    snprintf(found, sizeof found, "%d%d%d%d%d", f.messages, f.tools, f.calls, f.suffix, f.thinking);
    cr_expect_str_eq(found, shows, "%s: expected %s, found %s", tmpl, shows, found);
}

static void one_line(json_t *inputs, json_t *line)
{
    json_t *tmpl = json_object_get(line, "template"), *expected = json_object_get(line, "expected");
    json_t *named = json_object_get(inputs, json_string_value(json_object_get(line, "input")));
    char *input = json_dumps(named, JSON_PRESERVE_ORDER);
    vb_jinja_job job = {json_string_value(tmpl), json_string_length(tmpl), input, strlen(input), NULL, NULL};
    vb_jinja_text out;
    vb_err err = {0};
    vb_status status = vb_go_render(&job, &out, &err);
    cr_expect_eq(status == VB_OK, json_is_string(expected), "%s: %s", job.tmpl, err.text);
    if (status == VB_OK && json_is_string(expected))
        cr_expect(out.len == json_string_length(expected) && memcmp(out.text, json_string_value(expected), out.len) == 0,
                  "%s\n  expected %s\n  found    %s", job.tmpl, json_string_value(expected), out.text);
    vb_jinja_text_free(&out);
    free(input);
    expect_facts(job.tmpl, job.tmpl_len, json_string_value(json_object_get(line, "shows")));
}

Test(gotmpl, answers_as_recorded)
{
    static char line[1 << 16];
    int cases = 0;
    FILE *f = fopen("tests/golden/gotmpl/language.jsonl", "r");
    cr_assert(f != NULL && fgets(line, sizeof line, f) != NULL);
    json_t *head = json_loads(line, 0, NULL);
    for (; fgets(line, sizeof line, f) != NULL; cases++) {
        json_t *one = json_loads(line, JSON_ALLOW_NUL, NULL);
        one_line(json_object_get(head, "inputs"), one);
        json_decref(one);
    }
    cr_expect_gt(cases, 300);
    json_decref(head);
    fclose(f);
}

Test(gotmpl, dates_are_those_of_the_input)
{
    expect_text("{{ if .Messages }}{{ currentDate }} {{ yesterdayDate }} {{ currentDate \"2006\" }}{{ end }}", hello,
                "2024-03-01 2024-02-29 2024-03-01");
}

/* --- input --------------------------------------------------------------------------------------------- */

Test(gotmpl, input_in_the_forms_of_other_apis)
{
    expect_text("{{ range .Messages }}{{ .Content }}{{ end }}",
                "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}]}",
                "ab");
    expect_text("{{ range .Messages }}{{ .Content }}{{ range .ToolCalls }}{{ .Function.Arguments }}{{ end }}{{ .ToolName }}{{ end }}",
                "{\"messages\":[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"function\":{\"name\":\"f\","
                "\"arguments\":\"{\\\"b\\\": 1, \\\"a\\\": [2.50]}\"}}]},{\"role\":\"tool\",\"name\":\"f\"}]}",
                "{\"a\":[2.5],\"b\":1}f");
    expect_text("{{ if .Messages }}{{ .Think }} {{ .ThinkLevel }}{{ end }}",
                "{\"messages\":[{}],\"kwargs\":{\"enable_thinking\":true,\"reasoning_effort\":\"high\"}}", "true high");
    expect_text("{{ if .Messages }}{{ .Think }}{{ .IsThinkSet }}{{ end }}", "{\"messages\":[{}],\"kwargs\":{}}",
                "falsefalse");
}

Test(gotmpl, input_that_is_none)
{
    expect_error("x", "{", VB_E_FORMAT, "input: expected JSON");
    expect_error("x", "{}", VB_E_FORMAT, "messages: expected a list, found none");
    expect_error("x", "{\"messages\":5}", VB_E_FORMAT, "messages: expected a list");
    expect_error("x", "{\"messages\":[{\"role\":\"user\",\"content\":5}]}", VB_E_FORMAT,
                 "expected a text, found a int");
    expect_error("x", "{\"messages\":[],\"tools\":{}}", VB_E_FORMAT, "expected a list");
    expect_error("x", "{\"messages\":[],\"tools\":[5]}", VB_E_FORMAT, "expected an object");
    expect_error("x", "{\"messages\":[{\"tool_calls\":[{\"function\":{\"arguments\":\"[\"}}]}]}", VB_E_FORMAT,
                 "expected JSON");
}

/* --- who wrote what ------------------------------------------------------------------------------------ */

/* `map` has a letter for each byte of the text: d where it is data. */
static void expect_spans(const char *tmpl, const char *input, const char *map)
{
    vb_err err;
    vb_jinja_text text;
    cr_assert_eq(render(tmpl, input, &text, &err), VB_OK, "%s: %s", tmpl, err.text);
    cr_assert_eq(text.len, strlen(map), "%s: found %s", tmpl, text.text);
    for (size_t i = 0; i < text.n_spans; i++)
        for (size_t k = 0; k < text.spans[i].len; k++)
            cr_expect_eq(map[text.spans[i].offset + k] == 'd', text.spans[i].data, "%s: byte %zu of %s", tmpl,
                         text.spans[i].offset + k, text.text);
    vb_jinja_text_free(&text);
}

Test(gotmpl, data_stays_data)
{
    static const char two[] = "{\"messages\":[{\"role\":\"USER\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}],"
                              "\"tools\":[{\"type\":\"t\",\"function\":{\"name\":\"n<\"}}]}";
    expect_spans("{{ range .Messages }}<|{{ .Role }}|>{{ .Content }}{{ end }}", two, "<|user|>d..d");
    expect_spans("{{ range .Messages }}{{ printf \"%s|%4s|%q\" .Content \"x\" .Content }}{{ end }}", two,
                 "d..d|   x|\"d\\n\\nd\"");
    expect_spans("{{ range .Messages }}{{ json (slice .Content 0 1) }}{{ end }}", two, "\"d\"");
    expect_spans("{{ if .Messages }}{{ range .Tools }}{{ .Function.Name }}{{ json .Function.Name }}{{ end }}{{ end }}", two,
                 "dd\"ddddddd\"");
    expect_spans("[{{ .Prompt }}]", two, "[d..d]");
    expect_spans("<{{ .Prompt }}|{{ .Suffix }}>", "{\"prompt\":\"p\",\"suffix\":\"ss\"}", "<d|dd>");
}

Test(gotmpl, half_a_character_is_mended)
{
    expect_text("{{ range .Messages }}{{ slice .Content 0 1 }}x{{ end }}",
                "{\"messages\":[{\"content\":\"\xc3\xa4\"}]}",
                "\xef\xbf\xbdx");
}

/* --- the file's template or the store's ------------------------------------------------------------------ */

static int takes_stored(const char *own, int can, const char *stored, int stands_in)
{
    vb_chat_template t = {.text = own, .len = strlen(own), .source = own[0] != 0 ? "file" : "none", .can = can};
    vb_chat_template_stored(&t, stored, stands_in);
    cr_expect_eq(t.go, strcmp(t.source, "ollama") == 0);
    return t.go;
}

Test(gotmpl, ollama_prefers_what_knows_more)
{
    static const char plain[] = "{{ range .Messages }}{{ .Content }}{{ end }}";
    static const char tools[] = "{{ range .Messages }}{{ range .ToolCalls }}x{{ end }}{{ end }}{{ .Tools }}";
    static const char results[] = "{{ range .Messages }}{{ range .ToolCalls }}x{{ end }}<tool_response>{{ end }}{{ .Tools }}";
    static const char own_results[] = "{% if tools %}{% endif %}{{ m.tool_calls }}<tool_response>";
    cr_expect(takes_stored("", 0, plain, 0));
    cr_expect(takes_stored("", 0, plain, 1));
    cr_expect(takes_stored("{{ messages }}", 0, plain, 0));
    cr_expect(!takes_stored("{{ messages }}", 0, plain, 1));
    cr_expect(!takes_stored("{{ messages }}", 0, "", 0));
    cr_expect(!takes_stored("{{ tools }}", VB_CAN_TOOLS, plain, 0));
    cr_expect(takes_stored("{{ tools }}", VB_CAN_TOOLS, tools, 0));
    cr_expect(!takes_stored(own_results, VB_CAN_TOOLS, tools, 0));
    cr_expect(takes_stored(own_results, VB_CAN_TOOLS, results, 0));
    cr_expect(!takes_stored(own_results, VB_CAN_TOOLS | VB_CAN_THINK, results, 0));
    cr_expect(takes_stored("{{ tools }}", VB_CAN_TOOLS | VB_CAN_THINK, results, 0));
    cr_expect(takes_stored("{{ tools }}", VB_CAN_TOOLS, "{{ broken", 1) == 0);
}

Test(gotmpl, chosen_by_the_input)
{
    static const char input[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]%s}";
    static const struct {
        const char *more, *expected;
        int go;
    } cases[] = {{"", "GO", 1}, {"", "JINJA", 0}, {",\"language\":\"go\"", "GO", 0}, {",\"language\":\"jinja\"", "JINJA", 1},
                 {",\"template\":\"[{{ .Prompt }}]\"", "[q]", 0},
                 {",\"template\":\"{{ messages[0].content }}!\",\"language\":\"jinja\"", "q!", 1},
                 {",\"language\":\"perl\"", NULL, 0}, {",\"template\":5", NULL, 0}};
    static const char tmpl[] = "{{ if .Messages }}GO{{ end }}", jinja[] = "{% if messages %}JINJA{% endif %}";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        vb_err err = {0};
        vb_jinja_text out;
        snprintf(text, sizeof text, input, cases[i].more);
        int writes_go = cases[i].expected != NULL && strcmp(cases[i].expected, "GO") == 0;
        vb_jinja_job job = {writes_go ? tmpl : jinja, strlen(writes_go ? tmpl : jinja), text, strlen(text), NULL, NULL};
        vb_status status = vb_chat_run(&job, cases[i].go, &out, &err);
        cr_expect_eq(status == VB_OK, cases[i].expected != NULL, "%zu: %s", i, err.text);
        if (status == VB_OK) cr_expect_str_eq(out.text, cases[i].expected);
        vb_jinja_text_free(&out);
    }
}

/* --- limits -------------------------------------------------------------------------------------------- */

static char *repeat(const char *before, const char *part, int times, const char *behind)
{
    size_t n = strlen(part), at = strlen(before);
    char *text = malloc(at + n * (size_t)times + strlen(behind) + 1);
    cr_assert(text != NULL);
    strcpy(text, before);
    for (int i = 0; i < times; i++, at += n) strcpy(text + at, part);
    strcpy(text + at, behind);
    return text;
}

static void expect_refused(const char *before, const char *part, int times, const char *behind, const char *words)
{
    char *tmpl = repeat(before, part, times, behind);
    expect_error(tmpl, hello, VB_E_UNSUPPORTED, words);
    free(tmpl);
}

Test(gotmpl, ends_whatever_a_template_does)
{
    expect_error("{{ define \"x\" }}{{ template \"x\" . }}{{ end }}{{ template \"x\" . }}", hello, VB_E_UNSUPPORTED,
                 "nesting");
    expect_error("{{ range 100000 }}{{ range 100000 }}{{ end }}{{ end }}", hello, VB_E_UNSUPPORTED, "steps");
    expect_error("{{ $x := \"0123456789\" }}{{ range 40 }}{{ $x = print $x $x }}{{ end }}", hello, VB_E_UNSUPPORTED,
                 "texts of at most");
    expect_error("{{ printf \"%65000d\" 1 }}{{ range 400 }}{{ printf \"%65000d\" 1 }}{{ end }}", hello,
                 VB_E_UNSUPPORTED,
                 "texts of at most");
    expect_refused("", "{{ if 1 }}", 300, "", "nesting");
    expect_refused("{{ if 1 }}", "{{ else if 1 }}", 300, "{{ end }}", "nesting");
    char *open = repeat("{{ ", "(", 300, "1");
    expect_refused(open, ")", 300, " }}", "nesting");
    free(open);
    expect_refused("", "x", VB_JINJA_MAX_TEMPLATE + 1, "", "at most");
}

/* --- errors -------------------------------------------------------------------------------------------- */

Test(gotmpl, errors_say_where)
{
    expect_error("a\n {{ nope }}", hello, VB_E_FORMAT,
                 "line 2, column 5: expected a function that is known, found 'nope'");
    expect_error("{{ if .Messages }}\n{{ index .Messages 7 }}{{ end }}", hello, VB_E_FORMAT,
                 "line 2, column 4: expected an index from 0 to 0, found 7");
    expect_error("{{ if 1 }}\n", hello, VB_E_FORMAT, "expected {{end}}");
    expect_error("\xff", hello, VB_E_FORMAT, "expected UTF-8");
}
