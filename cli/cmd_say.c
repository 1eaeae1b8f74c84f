/* cmd_say.c - `verbatim say`: one line of one character. It is a function of the cast, the key (--seed, --entity, --tick,
 * --draw), the persona, the facts and the text: said again, here or elsewhere, it is the same.
 */
#include "commands.h"
#include "input.h"
#include "lines.h"
#include "out.h"
#include "script.h"

#include <stdlib.h>
#include <string.h>

/* What is on the command line beside options: [CAST.json] [TEXT]. One word alone is a cast if it is called so. */
static int read_words(const vb_args *args, const char **cast, const char **text)
{
    int n = args->n_rest;
    const char *dot = n == 1 ? strrchr(args->rest[0], '.') : NULL;
    int is_cast = args->cast == NULL && (n == 2 || (dot != NULL && strcmp(dot, ".json") == 0));
    if (n - is_cast > 1) return vb_wrong("say", "expected one TEXT, found %d (a text with spaces needs quotes)", n);
    *cast = is_cast ? args->rest[0] : args->cast;
    *text = n > is_cast ? args->rest[is_cast] : NULL;
    return 0;
}

/* NAME=VALUE, cut in two; the names are copies, to be freed. */
static int read_facts(const vb_args *args, vb_fact *facts)
{
    for (int i = 0; i < args->facts.n; i++) {
        const char *text = args->facts.text[i], *sign = strchr(text, '=');
        if (sign == NULL || sign == text) return vb_wrong("say", "--fact: expected NAME=VALUE, found '%s'", text);
        facts[i] = (vb_fact){strndup(text, (size_t)(sign - text)), sign + 1};
        if (facts[i].name == NULL) return vb_no_memory();
    }
    return 0;
}

static int print(const vb_args *args, const vb_line *line, const char *name)
{
    if (!args->json) {
        fwrite(line->text, 1, line->len, stdout);
        putchar('\n');
        return 0;
    }
    vb_err err = {0};
    vb_digest *digest;
    uint8_t sum[16];
    vb_status status = vb_digest_open(&digest, &err);
    if (status < 0) return vb_report(status, &err);
    vb_lines_digest(digest, line);
    vb_digest_get(digest, sum);
    vb_digest_close(digest);
    json_t *value = vb_lines_json(line, name);
    json_object_set_new(value, "digest", vb_json_hex(sum, sizeof sum));
    return vb_print_json(value);
}

static int speak(const vb_args *args, const char *path, const vb_line_request *ask, const char *name)
{
    vb_err err = {0};
    vb_line line = {0};
    vb_cast *cast;
    int code = vb_lines_open(&cast, args, path, 0);
    if (code != 0) return code;
    vb_status status = vb_cast_say(cast, ask, &line, &err);
    code = status < 0 ? vb_report(status, &err) : print(args, &line, name);
    vb_cast_close(cast);
    return code;
}

int vb_cmd_say(const vb_args *args)
{
    const char *path = NULL, *text = NULL, *name = NULL;
    vb_fact facts[VB_TEXTS_MAX] = {{0}};
    vb_line_request ask = {.key = {.world = args->sampling.seed, .tick = args->tick, .draw = args->draw}, .persona = args->persona};
    vb_buffer read = {0};
    if (args->entity != NULL && !vb_entity_of(args->entity, &ask.key.entity, &name))
        return vb_wrong("say", "--entity: expected a number below 2^64 or a name, found '%s'", args->entity);
    int code = read_words(args, &path, &text);
    if (code == 0) code = read_facts(args, facts);
    if (code == 0 && text != NULL && strcmp(text, "-") == 0) {
        code = vb_read_all(text, &read);
        if (code == 0 && read.len > 0 && read.data[read.len - 1] == '\n') read.data[--read.len] = '\0';
        text = read.data;
    }
    ask.text = text;
    ask.facts = facts;
    ask.n_facts = args->facts.n;
    if (code == 0) code = speak(args, path, &ask, name);
    for (int i = 0; i < args->facts.n; i++) free((void *)(uintptr_t)facts[i].name);
    free(read.data);
    return code;
}
