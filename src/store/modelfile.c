/* modelfile.c - FROM, PARAMETER, TEMPLATE, SYSTEM, LICENSE, MESSAGE: commands and their values.
 *
 *   # a comment
 *   FROM name, or a path            COMMAND value to the end of the line
 *   SYSTEM """the value             "..." and """...""" end where a line ends with the same quotes,
 *   may have lines"""               and may hold quotes between
 *   PARAMETER stop "<|im_end|>"     COMMAND word value
 */
#include "store/modelfile.h"

#include "base/err.h"
#include "base/log.h"
#include "store/params.h"


#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *at, *end, *name;
    int line;
    json_t *out;
} reader;

typedef struct {
    char command[16], word[64]; /* word: of PARAMETER and MESSAGE */
    char *value;                /* to be freed */
} line;

/* --- words and values ------------------------------------------------------------------------------------ */

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static vb_status wrong(const reader *r, vb_err *err, const char *what, const char *found)
{
    VB_FAIL(err, VB_E_FORMAT, "%.300s:%d: expected %s, found '%.60s'", r->name, r->line, what, found);
}

/* To the next command; 0: there is none. */
static int skip(reader *r)
{
    while (r->at < r->end && (isspace((unsigned char)*r->at) || *r->at == '#')) {
        if (*r->at == '#')
            while (r->at < r->end && *r->at != '\n') r->at++;
        else r->line += *r->at++ == '\n';
    }
    return r->at < r->end;
}

static void skip_blanks(reader *r)
{
    while (r->at < r->end && is_blank(*r->at)) r->at++;
}

/* A word of letters (and digits and _ if `more`) and the blanks behind it. */
static vb_status take_word(reader *r, char *word, size_t cap, int more, vb_err *err)
{
    size_t n = 0;
    const char *from = r->at;
    while (from + n < r->end && (isalpha((unsigned char)from[n]) || (more && (isdigit((unsigned char)from[n]) || from[n] == '_'))))
        n++;
    char found[64];
    snprintf(found, sizeof found, "%.*s", (int)(r->end - from < 63 ? r->end - from : 63), from);
    found[strcspn(found, "\r\n")] = '\0';
    if (n == 0 || n >= cap) return wrong(r, err, "a word", found);
    memcpy(word, from, n);
    word[n] = '\0';
    r->at += n;
    if (r->at < r->end && !is_blank(*r->at)) return wrong(r, err, "a blank behind a word", found);
    skip_blanks(r);
    return VB_OK;
}

/* Is [from, to), which may begin with quotes, a value? Then without them. */
static int unquote(const char **from, const char **to)
{
    while (*to > *from && isspace((unsigned char)(*to)[-1])) (*to)--;
    size_t len = (size_t)(*to - *from), quotes = len >= 3 && memcmp(*from, "\"\"\"", 3) == 0 ? 3 : len >= 1 && **from == '"';
    if (quotes == 0) return 1;
    if (len < 2 * quotes || memcmp(*to - quotes, "\"\"\"", quotes) != 0) return 0;
    *from += quotes;
    *to -= quotes;
    return 1;
}

