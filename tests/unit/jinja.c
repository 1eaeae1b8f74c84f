/* jinja.c - the template interpreter: the language against recorded answers, limits, spans of data, errors; and the
 * choice of a chat template.
 *
 * tests/golden/chat/language.jsonl: the first line holds the variables, each other one a template and what Jinja2 made
 * of it (null: an error). Language features are tested there, whole chat templates by chat_golden.
 */
#include "base/hash.h"
#include "file/gguf.h"
#include "tests/unit/gguf_writer.h"
#include "tests/unit/rendered.h"
#include "text/chat.h"
#include "text/jinja.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>

static const char no_messages[] = "{\"messages\":[],\"strftime_now\":\"2026-01-15T12:34:56\"}";

static vb_status render(const char *tmpl, const char *input, vb_jinja_text *out, vb_err *err)
{
    vb_jinja_job job = {tmpl, strlen(tmpl), input, strlen(input), "<s>", NULL};
    *err = (vb_err){0};
    return vb_jinja_render(&job, out, err);
}

/* --- the language -------------------------------------------------------------------------------------- */

Test(jinja, answers_as_recorded)
{
    char line[8192];
    int cases = 0;
    FILE *f = fopen("tests/golden/chat/language.jsonl", "r");
    cr_assert(f != NULL && fgets(line, sizeof line, f) != NULL);
    json_t *head = json_loads(line, 0, NULL);
    json_t *input = json_pack("{s:[],s:O,s:s}", "messages", "kwargs", json_object_get(head, "kwargs"), "strftime_now",
                              "2026-01-15T12:34:56");
    char *text = json_dumps(input, JSON_PRESERVE_ORDER);
    for (; fgets(line, sizeof line, f) != NULL; cases++) {
        json_t *one = json_loads(line, JSON_ALLOW_NUL, NULL), *tmpl = json_object_get(one, "template");
        json_t *expected = json_object_get(one, "expected");
        vb_jinja_job job = {json_string_value(tmpl), json_string_length(tmpl), text, strlen(text), NULL, NULL};
        vb_jinja_text out;
        vb_err err = {0};
        vb_status status = vb_jinja_render(&job, &out, &err);
        cr_expect_eq(status == VB_OK, json_is_string(expected), "%s: %s", job.tmpl, err.text);
        if (status == VB_OK)
            cr_expect(out.len == json_string_length(expected) &&
                          memcmp(out.text, json_string_value(expected), out.len) == 0,
                      "%s\n  expected %s\n  found    %s", job.tmpl, json_string_value(expected), out.text);
        vb_jinja_text_free(&out);
        json_decref(one);
    }
    cr_expect_gt(cases, 100);
    free(text);
    json_decref(input);
    json_decref(head);
    fclose(f);
}

Test(jinja, input_becomes_variables)
{
    expect_text("{{ bos_token }}{{ eos_token is defined }}", no_messages, "<s>False");
    expect_text("{{ bos_token }}", "{\"messages\":[],\"special_tokens\":{\"bos_token\":\"B\"}}", "B");
    expect_text("{{ bos_token }}", "{\"messages\":[],\"special_tokens\":{\"bos_token\":null}}", "<s>");
    expect_text("{{ tools }}{{ tools is defined }}{{ add_generation_prompt }}", no_messages, "NoneTrueFalse");
    expect_text("{{ x }}{{ y }}", "{\"messages\":[],\"kwargs\":{\"x\":1.0,\"y\":[true,null]}}", "1.0[True, None]");
    expect_text("{{ strftime_now('%d %b %Y, %A %j') }}", no_messages, "15 Jan 2026, Thursday 015");
    expect_text("{{ messages[0]|tojson }}", "{\"messages\":[{\"b\":1,\"a\":2,\"c\":{\"z\":0,\"y\":0}}]}",
                "{\"b\": 1, \"a\": 2, \"c\": {\"z\": 0, \"y\": 0}}");
}

Test(jinja, wrong_input_is_named)
{
    expect_error("x", "{\"messages\":", VB_E_FORMAT, "chat template input: expected JSON");
    expect_error("x", "[]", VB_E_FORMAT, "expected an object, found a list");
    expect_error("x", "{}", VB_E_FORMAT, "messages: expected a list, found a NoneType");
    expect_error("x", "{\"messages\":[1]}", VB_E_FORMAT, "messages: expected objects, found a int");
    expect_error("x", "{\"messages\":[],\"kwargs\":3}", VB_E_FORMAT, "kwargs: expected an object");
    expect_error("x", "{\"messages\":[],\"strftime_now\":\"2026-13-01\"}", VB_E_FORMAT, "strftime_now: expected");
    expect_error("x\xff", no_messages, VB_E_FORMAT, "expected UTF-8, found other bytes at offset 1");
}

