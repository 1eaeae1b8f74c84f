/* dialogue_json.c - casts as JSON: what is taken, and what is refused with its place. */
#include "cast/cast_json.h"

#include <criterion/criterion.h>
#include <string.h>

static const char full[] =
    "{\"model\": \"a.gguf\", \"facts\": {\"place\": \"the mill\", \"who\": \"\"}, \"speakers\": 3, \"waiting\": 9, \"context\": 128,\n"
    " \"kv\": \"q8_0\", \"entries\": 5, \"entities\": 7, \"table\": \"t\", \"recall\": {\"path\": \"p\", \"model\": \"m\",\n"
    " \"texts\": [\"all\", {\"entity\": \"Anna\", \"tick\": 7, \"text\": \"one\"}, {\"entity\": \"12\", \"text\": \"two\"}]},\n"
    " \"personas\": [{\"name\": \"fox\", \"prompt\": \"${text}\"},\n"
    "  {\"name\": \"hen\", \"prompt\": \"x\", \"stop\": \"regex\", \"regex\": \"a+\", \"max_tokens\": 20, \"grammar\": \"root ::= \\\"a\\\"\",\n"
    "   \"schema\": {\"type\": \"object\", \"a\": 1}, \"banned\": [\"no\", \"nein\"], \"attempts\": 2, \"fallback\": \"hm\", \"keep_quotes\": true,\n"
    "   \"entry\": \"${line}\", \"memory_tokens\": 30, \"recall\": 4, \"sampling\": {\"temperature\": 0.5, \"top_p\": 0.25, \"min_p\": 1,\n"
    "   \"typical\": 0.75, \"repeat\": 1.5, \"presence\": -1, \"frequency\": 2, \"top_k\": 40, \"repeat_last\": -1}}]}";

Test(json, all_keys)
{
    vb_cast_json *j;
    vb_err err;
    cr_assert_eq(vb_cast_json_read(&j, full, strlen(full), &err), VB_OK, "%s", err.text);
    const vb_cast_said *s = vb_cast_json_said(j);
    const vb_cast_opts *o = &s->opts;
    cr_assert_str_eq(s->model, "a.gguf");
    cr_assert(strcmp(s->recall_path, "p") == 0 && strcmp(s->recall_model, "m") == 0 && strcmp(o->table, "t") == 0);
    cr_assert(s->n_texts == 3 && strcmp(s->texts[0].text, "all") == 0 && s->texts[0].entity == 0 && s->texts[0].tick == 0);
    cr_assert(s->texts[1].entity == vb_entity_id("Anna", 4) && s->texts[1].tick == 7 && s->texts[2].entity == 12);
    cr_assert(o->n_facts == 2 && strcmp(o->facts[0].name, "place") == 0 && strcmp(o->facts[0].value, "the mill") == 0);
    cr_assert(o->speakers == 3 && o->waiting == 9 && o->context == 128 && o->kv == VB_KV_Q8_0 && o->entries == 5 && o->entities == 7);
    cr_assert_eq(o->n_personas, 2);
    const vb_persona *fox = &o->personas[0], *hen = &o->personas[1];
    cr_assert(strcmp(fox->name, "fox") == 0 && strcmp(fox->prompt, "${text}") == 0 && fox->stop == VB_STOP_SENTENCE && fox->n_banned == 0);
    cr_assert(fox->regex == NULL && fox->sampling.temperature == 0.0f && fox->max_tokens == 0 && fox->entry == NULL);
    cr_assert(hen->stop == VB_STOP_REGEX && strcmp(hen->regex, "a+") == 0 && hen->max_tokens == 20 && hen->attempts == 2);
    cr_assert(strcmp(hen->grammar, "root ::= \"a\"") == 0 && strcmp(hen->schema, "{\"type\":\"object\",\"a\":1}") == 0);
    cr_assert(hen->n_banned == 2 && strcmp(hen->banned[1], "nein") == 0 && strcmp(hen->fallback, "hm") == 0 && hen->keep_quotes == 1);
    cr_assert(strcmp(hen->entry, "${line}") == 0 && hen->memory_tokens == 30 && hen->recall == 4);
    const vb_sampling *p = &hen->sampling;
    cr_assert(p->temperature == 0.5f && p->top_p == 0.25f && p->min_p == 1.0f && p->typical == 0.75f && p->repeat == 1.5f);
    cr_assert(p->presence == -1.0f && p->frequency == 2.0f && p->top_k == 40 && p->repeat_last == -1 && p->seed == 0);
    vb_cast_json_close(j);
}