/* The value from here to the first end of a line where it is whole. */
static vb_status take_value(reader *r, char **value, vb_err *err)
{
    const char *begin = r->at;
    int first = r->line;
    while (1) {
        const char *stop = memchr(r->at, '\n', (size_t)(r->end - r->at)), *from = begin;
        const char *to = stop != NULL ? stop : r->end;
        r->at = to;
        if (unquote(&from, &to)) {
            *value = strndup(from, (size_t)(to - from));
            if (*value == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", r->name);
            return VB_OK;
        }
        if (stop == NULL) {
            r->line = first;
            return wrong(r, err, "quotes at the end of a value that begins with them", "the end of the file");
        }
        r->at++;
        r->line++;
    }
}

static vb_status take_line(reader *r, line *l, vb_err *err)
{
    static const char *const commands[] = {"from", "parameter", "template", "system", "license", "message", "adapter",
                                           "renderer", "parser", "requires", "draft"};
    size_t i = 0, n = sizeof commands / sizeof commands[0];
    memset(l, 0, sizeof *l);
    VB_TRY(take_word(r, l->command, sizeof l->command, 0, err));
    for (char *c = l->command; *c != '\0'; c++) *c = (char)tolower((unsigned char)*c);
    while (i < n && strcmp(l->command, commands[i]) != 0) i++;
    if (i == n)
        return wrong(r, err, "FROM, PARAMETER, TEMPLATE, SYSTEM, LICENSE, MESSAGE, RENDERER, PARSER or REQUIRES", l->command);
    if (strcmp(l->command, "parameter") == 0) VB_TRY(take_word(r, l->word, sizeof l->word, 1, err));
    if (strcmp(l->command, "message") == 0) VB_TRY(take_word(r, l->word, sizeof l->word, 0, err));
    return take_value(r, &l->value, err);
}

/* --- what they mean -------------------------------------------------------------------------------------- */

/* The list or object `key` of the recipe, made when first needed. */
static json_t *part(json_t *out, const char *key, json_t *fresh)
{
    if (json_object_get(out, key) == NULL) json_object_set(out, key, fresh);
    json_decref(fresh);
    return json_object_get(out, key);
}

static vb_status add_parameter(reader *r, const line *l, vb_err *err)
{
    json_t *value, *all = part(r->out, "parameters", json_object());
    vb_err why = {0};
    if (vb_param_is_old(l->word)) {
        vb_log(VB_LOG_WARNING, "%s:%d: parameter %s is of former times and left out", r->name, r->line, l->word);
        return VB_OK;
    }
    if (vb_param_read(&value, l->word, l->value, &why) != VB_OK)
        VB_FAIL(err, VB_E_FORMAT, "%.300s:%d: %.150s", r->name, r->line, why.text);
    json_t *before = json_object_get(all, l->word);
    if (json_is_array(before) && json_is_array(value)) {
        json_array_extend(before, value);
        json_decref(value);
    } else json_object_set_new(all, l->word, value);
    return VB_OK;
}

static vb_status add_message(reader *r, const line *l, vb_err *err)
{
    if (strcmp(l->word, "system") != 0 && strcmp(l->word, "user") != 0 && strcmp(l->word, "assistant") != 0)
        return wrong(r, err, "system, user or assistant", l->word);
    json_array_append_new(part(r->out, "messages", json_array()),
                          json_pack("{s:s, s:s}", "role", l->word, "content", l->value));
    return VB_OK;
}

static vb_status add(reader *r, const line *l, vb_err *err)
{
    json_t *value = json_string(l->value);
    if (value == NULL) return wrong(r, err, "UTF-8", "other bytes");
    vb_status s = VB_OK;
    if (strcmp(l->command, "parameter") == 0) s = add_parameter(r, l, err);
    else if (strcmp(l->command, "message") == 0) s = add_message(r, l, err);
    else if (strcmp(l->command, "license") == 0) json_array_append(part(r->out, "license", json_array()), value);
    else if (strcmp(l->command, "adapter") == 0 || strcmp(l->command, "draft") == 0)
        s = vb_fail(err, VB_E_UNSUPPORTED, "%.300s:%d: %s is not supported", r->name, r->line, l->command);
    else if (strcmp(l->command, "from") == 0 && json_object_get(r->out, "from") != NULL)
        s = vb_fail(err, VB_E_UNSUPPORTED, "%.300s:%d: expected one FROM, found another", r->name, r->line);
    else json_object_set(r->out, l->command, value);
    json_decref(value);
    return s;
}

static vb_status read_lines(reader *r, vb_err *err)
{
    line l;
    while (skip(r)) {
        vb_status s = take_line(r, &l, err);
        if (s == VB_OK) s = add(r, &l, err);
        free(l.value);
        VB_TRY(s);
    }
    if (json_object_get(r->out, "from") == NULL) VB_FAIL(err, VB_E_FORMAT, "%.300s: expected a line FROM, found none", r->name);
    return VB_OK;
}

vb_status vb_modelfile_parse(json_t **out, const char *text, size_t len, const char *name, vb_err *err)
{
    static const char mark[] = "\xef\xbb\xbf";
    reader r = {.at = text, .end = text + len, .name = name, .line = 1};
    *out = NULL;
    if (len >= 3 && memcmp(text, mark, 3) == 0) r.at += 3;
    if (memchr(text, '\0', len) != NULL) VB_FAIL(err, VB_E_FORMAT, "%.300s: expected text, found a zero byte", name);
    r.out = json_object();
    if (r.out == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", name);
    vb_status s = read_lines(&r, err);
    if (s == VB_OK) *out = r.out;
    else json_decref(r.out);
    return s;
}

void vb_recipe_of(vb_recipe *out, const char *name, json_t *said)
{
    *out = (vb_recipe){
        .name = name,
        .from = json_string_value(json_object_get(said, "from")),
        .files = json_object_get(said, "files"),
        .template_ = json_string_value(json_object_get(said, "template")),
        .system = json_string_value(json_object_get(said, "system")),
        .renderer = json_string_value(json_object_get(said, "renderer")),
        .parser = json_string_value(json_object_get(said, "parser")),
        .requires = json_string_value(json_object_get(said, "requires")),
        .license = json_object_get(said, "license"),
        .parameters = json_object_get(said, "parameters"),
        .messages = json_object_get(said, "messages"),
    };
}
