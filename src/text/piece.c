/* piece.c - tokens back to bytes.
 *
 * A token's bytes are: its text, if it is a control, unknown or user-defined one; else the bytes its characters stand
 * for. Whole texts get two more rules, each for the vocabularies that want it: the space that encoding put in front is
 * taken away again, and spaces that word splitters had put before punctuation are closed up.
 */
#include "text/tokenizer_parts.h"

#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

/* --- one token ------------------------------------------------------------------------------------------------ */

typedef struct {
    char *buf;
    size_t cap, n;
} sink;

static void put(sink *s, const char *bytes, size_t len)
{
    size_t room = s->n < s->cap ? s->cap - s->n : 0;
    if (room > 0) memcpy(s->buf + s->n, bytes, len < room ? len : room);
    s->n += len;
}

static void put_hex(sink *s, const char *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        put(s, &digits[(uint8_t)bytes[i] >> 4], 1);
        put(s, &digits[(uint8_t)bytes[i] & 15], 1);
    }
}

/* A character that stands for no byte is reported in the text, as other programs do. */
static void put_characters(sink *s, const vb_piece *p)
{
    static const char unknown[] = "[UNK_BYTE_0x";
    for (size_t at = 0; at < p->len;) {
        uint32_t c;
        char utf8[4];
        at += vb_utf8_read(p->text + at, p->len - at, &c);
        int byte = vb_bpe_byte(c);
        char raw = (char)byte;
        if (byte >= 0) {
            put(s, &raw, 1);
            continue;
        }
        put(s, unknown, sizeof unknown - 1);
        put_hex(s, utf8, vb_utf8_write(utf8, c));
        put(s, p->text, p->len);
        put(s, "]", 1);
    }
}

static void put_signs(sink *s, const vb_piece *p)
{
    for (size_t at = 0; at < p->len;) {
        int space = p->len - at >= VB_SPM_SPACE_LEN && memcmp(p->text + at, VB_SPM_SPACE, VB_SPM_SPACE_LEN) == 0;
        put(s, space ? " " : p->text + at, 1);
        at += space ? VB_SPM_SPACE_LEN : 1;
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `<0x41>`: the two digits behind the third character. */
static void put_byte(sink *s, const vb_piece *p)
{
    int value = 0;
    for (size_t i = 3; i < 5 && i < p->len && hex_digit(p->text[i]) >= 0; i++)
        value = 16 * value + hex_digit(p->text[i]);
    char byte = (char)value;
    put(s, &byte, 1);
}

size_t vb_tokenizer_put_piece(const vb_tokenizer *t, vb_token id, char *buf, size_t cap)
{
    sink s = {buf, cap, 0};
    const vb_piece *p = &t->vocab.pieces[id];
    uint16_t is = t->is[id];
    if (is & (VB_IS_CONTROL | VB_IS_UNKNOWN | VB_IS_USER_DEFINED))
        put(&s, p->text, p->len);
    else if (is & VB_IS_NORMAL && t->model == VB_TOKENIZER_BPE && !t->bpe.signs)
        put_characters(&s, p);
    else if (is & VB_IS_NORMAL)
        put_signs(&s, p);
    else if (is & VB_IS_BYTE)
        put_byte(&s, p);
    return s.n;
}

int64_t vb_tokenizer_piece(const vb_tokenizer *t, vb_token id, char *buf, size_t cap)
{
    if (id < 0 || (size_t)id >= t->n_tokens) return VB_E_ARGUMENT;
    return (int64_t)vb_tokenizer_put_piece(t, id, buf, buf == NULL ? 0 : cap);
}

/* --- closing up spaces ------------------------------------------------------------------------------------------ */

/* "a ?" -> "a?" for ? ! . , */
static size_t close_punctuation(char *s, size_t n)
{
    size_t kept = n > 0;
    for (size_t i = 1; i < n; i++) {
        char c = s[i];
        if (s[i - 1] == ' ' && (c == '?' || c == '!' || c == '.' || c == ',')) kept--;
        s[kept++] = c;
    }
    return kept;
}

/* "a ' b" -> "a'b"; the space behind no longer counts as one for what follows it */
static size_t close_apostrophe(char *s, size_t n)
{
    size_t kept = n > 0;
    for (size_t i = 1; i < n; i++) {
        char c = s[i];
        if (c == '\'' && i + 1 < n && s[i - 1] == ' ' && s[i + 1] == ' ') {
            kept--;
            s[++i] = 0;
        }
        s[kept++] = c;
    }
    return kept;
}

/* "it 's" -> "it's"; likewise 'm 're 've, but not 't 'd 'll */
static size_t close_contraction(char *s, size_t n)
{
    size_t kept = n > 0;
    for (size_t i = 1; i < n; i++) {
        char c = s[i], a = i + 1 < n ? s[i + 1] : 0, b = i + 2 < n ? s[i + 2] : 0;
        if (s[i - 1] == ' ' && c == '\'' && (a == 's' || a == 'm' || ((a == 'r' || a == 'v') && b == 'e'))) kept--;
        s[kept++] = c;
    }
    return kept;
}

/* --- whole texts -------------------------------------------------------------------------------------------------- */

static int is_hidden(const vb_tokenizer *t, vb_token id, int special)
{
    return !special && (t->is[id] & (VB_IS_CONTROL | VB_IS_UNKNOWN));
}

/* The pieces one after the other; stores at most `cap` bytes. */
static size_t put_all(const vb_tokenizer *t, const vb_token *ids, size_t n, int special, char *buf, size_t cap)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        size_t used = len < cap ? len : cap;
        if (is_hidden(t, ids[i], special)) continue;
        len += vb_tokenizer_put_piece(t, ids[i], cap > 0 ? buf + used : NULL, cap - used);
    }
    return len;
}

static size_t close_spaces(char *text, size_t len)
{
    len = close_punctuation(text, len);
    len = close_apostrophe(text, len);
    return close_contraction(text, len);
}

int64_t vb_tokenizer_decode(const vb_tokenizer *t, const vb_token *ids, size_t n, int special, char *buf, size_t cap,
                            vb_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= t->n_tokens)
            VB_FAIL(err, VB_E_ARGUMENT, "token %zu: expected an id below %zu, found %d", i, t->n_tokens, ids[i]);
    size_t len = put_all(t, ids, n, special, NULL, 0), skip = 0;
    if (len == 0) return 0;
    char *text = malloc(len);
    if (text == NULL) VB_FAIL(err, VB_E_MEMORY, "text: no memory for %zu bytes", len);
    put_all(t, ids, n, special, text, len);
    if (t->space_prefix && text[0] == ' ' && put_all(t, ids, 1, special, NULL, 0) > 0) skip = 1;
    len -= skip;
    if (t->clean_spaces) len = close_spaces(text + skip, len);
    if (buf != NULL) memcpy(buf, text + skip, len < cap ? len : cap);
    free(text);
    return (int64_t)len;
}