Test(json, villager)
{
    vb_cast_json *j;
    vb_err err;
    cr_assert_eq(vb_cast_json_read(&j, vb_villager, strlen(vb_villager), &err), VB_OK, "%s", err.text);
    const vb_cast_said *s = vb_cast_json_said(j);
    const vb_persona *p = s->opts.personas;
    cr_assert_str_eq(s->model, "tales-1m");
    cr_assert_str_eq(p->prompt, "A man was asked \"${text}\". He smiled and said, \"");
    cr_assert(p->sampling.top_k == 40 && p->sampling.temperature == 0.9f && p->max_tokens == 60 && p->stop == VB_STOP_SENTENCE);
    vb_cast_json_close(j);
}

/* Who names no personas has the villager. */
Test(json, no_personas)
{
    vb_cast_json *j;
    vb_err err;
    cr_assert_eq(vb_cast_json_read(&j, "{\"speakers\": 2}", 15, &err), VB_OK, "%s", err.text);
    const vb_cast_opts *o = &vb_cast_json_said(j)->opts;
    cr_assert(o->speakers == 2 && o->n_personas == 1 && strcmp(o->personas[0].name, "villager") == 0);
    vb_cast_json_close(j);
}

typedef struct {
    const char *text, *why;
} refused;

#define WITH(more) "{\"personas\": [{\"name\": \"a\", \"prompt\": \"b\"" more "}]}"
static const refused bad[] = {
    {"", "line 1"},
    {"{", "line 1"},
    {"[]", "expected an object, found a list"},
    {"{\"personas\": null}", "personas: expected a list of 1 to 10000 personas, found null"},
    {"{\"personas\": []}", "personas: expected a list of 1 to 10000"},
    {"{\"personas\": {}}", "found an object"},
    {"{\"personas\": [1]}", "personas[0]: expected an object, found a whole number"},
    {"{\"personas\": [{\"prompt\": \"b\"}]}", "personas[0].name: expected a text, found nothing"},
    {"{\"personas\": [{\"name\": \"b\"}]}", "personas[0].prompt: expected a text, found nothing"},
    {WITH(", \"max_token\": 3"), "personas[0]: expected a key like \"max_tokens\", found \"max_token\""},
    {WITH(", \"temperature\": 3"), "personas[0]: expected a key like"},
    {WITH(", \"max_tokens\": 3.5"), "personas[0].max_tokens: expected a whole number, found a number"},
    {WITH(", \"max_tokens\": \"3\""), "personas[0].max_tokens: expected a whole number, found a text"},
    {WITH(", \"max_tokens\": 3000000000"), "personas[0].max_tokens: expected a smaller number, found 3000000000"},
    {WITH(", \"keep_quotes\": 1"), "personas[0].keep_quotes: expected true or false, found a whole number"},
    {WITH(", \"stop\": \"sentences\""), "personas[0].stop: expected \"sentence\", \"line\", \"regex\" or \"length\", found \"sentences\""},
    {WITH(", \"stop\": 1"), "personas[0].stop: expected a text, found a whole number"},
    {WITH(", \"banned\": \"a\""), "personas[0].banned: expected a list"},
    {WITH(", \"banned\": [\"a\", null]"), "personas[0].banned[1]: expected a text, found null"},
    {WITH(", \"schema\": 3"), "personas[0].schema: expected a JSON Schema"},
    {WITH(", \"sampling\": []"), "personas[0].sampling: expected an object, found a list"},
    {WITH(", \"sampling\": {\"top_k\": true}"), "personas[0].sampling.top_k: expected a whole number, found true"},
    {WITH(", \"sampling\": {\"top_k\": 1, \"seed\": 1}"), "personas[0].sampling: expected a key like"},
    {WITH(", \"sampling\": {\"temperature\": 1e300}"), "personas[0].sampling.temperature: expected a smaller number"},
    {WITH(", \"name\": \"b\""), "duplicate"},
    {WITH(", \"fallback\": \"\\u0000\""), "line 1"},
    {WITH(", \"entry\": \"\xFF\""), "line 1"},
    {"{\"personnas\": []}", "cast: expected a key like \"personas\", found \"personnas\""},
    {"{\"facts\": {\"a\": 1}}", "facts.a: expected a text, found a whole number"},
    {"{\"facts\": []}", "facts: expected an object of at most 10000 texts, found a list"},
    {"{\"recall\": {\"path\": \"a\"}}", "recall.model: expected a text, found nothing"},
    {"{\"recall\": {\"modell\": \"a\"}}", "recall: expected a key like \"model\""},
    {"{\"recall\": {\"texts\": [1]}}", "recall.texts[0]: expected a text or an object, found a whole number"},
    {"{\"recall\": {\"texts\": [{\"tick\": -1}]}}", "recall.texts[0].tick: expected a whole number from 0"},
    {"{\"recall\": {\"texts\": [{\"entity\": \"\"}]}}", "recall.texts[0].entity: expected a number or a name"},
    {"{\"recall\": {\"texts\": [{\"entity\": \"99999999999999999999\"}]}}", "expected a number below 2^64"},
    {"{\"recall\": {\"texts\": [{\"entity\": 1}]}}", "recall.texts[0].text: expected a text, found nothing"},
    {"{\"kv\": \"f8\"}", "kv: expected \"default\", \"f16\", \"f32\" or \"q8_0\", found \"f8\""},
    {"{\"model\": null}", "model: expected a text, found null"},
};

