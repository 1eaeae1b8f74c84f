/* repair.c - any text to JSON's own form, piece by piece.
 *
 *   {name: 'Ann', "tags": ["a", "b",], ok: True   ->   {"name": "Ann", "tags": ["a", "b"], "ok": true}
 *
 * One pass from left to right: each value is read in whatever form it has and written as JSON. Only the form changes, never a
 * value: what breaks off inside a string is no value, and a name that the text ends behind is left out.
 */
#include "easy/easy.h"

#include <string.h>

enum { DEEPEST = 64 };

typedef struct {
    const char *text;
    size_t len, at;
    vb_easy_buf *out;
    int repairs, depth, no_memory;
    char open[DEEPEST]; /* the brackets that are */
    const char *why;    /* what was expected where it ends; NULL: nothing is wrong */
} rewriting;

static int value(rewriting *r);

static void put(rewriting *r, const char *text, size_t len)
{
    if (!vb_easy_put(r->out, text, len)) r->no_memory = 1;
}

static void print(rewriting *r, const char *text)
{
    put(r, text, strlen(text));
}

static int wrong(rewriting *r, const char *why)
{
    if (r->why == NULL) r->why = why;
    return 0;
}

static int at_end(const rewriting *r)
{
    return r->at >= r->len;
}

static int peek(const rewriting *r)
{
    return r->at < r->len ? (unsigned char)r->text[r->at] : -1;
}

static int stands(const rewriting *r, const char *text)
{
    size_t n = strlen(text);
    return r->len - r->at >= n && memcmp(r->text + r->at, text, n) == 0;
}

static int is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static int is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c >= 0x80;
}

/* One comment behind the cursor, if one stands there. */
static int comment(rewriting *r)
{
    int line = stands(r, "//") || stands(r, "#");
    if (!line && !stands(r, "/*")) return 0;
    for (r->at += line ? 1 : 2; !at_end(r); r->at++) {
        if (line && peek(r) == '\n') break;
        if (!line && stands(r, "*/")) {
            r->at += 2;
            break;
        }
    }
    r->repairs |= VB_EASY_COMMENTS;
    return 1;
}

static void blanks(rewriting *r)
{
    do {
        while (is_blank(peek(r))) r->at++;
    } while (comment(r));
}

/* --- strings ------------------------------------------------------------------------------------------------------ */

/* What ends a string that begins here, and how long its opening is; NULL: none begins. */
static const char *quote(const rewriting *r, size_t *len)
{
    static const struct {
        const char *open, *close;
    } pairs[] = {{"\"", "\""}, {"'", "'"}, {"\xe2\x80\x9c", "\xe2\x80\x9d"}, {"\xe2\x80\x98", "\xe2\x80\x99"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (!stands(r, pairs[i].open)) continue;
        *len = strlen(pairs[i].open);
        return pairs[i].close;
    }
    return NULL;
}

/* A single quotation mark is an apostrophe unless something stands behind it that may follow a string. */
static int closes(const rewriting *r, const char *close)
{
    rewriting behind = *r;
    if (!stands(r, close)) return 0;
    if (close[0] == '"' || strcmp(close, "\xe2\x80\x9d") == 0) return 1;
    behind.at += strlen(close);
    while (is_blank(peek(&behind))) behind.at++;
    int c = peek(&behind);
    return c == -1 || strchr(",]}:", c) != NULL;
}

static void escape(rewriting *r)
{
    int c = r->at + 1 < r->len ? (unsigned char)r->text[r->at + 1] : -1;
    if (c > 0 && strchr("\"\\/bfnrtu", c) != NULL) put(r, r->text + r->at, 2);
    else r->repairs |= VB_EASY_ESCAPES;
    if (c > 0 && strchr("\"\\/bfnrtu", c) != NULL) r->at += 2;
    else if (c == '\'') {
        print(r, "'");
        r->at += 2;
    } else {
        print(r, "\\\\"); /* a backslash that means itself */
        r->at += 1;
    }
}

static void control(rewriting *r, int c)
{
    static const char digits[] = "0123456789abcdef";
    char text[] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
    if (c == '\n' || c == '\t') print(r, c == '\n' ? "\\n" : "\\t");
    else put(r, text, sizeof text);
    r->repairs |= VB_EASY_ESCAPES;
    r->at++;
}

static int string(rewriting *r)
{
    size_t open;
    const char *close = quote(r, &open);
    if (close[0] != '"') r->repairs |= VB_EASY_QUOTES;
    r->at += open;
    print(r, "\"");
    while (!closes(r, close)) {
        int c = peek(r);
        if (c < 0) return wrong(r, "the end of a string, found the end of the text");
        if (c == '\\') escape(r);
        else if (c < 0x20) control(r, c);
        else if (c == '"') {
            print(r, "\\\"");
            r->at++;
        } else put(r, r->text + r->at++, 1);
    }
    r->at += strlen(close);
    print(r, "\"");
    return 1;
}

/* --- numbers and words -------------------------------------------------------------------------------------------- */

static int digits(rewriting *r)
{
    size_t begin = r->at;
    while (is_digit(peek(r))) r->at++;
    return r->at > begin;
}

static int number(rewriting *r)
{
    size_t begin = r->at;
    if (peek(r) == '-') r->at++;
    int zero = peek(r) == '0';
    size_t whole = r->at;
    if (!digits(r) || (zero && r->at - whole > 1)) return wrong(r, "a number as JSON writes it, found another");
    if (peek(r) == '.') {
        r->at++;
        if (!digits(r)) return wrong(r, "a number as JSON writes it, found another");
    }
    if (peek(r) == 'e' || peek(r) == 'E') {
        r->at++;
        if (peek(r) == '+' || peek(r) == '-') r->at++;
        if (!digits(r)) return wrong(r, "a number as JSON writes it, found another");
    }
    if (is_letter(peek(r)) || peek(r) == '.') return wrong(r, "a number as JSON writes it, found another");
    put(r, r->text + begin, r->at - begin);
    return 1;
}

static size_t name_length(const rewriting *r)
{
    size_t n = r->at;
    if (!is_letter(peek(r))) return 0;
    while (n < r->len && (is_letter((unsigned char)r->text[n]) || is_digit((unsigned char)r->text[n]) || r->text[n] == '-')) n++;
    return n - r->at;
}

static int word(rewriting *r)
{
    static const char *const words[][2] = {{"true", "true"}, {"false", "false"}, {"null", "null"}, {"True", "true"},
                                           {"False", "false"}, {"None", "null"}};
    size_t n = name_length(r);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i][0]) != n || memcmp(r->text + r->at, words[i][0], n) != 0) continue;
        if (i >= 3) r->repairs |= VB_EASY_WORDS;
        print(r, words[i][1]);
        r->at += n;
        return 1;
    }
    return wrong(r, at_end(r) ? "a value, found the end of the text" : "a value, found something else");
}

