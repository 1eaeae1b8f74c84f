/* chat_golden.c - renders every recorded chat case and compares it with what Hugging Face's renderer made of it.
 *
 *   chat_golden [DIR]      DIR/NAME.json.gz: {template, special_tokens, strftime_now, cases: [...]}, DIR/templates/
 *
 * A case whose `expected` is null failed there and has to fail here. Spans are checked on the way: they have to cover
 * the text without gaps.
 */
#include "base/os.h"
#include "tests/gz.h"
#include "tests/tally.h"
#include "text/jinja.h"

#include <dirent.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static int spans_fit(const vb_jinja_text *text)
{
    size_t at = 0;
    for (size_t i = 0; i < text->n_spans; i++) {
        if (text->spans[i].offset != at || text->spans[i].len == 0) return 0;
        if (i > 0 && text->spans[i].data == text->spans[i - 1].data) return 0;
        at += text->spans[i].len;
    }
    return at == text->len;
}

/* One object as vb_jinja_render takes it: the case, and what the whole file shares. */
static char *make_input(json_t *file, json_t *one)
{
    json_t *input = json_copy(one);
    json_object_set(input, "special_tokens", json_object_get(file, "special_tokens"));
    json_object_set(input, "strftime_now", json_object_get(file, "strftime_now"));
    char *text = json_dumps(input, JSON_PRESERVE_ORDER | JSON_COMPACT);
    json_decref(input);
    return text;
}

static void differs(const char *path, json_t *one, const char *expected, const char *found)
{
    int prompt = json_is_true(json_object_get(one, "add_generation_prompt"));
    size_t at = 0;
    while (expected[at] && expected[at] == found[at]) at++;
    size_t from = at > 40 ? at - 40 : 0;
    failed("%s: %s (add_generation_prompt %d): differs at byte %zu\n  expected ...%.90s\n  found    ...%.90s", path,
           json_string_value(json_object_get(one, "name")), prompt, at, expected + from, found + from);
}

static void check_case(const char *path, const char *tmpl, size_t tmpl_len, json_t *file, json_t *one)
{
    vb_err err = {0};
    vb_jinja_text text;
    json_t *expected = json_object_get(one, "expected");
    char *input = make_input(file, one);
    vb_jinja_job job = {.tmpl = tmpl, .tmpl_len = tmpl_len, .input = input, .input_len = strlen(input)};
    vb_status status = vb_jinja_render(&job, &text, &err);
    int ok = 0;
    if (json_is_null(expected))
        ok = status != VB_OK && err.text[0] != 0;
    else if (status == VB_OK)
        ok = text.len == json_string_length(expected) && spans_fit(&text) &&
             memcmp(text.text, json_string_value(expected), text.len) == 0;
    if (ok)
        passed();
    else
        differs(path, one, json_string_value(json_is_null(expected) ? json_object_get(one, "error") : expected),
                status == VB_OK ? text.text : err.text);
    vb_jinja_text_free(&text);
    free(input);
}

static void check_file(const char *dir, const char *name)
{
    char path[600], tmpl_path[900], *tmpl = NULL;
    size_t tmpl_len, i;
    vb_err err = {0};
    json_error_t json_err;
    json_t *one;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    json_t *file = gz_read_json(path, &json_err);
    const char *tmpl_name = json_string_value(json_object_get(file, "template"));
    snprintf(tmpl_path, sizeof tmpl_path, "%s/templates/%s", dir, tmpl_name != NULL ? tmpl_name : "");
    if (file == NULL || vb_file_read(tmpl_path, VB_JINJA_MAX_TEMPLATE, &tmpl, &tmpl_len, &err) != VB_OK) {
        failed("%s: %s", path, file == NULL ? json_err.text : err.text);
        json_decref(file);
        return;
    }
    json_array_foreach(json_object_get(file, "cases"), i, one)
    {
        check_case(path, tmpl, tmpl_len, file, one);
    }
    free(tmpl);
    json_decref(file);
}

static int is_json(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 8 && strcmp(entry->d_name + n - 8, ".json.gz") == 0;
}

int main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : "tests/golden/chat";
    struct dirent **names = NULL;
    int n = scandir(dir, &names, is_json, alphasort);
    for (int i = 0; i < n; i++) {
        check_file(dir, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return verdict();
}
