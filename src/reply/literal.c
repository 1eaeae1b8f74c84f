/* literal.c - see literal.h. Whatever is not well formed is no value at all. */
#include "reply/literal.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_MOST = 64 };

void vb_cursor_blanks(vb_cursor *c)
{
    while (c->at < c->end && strchr(" \t\r\n", *c->at) != NULL && *c->at != '\0') c->at++;
}

int vb_cursor_skip(vb_cursor *c, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, text, n) != 0) return 0;
    c->at += n;
    return 1;
}

size_t vb_cursor_name(vb_cursor *c, const char **name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    *name = c->at;
    while (c->at < c->end && memchr(letters, *c->at, sizeof letters - 1) != NULL) c->at++;
    return (size_t)(c->at - *name);
}

/* What a backslash and this letter stand for; others stand for themselves. */
static char meant(char c)
{
    static const char named[] = "nrtbf", chars[] = "\n\r\t\b\f";
    const char *found = c != '\0' ? strchr(named, c) : NULL;
    return found != NULL ? chars[found - named] : c;
}

/* A text up to `quote`; JSON's own reader takes those in double quotes. */
static json_t *quoted(vb_cursor *c, const char *quote)
{
    size_t n = 0, long_quote = strlen(quote) > 1;
    char *text = malloc((size_t)(c->end - c->at) + 1);
    int closed = 0;
    while (text != NULL && c->at < c->end && !(closed = vb_cursor_skip(c, quote))) {
        if (!long_quote && *c->at == '\\' && c->at + 1 < c->end) {
            text[n++] = meant(c->at[1]);
            c->at += 2;
        } else {
            text[n++] = *c->at++;
        }
    }
    json_t *value = closed ? json_stringn(text, n) : NULL;
    free(text);
    return value;
}

static json_t *json_value(vb_cursor *c)
{
    json_error_t end;
    json_t *value = json_loadb(c->at, (size_t)(c->end - c->at), JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &end);
    if (value != NULL) c->at += end.position;
    return value;
}

static json_t *word(vb_cursor *c)
{
    static const struct {
        const char *text;
        int value; /* 0 false, 1 true, 2 null */
    } words[] = {{"True", 1}, {"true", 1}, {"False", 0}, {"false", 0}, {"None", 2}, {"none", 2}, {"null", 2}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (vb_cursor_skip(c, words[i].text)) return words[i].value == 2 ? json_null() : json_boolean(words[i].value);
    return NULL;
}

static int add_member(vb_cursor *c, json_t *object, int depth)
{
    char key[256];
    const char *name;
    json_t *quoted_key = NULL;
    if (c->at < c->end && (*c->at == '"' || *c->at == '\'' || *c->at == '<')) quoted_key = vb_literal_read(c, depth);
    size_t n = quoted_key == NULL ? vb_cursor_name(c, &name) : 0;
    int named = json_is_string(quoted_key) || (n > 0 && n < sizeof key);
    if (named) snprintf(key, sizeof key, "%.*s", n > 0 ? (int)n : 255, n > 0 ? name : json_string_value(quoted_key));
    json_decref(quoted_key);
    vb_cursor_blanks(c);
    if (!named || !(vb_cursor_skip(c, ":") || vb_cursor_skip(c, "="))) return 0;
    json_t *value = vb_literal_read(c, depth);
    return value != NULL && json_object_set_new(object, key, value) == 0;
}

static json_t *group(vb_cursor *c, const char *close, int depth)
{
    int object = close[0] != ']', good = 1;
    json_t *out = object ? json_object() : json_array(), *value;
    for (vb_cursor_blanks(c); good && !vb_cursor_skip(c, close); vb_cursor_blanks(c)) {
        if (object) good = add_member(c, out, depth + 1);
        else good = (value = vb_literal_read(c, depth + 1)) != NULL && json_array_append_new(out, value) == 0;
        vb_cursor_blanks(c);
        good = good && (vb_cursor_skip(c, ",") || (c->at < c->end && *c->at == close[0]));
    }
    if (good) return out;
    json_decref(out);
    return NULL;
}

json_t *vb_literal_read(vb_cursor *c, int depth)
{
    vb_cursor_blanks(c);
    if (c->at >= c->end || depth > DEPTH_MOST) return NULL;
    json_t *value = json_value(c);
    if (value != NULL) return value;
    if (vb_cursor_skip(c, "<|\"|>")) return quoted(c, "<|\"|>");
    if (vb_cursor_skip(c, "'")) return quoted(c, "'");
    if (vb_cursor_skip(c, "[")) return group(c, "]", depth);
    if (vb_cursor_skip(c, "{")) return group(c, "}", depth);
    if (vb_cursor_skip(c, "(")) return group(c, ")", depth);
    return word(c);
}