/* --- objects and arrays ------------------------------------------------------------------------------------------- */

/* Commas and blanks in front of a piece or the end; `n` pieces are already there. */
static void commas(rewriting *r, int n)
{
    int found = 0, c;
    for (blanks(r); peek(r) == ','; blanks(r)) {
        r->at++;
        found++;
    }
    c = peek(r);
    int last = c == '}' || c == ']' || c == -1;
    if (found != (n > 0 && !last)) r->repairs |= VB_EASY_COMMAS;
}

/* 1: the innermost bracket is closed here: by its own, or because one farther out is, or because the text ends. */
static int ends(rewriting *r)
{
    int own = r->open[r->depth - 1], c = peek(r);
    int closed = c == own;
    if (closed) r->at++;
    else if (c != -1 && (c != '}' && c != ']')) return 0;
    for (int i = 0; i < r->depth && !closed && c != -1; i++)
        if (r->open[i] == c) c = -1; /* left for that one */
    if (!closed && c != -1) return 0;
    if (!closed) r->repairs |= VB_EASY_CLOSED;
    print(r, own == '}' ? "}" : "]");
    r->depth--;
    return 1;
}

/* A name and the colon behind it; 0 with nothing wrong: the text ends before a value. */
static int name(rewriting *r)
{
    size_t open, n = name_length(r);
    if (quote(r, &open) != NULL) {
        if (!string(r)) return 0;
    } else if (n > 0) {
        print(r, "\"");
        put(r, r->text + r->at, n);
        print(r, "\"");
        r->repairs |= VB_EASY_QUOTES;
        r->at += n;
    } else return wrong(r, "a name, found something else");
    blanks(r);
    if (at_end(r)) return 0;
    if (peek(r) != ':') return wrong(r, "':' behind a name, found something else");
    r->at++;
    print(r, ": ");
    blanks(r);
    return !at_end(r);
}

static int pieces(rewriting *r, int is_object)
{
    for (int n = 0;; n++) {
        commas(r, n);
        if (ends(r)) return 1;
        if (r->no_memory) return 0;
        size_t before = r->out->len;
        if (n > 0) print(r, ", ");
        if (is_object && !name(r)) {
            if (r->why != NULL) return 0;
            r->out->len = before;
            r->repairs |= VB_EASY_CLOSED;
            return ends(r);
        }
        if (!value(r)) return 0;
    }
}

static int value(rewriting *r)
{
    size_t open;
    int c = peek(r);
    if (c == '{' || c == '[') {
        if (r->depth == DEEPEST) return wrong(r, "brackets at most 64 deep, found more");
        r->open[r->depth++] = c == '{' ? '}' : ']';
        put(r, r->text + r->at++, 1);
        return pieces(r, c == '{');
    }
    if (quote(r, &open) != NULL) return string(r);
    return c == '-' || is_digit(c) ? number(r) : word(r);
}

int vb_easy_rewrite(const char *text, size_t len, size_t *at, vb_easy_buf *out, int *repairs, size_t *budget, const char **why)
{
    size_t most = len - *at < *budget ? len : *at + *budget;
    rewriting r = {.text = text, .len = most, .at = *at, .out = out};
    int read = value(&r);
    *budget -= r.at - *at < *budget ? r.at - *at : *budget;
    *at = r.at;
    *repairs = r.repairs;
    *why = most < len && at_end(&r) ? "less text to look through, found too much" : r.why;
    if (r.no_memory) return VB_E_MEMORY;
    return read && *why == NULL;
}