Test(jinja, errors_name_their_place)
{
    expect_error("a\n  {{ 1 + }}", no_messages, VB_E_FORMAT, "line 2, column 10: expected an expression");
    expect_error("\n\nü{{ none.x.y }}", no_messages, VB_E_FORMAT,
                 "line 3, column 11: expected a value, found that 'NoneType'");
    expect_error("{% if true %}", no_messages, VB_E_FORMAT, "expected 'endif'");
    expect_error("{{ raise_exception('System\nrole') }}", no_messages, VB_E_ARGUMENT, "refuses: System role");
    expect_error("{% include 'x' %}", no_messages, VB_E_FORMAT,
                 "expected a tag that chat templates have, found 'include'");
    expect_error("{{ x|nope }}", no_messages, VB_E_FORMAT, "expected a filter, found 'nope'");
    expect_error("{{ messages.append(1) }}", no_messages, VB_E_FORMAT, "which would change it");
    expect_error("{{ ''.__class__.__mro__ }}", no_messages, VB_E_FORMAT, "'str' has no attribute '__class__'");
    expect_error("{{ range.__globals__.os }}", no_messages, VB_E_FORMAT, "has no attribute '__globals__'");
    expect_error("{{ strftime_now('%Q') }}", no_messages, VB_E_FORMAT, "expected a date format that is known");
}

/* --- limits: each of these has to fail, and soon ------------------------------------------------------- */

Test(jinja, endless_work_ends, .timeout = 60)
{
    static const char *const endless[] = {
        "{% set r = range(100000) %}{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{{ range(100000)|sort|length }}{% endfor %}",
        "{% set s = 'ab' * 1000000 %}{% for a in range(100000) %}{{ 'c' in s }}{% endfor %}",
        "{% set s = 'a' * 8000000 %}{% for i in range(1000) %}{{ s.rfind('a' * 4000000 ~ 'b') }}{% endfor %}",
        "{% set s = 'a' * 8000000 %}{{ s.strip('b' * 4000000 ~ 'a') }}",
        "{% set l = range(100000)|list %}{{ l|unique|list|length }}",
        "{% set l = range(100000)|list %}{% for i in l %}{% if -1 in l %}{% endif %}{% endfor %}",
        "{% macro f(n) %}{% for i in range(9) %}{{ f(n + 1) if n < 90 }}{% endfor %}{% endmacro %}{{ f(0) }}",
    };
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
        vb_err err;
        vb_jinja_text text;
        vb_status status = render(endless[i], no_messages, &text, &err);
        int steps = status == VB_E_UNSUPPORTED && strstr(err.text, "expected an end within") != NULL;
        int memory = status == VB_E_MEMORY && strstr(err.text, "bytes of memory") != NULL;
        cr_expect(steps || memory, "%s: %s", endless[i], err.text);
    }
    expect_error("{{ range(100001) }}", no_messages, VB_E_UNSUPPORTED, "at most 100000 items");
    expect_error("{{ range(-9000000000000000000, 9000000000000000000) }}", no_messages, VB_E_UNSUPPORTED, "at most");
}

Test(jinja, depth_is_limited, .timeout = 60)
{
    static char deep[300000];
    expect_error("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", no_messages, VB_E_UNSUPPORTED,
                 "nesting of at most 1000");
    expect_error("{% set n = namespace(l=[]) %}{% for i in range(5000) %}{% set n.l = [n.l] %}{% endfor %}{{ n.l }}",
                 no_messages, VB_E_UNSUPPORTED, "nesting of at most 1000");
    expect_error("{% set n = namespace(l=[]) %}{% for i in range(5000) %}{% set n.l = [n.l] %}{% endfor %}"
                 "{{ n.l|tojson }}",
                 no_messages, VB_E_UNSUPPORTED, "nesting of at most 1000");
    expect_error("{% set n = namespace() %}{% set n.n = n %}{{ n }}", no_messages, VB_E_UNSUPPORTED,
                 "nesting of at most");
    static const char *const openers[] = {"{{ ((((((((((", "{{ [[[[[[[[[[", "{{ not not not ", "{{ - - - - - ",
                                          "{% if 1 %}", "{{ {1:{1:{1:", "{% for a in b %}", "{{ a[a[a[a["};
    for (size_t i = 0; i < sizeof openers / sizeof *openers; i++) {
        size_t n, at = 0, tag = openers[i][1] == '{' ? 3 : 0; /* length of `{{ `, written once */
        for (int k = 0; k < 5000; k++, at += n) {
            n = strlen(openers[i] + (k > 0 ? tag : 0));
            memcpy(deep + at, openers[i] + (k > 0 ? tag : 0), n + 1);
        }
        vb_err err;
        vb_jinja_text text;
        cr_expect_neq(render(deep, no_messages, &text, &err), VB_OK, "%s...", openers[i]);
    }
    size_t at = (size_t)sprintf(deep, "{\"messages\":[],\"kwargs\":{\"x\":");
    memset(deep + at, '[', 1500);
    memset(deep + at + 1500, ']', 1500);
    strcpy(deep + at + 3000, "}}");
    expect_error("{{ x }}", deep, VB_E_UNSUPPORTED, "nesting of at most 1000");
}