Test(json, refused)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vb_cast_json *j;
        vb_err err = {0};
        vb_status status = vb_cast_json_read(&j, bad[i].text, strlen(bad[i].text), &err);
        cr_expect(status == VB_E_ARGUMENT || status == VB_E_FORMAT, "%s", bad[i].text);
        cr_expect_null(j);
        cr_expect_not_null(strstr(err.text, bad[i].why), "%s\n  %s instead of %s", bad[i].text, err.text, bad[i].why);
    }
}

/* Whatever is left of it is either a cast or refused. */
Test(json, cut)
{
    for (size_t cut = 0; cut < strlen(full); cut++) {
        vb_cast_json *j;
        char text[2000];
        memcpy(text, full, cut);
        cr_assert_lt(vb_cast_json_read(&j, text, cut, NULL), 0);
        strcpy(text, full);
        text[cut] = '"';
        if (vb_cast_json_read(&j, text, strlen(text), NULL) == VB_OK) vb_cast_json_close(j);
    }
}

Test(json, opened)
{
    static const char keeps[] = "{\"recall\": {\"model\": \"tests/golden/bert-mean/model.gguf\"}, \"context\": 128, \"speakers\": 1, \"waiting\": 2,"
                                " \"personas\": [{\"name\": \"a\", \"prompt\": \"It was said: ${text}\"}]}";
    vb_cast *cast;
    vb_err err;
    vb_line line;
    vb_line_request ask = {.key = {1, 2, 3, 0}, .text = "Where is the king?"};
    cr_assert_eq(vb_cast_open_json(&cast, NULL, 0, NULL, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_cast_say(cast, &ask, &line, &err), VB_OK, "%s", err.text);
    cr_assert(line.failed == VB_OK && line.len > 5 && strcmp(line.persona, "villager") == 0, "%s", line.text);
    vb_cast_close(cast);
    cr_assert_eq(vb_cast_open_json(&cast, keeps, strlen(keeps), NULL, &err), VB_OK, "%s", err.text);
    vb_cast_close(cast);
    cr_assert_eq(vb_cast_open_json(&cast, "{\"model\": \"/nowhere\", \"personas\": [{\"name\": \"a\", \"prompt\": \"b\"}]}", 65, NULL, &err), VB_E_NOT_FOUND, "%s", err.text);
    cr_assert_null(cast);
}

/* What is recalled and remembered reaches the prompt: it has more tokens then, and other lines come of it. */
Test(json, with_a_past)
{
    static const char text[] =
        "{\"context\": 400, \"speakers\": 2, \"waiting\": 8, \"recall\": {\"model\": \"tales-1m\", \"texts\": [\"The fox sleeps in the mill.\",\n"
        "  {\"entity\": \"Anna\", \"tick\": 5, \"text\": \"Otto lost his hat in the river.\"}]},\n"
        " \"personas\": [{\"name\": \"a\", \"prompt\": \"${recalled}\\n${memory}\\nAnna was asked \\\"${text}\\\". She said, \\\"\", \"recall\": 2,\n"
        "  \"entry\": \"Anna said: ${line}\", \"memory_tokens\": 200, \"sampling\": {\"temperature\": 0.9, \"top_k\": 40}}]}";
    vb_cast *cast;
    vb_err err;
    vb_line line;
    int tokens[5];
    static const uint64_t ticks[5] = {0, 1, 5, 6, 7};
    cr_assert_eq(vb_cast_open_json(&cast, text, strlen(text), NULL, &err), VB_OK, "%s", err.text);
    for (int i = 0; i < 5; i++) {
        vb_line_request ask = {.key = {1, vb_entity_id("Anna", 4), ticks[i], 0}, .text = "Where is the hat?"};
        cr_assert_eq(vb_cast_say(cast, &ask, &line, &err), VB_OK, "%s", err.text);
        cr_assert_eq(line.failed, VB_OK, "%s", line.text);
        tokens[i] = line.prompt_tokens;
    }
    cr_assert(tokens[1] > tokens[0] + 6 + 4, "a line is remembered, a passage recalled: %d and %d", tokens[0], tokens[1]);
    cr_assert(tokens[2] > tokens[1] && tokens[3] > tokens[2] + 8 + 4 && tokens[4] > tokens[3], "a second passage: %d and %d", tokens[2], tokens[3]);
    vb_cast_close(cast);
}