Test(jinja, size_is_limited, .timeout = 60)
{
    expect_error("{{ 'x' * 1000000000 }}", no_messages, VB_E_UNSUPPORTED, "texts of at most");
    expect_error("{% for i in range(100000) %}{{ 'x' * 10000 }}{% endfor %}", no_messages, VB_E_UNSUPPORTED,
                 "texts of at most");
    expect_error("{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}",
                 no_messages, VB_E_UNSUPPORTED, "texts of at most");
    expect_error("{% set n = namespace(l=[1]) %}{% for i in range(99) %}{% set n.l = n.l + n.l %}{% endfor %}",
                 no_messages, VB_E_MEMORY, "bytes of memory");
    expect_error("{{ '%999999999d' % 1 }}", no_messages, VB_E_FORMAT, "fields of at most");
    expect_error("{{ 9223372036854775807 + 1 }}", no_messages, VB_E_FORMAT, "integer of 64 bits");
    vb_jinja_job job = {no_messages, VB_JINJA_MAX_TEMPLATE + 1, no_messages, sizeof no_messages - 1, NULL, NULL};
    vb_jinja_text text;
    cr_expect_eq(vb_jinja_render(&job, &text, NULL), VB_E_UNSUPPORTED);
}

/* What is long but not malicious has to work. */
Test(jinja, long_texts_work, .timeout = 60)
{
    expect_text("{% set n = namespace(s='') %}{% for i in range(100000) %}{% set n.s = n.s + '0123456789' %}"
                "{% endfor %}{{ n.s|length }}",
                no_messages, "1000000");
    expect_text("{% set x = 5 %}{% if x == 0 %}a{% elif x == 1 %}b{% elif x == 2 %}c{% elif x == 5 %}d{% endif %}",
                no_messages, "d");
}

/* --- data ---------------------------------------------------------------------------------------------- */

/* The text with what is data in [brackets]. */
static void expect_spans(const char *tmpl, const char *expected)
{
    static const char input[] = "{\"messages\":[{\"role\":\"user\",\"content\":\" <|x|>\\n'é'\"}],"
                                "\"tools\":[{\"name\":\"<t>\",\"n\":1}],\"kwargs\":{\"k\":\"v\"}}";
    char shown[512];
    size_t at = 0;
    vb_err err;
    vb_jinja_text text;
    cr_assert_eq(render(tmpl, input, &text, &err), VB_OK, "%s: %s", tmpl, err.text);
    for (size_t i = 0; i < text.n_spans; i++)
        at += (size_t)snprintf(shown + at, sizeof shown - at, text.spans[i].data ? "[%.*s]" : "%.*s",
                               (int)text.spans[i].len, text.text + text.spans[i].offset);
    cr_expect_str_eq(shown, expected, "%s: expected %s, found %s", tmpl, expected, shown);
    vb_jinja_text_free(&text);
}

Test(jinja, data_stays_data)
{
    expect_spans("<|im|>{{ messages[0].role }}:{{ messages[0].content }}<|e|>", "<|im|>user:[ <|x|>\n'é']<|e|>");
    expect_spans("{{ '<' + messages[0].content.strip() + '>' }}", "<[<|x|>\n'é']>");
    expect_spans("{{ messages[0]['content'] | trim | upper ~ k }}", "[<|X|>\n'É'v]");
    expect_spans("{{ messages[0].content[1:4] }}{{ 'abc'[1:] }}", "[<|x]bc");
    expect_spans("{{ messages[0].content.split('|')[1] }}", "[x]");
    expect_spans("{{ messages[0].content.replace('x', '-')|trim }}", "[<|]-[|>\n'é']");
    expect_spans("{{ ['a', k, 'b']|join(',') }}", "a,[v],b");
    expect_spans("{{ '%s=%s' % ('q', k) }}|{{ '{}.{:>3}'.format(k, k) }}", "q=[v]|[v].  [v]");
    expect_spans("{{ tools[0]|tojson }}", "{\"[name]\": \"[<t>]\", \"[n]\": 1}");
    expect_spans("{{ messages[0].content|tojson }}", "\"[ <|x|>\\n'é']\"");
    expect_spans("{{ [k] }}", "['[v]']");
    expect_spans("{% macro m(x) %}<{{ x }}>{% endmacro %}{% set y %}{{ m(k) }}!{% endset %}{{ y }}", "<[v]>!");
    expect_spans("{% set n = namespace(s='') %}{% for i in range(3) %}{% set n.s = n.s + '<' + k + '>' %}"
                 "{% endfor %}{{ n.s }}",
                 "<[v]><[v]><[v]>");
    expect_spans("{% filter indent(2, true) %}{{ k }}\n{{ k }}{% endfilter %}", "  [v]\n  [v]");
    expect_spans("{{ '{\"a\": \"b\"}'|from_json }}{{ ('[\"' ~ k ~ '\"]')|from_json }}", "{'a': 'b'}['[v]']");
    expect_spans("{% for c in k %}{{ c }}{% endfor %}{{ k * 2 }}{{ k|reverse }}{{ k.center(5, '-') }}",
                 "[vvvv]--[v]--");
}

/* --- choosing a template ------------------------------------------------------------------------------- */

static int has_token(const void *ud, const char *text)
{
    return strstr((const char *)ud, text) != NULL;
}

static vb_chat_template choose(writer *w, const char *arch, const char *as, const char *tokens, vb_gguf **g)
{
    vb_chat_template out;
    vb_err err = {0};
    put_padding(w, 32);
    cr_assert_eq(vb_gguf_open_memory(g, w->data, w->len, "input", &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_chat_template_choose(&out, *g, arch, as, has_token, tokens, &err), VB_OK, "%s", err.text);
    return out;
}

static void expect_family(const char *arch, const char *as, const char *tokens, const char *source,
                          const char *expected)
{
    const vb_message msgs[] = {{"system", "Be <|brief|>."}, {"user", "Hi"}, {"assistant", "Yo"}, {"user", "2+2?"}};
    writer w = {0};
    vb_gguf *g;
    vb_err err = {0};
    vb_jinja_text text;
    put_header(&w, 3, 0, 0);
    vb_chat_template tmpl = choose(&w, arch, as, tokens, &g);
    vb_chat_style style = {&tmpl, "<s>", "</s>"};
    uint8_t digest[32];
    vb_sha256_of(tmpl.text, tmpl.len, digest);
    cr_expect_str_eq(tmpl.source, source);
    cr_expect_arr_eq(tmpl.digest, digest, 32);
    char *input;
    cr_assert_eq(vb_chat_input(&input, msgs, 4, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_chat_render_text(&style, input, strlen(input), &text, &err), VB_OK, "%s", err.text);
    free(input);
    cr_expect_str_eq(text.text, expected, "expected %s, found %s", expected, text.text);
    for (size_t i = 0; i < text.n_spans; i++)
        cr_expect(text.spans[i].data || memmem(text.text + text.spans[i].offset, text.spans[i].len, "brief",
                  5) == NULL);
    vb_jinja_text_free(&text);
    vb_gguf_close(g);
    free(w.data);
}

Test(chat, families)
{
    static const char chatml[] = "<|im_start|>system\nBe <|brief|>.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
                                 "<|im_start|>assistant\nYo<|im_end|>\n<|im_start|>user\n2+2?<|im_end|>\n"
                                 "<|im_start|>assistant\n";
    expect_family("llama", NULL, "<s> <|im_start|>", "family", chatml);
    expect_family("gpt2", "ollama", "", "ollama", chatml);
    expect_family("llama", NULL, "<|start_header_id|>", "family",
                  "<s><|start_header_id|>system<|end_header_id|>\n\nBe <|brief|>.<|eot_id|><|start_header_id|>user"
                  "<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nYo<|eot_id|>"
                  "<|start_header_id|>user<|end_header_id|>\n\n2+2?<|eot_id|><|start_header_id|>assistant"
                  "<|end_header_id|>\n\n");
    expect_family("llama", NULL, "<s>", "family",
                  "<s>[INST] <<SYS>>\nBe <|brief|>.\n<</SYS>>\n\nHi [/INST] Yo </s><s>[INST] 2+2? [/INST]");
    expect_family("gemma3", NULL, "<start_of_turn>", "family",
                  "<s><start_of_turn>user\nBe <|brief|>.\n\nHi<end_of_turn>\n<start_of_turn>model\nYo<end_of_turn>\n"
                  "<start_of_turn>user\n2+2?<end_of_turn>\n<start_of_turn>model\n");
    expect_family("gemma4", NULL, "<|turn>", "family",
                  "<s><|turn>system\nBe <|brief|>.<turn|>\n<|turn>user\nHi<turn|>\n<|turn>model\nYo<turn|>\n"
                  "<|turn>user\n2+2?<turn|>\n<|turn>model\n");
    expect_family("phi3", NULL, "<|end|>", "family",
                  "<|system|>\nBe <|brief|>.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nYo<|end|>\n"
                  "<|user|>\n2+2?<|end|>\n<|assistant|>\n");
    expect_family("olmo2", NULL, "<|endoftext|>", "family",
                  "<s><|system|>\nBe <|brief|>.\n<|user|>\nHi\n<|assistant|>\nYo</s>\n<|user|>\n2+2?\n"
                  "<|assistant|>\n");
    for (int i = 0; i < 3; i++)
        expect_family((const char *const[]){"qwen2", "qwen3", "smollm3"}[i], NULL, "<|im_start|>", "family", chatml);
    expect_family("granite", NULL, "<|start_of_role|>", "family",
                  "<|start_of_role|>system<|end_of_role|>Be <|brief|>.<|end_of_text|>\n<|start_of_role|>user"
                  "<|end_of_role|>Hi<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>Yo<|end_of_text|>\n"
                  "<|start_of_role|>user"
                  "<|end_of_role|>2+2?<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>");
}

Test(chat, the_file_comes_first)
{
    writer w = {0};
    vb_gguf *g;
    put_header(&w, 3, 0, 1);
    put_key_text(&w, "tokenizer.chat_template", "own");
    vb_chat_template tmpl = choose(&w, "llama", "ollama", "<|im_start|>", &g);
    cr_expect_str_eq(tmpl.source, "file");
    cr_expect(tmpl.len == 3 && memcmp(tmpl.text, "own", 3) == 0);
    vb_gguf_close(g);
    free(w.data);
}

Test(chat, named_templates)
{
    writer w = {0};
    vb_gguf *g;
    put_header(&w, 3, 0, 3);
    put_key_array(&w, "tokenizer.chat_templates", 8, 2);
    put_text(&w, "rag");
    put_text(&w, "default");
    put_key_text(&w, "tokenizer.chat_template.rag", "wrong");
    put_key_text(&w, "tokenizer.chat_template.default", "right");
    vb_chat_template tmpl = choose(&w, "llama", NULL, "", &g);
    cr_expect(tmpl.len == 5 && memcmp(tmpl.text, "right", 5) == 0);
    vb_gguf_close(g);
    free(w.data);
}

Test(chat, none_and_wrong)
{
    writer w = {0};
    vb_gguf *g;
    vb_err err = {0};
    vb_jinja_text text;
    char *input;
    put_header(&w, 3, 0, 0);
    vb_chat_template tmpl = choose(&w, "bert", NULL, "<s>", &g);
    vb_chat_style style = {&tmpl, NULL, NULL};
    cr_expect_str_eq(tmpl.source, "none");
    cr_expect_eq(vb_chat_render_text(&style, "{}", 2, &text, &err), VB_E_NOT_FOUND);
    cr_expect_eq(vb_chat_template_choose(&tmpl, g, "llama", "lmstudio", has_token, "", &err), VB_E_ARGUMENT);
    vb_chat_template_choose(&tmpl, g, "llama", "ollama", has_token, "", &err);
    cr_expect_eq(vb_chat_input(&input, &(vb_message){"user", "\xff"}, 1, &err), VB_E_ARGUMENT);
    cr_expect_str_eq(err.text, "message 0: content: expected UTF-8, found other bytes");
    cr_expect_eq(vb_chat_input(&input, &(vb_message){"user", NULL}, 1, &err), VB_E_ARGUMENT);
    vb_gguf_close(g);
    free(w.data);
}
