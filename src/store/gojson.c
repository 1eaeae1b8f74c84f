/* gojson.c - Go's way to write JSON: no blanks, < > & escaped, numbers in their shortest digits. */
#include "store/gojson.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_char(FILE *to, const unsigned char **at)
{
    static const char plain[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    const unsigned char *c = *at;
    const char *p = plain;
    while (*p != '\0' && (unsigned char)*p != *c) p += 2;
    if (*p != '\0') fprintf(to, "\\%c", p[1]);
    else if (*c < 0x20 || *c == '<' || *c == '>' || *c == '&') fprintf(to, "\\u%04x", *c);
    else if (c[0] == 0xe2 && c[1] == 0x80 && (c[2] & 0xfe) == 0xa8) {
        fprintf(to, "\\u202%x", c[2] & 0xf);
        *at += 2;
    } else putc(*c, to);
    (*at)++;
}

static void put_string(FILE *to, const char *text, size_t len)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + len;
    putc('"', to);
    while (at < end) put_char(to, &at);
    putc('"', to);
}

/* The shortest digits that give the same number, with an exponent only where Go has one. */
static void put_real(FILE *to, double value)
{
    char digits[32], *e;
    int n = 1, plain = fabs(value) >= 1e-6 && fabs(value) < 1e21;
    while (n < 17 && snprintf(digits, sizeof digits, "%.*e", n - 1, value) > 0 && strtod(digits, NULL) != value) n++;
    snprintf(digits, sizeof digits, "%.*e", n - 1, value);
    if (value == 0) putc('0', to);
    else if (plain) {
        int after = n - 1 - atoi(strchr(digits, 'e') + 1);
        fprintf(to, "%.*f", after > 0 ? after : 0, value);
    } else {
        e = strchr(digits, 'e');
        fprintf(to, "%.*se%c%d", (int)(e - digits), digits, e[1], abs(atoi(e + 1)));
    }
}

static void put(FILE *to, json_t *v);

static void put_object(FILE *to, json_t *v)
{
    const char *key;
    json_t *one;
    int n = 0;
    putc('{', to);
    json_object_foreach(v, key, one) {
        if (n++ > 0) putc(',', to);
        put_string(to, key, strlen(key));
        putc(':', to);
        put(to, one);
    }
    putc('}', to);
}

static void put(FILE *to, json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: put_object(to, v); break;
    case JSON_STRING: put_string(to, json_string_value(v), json_string_length(v)); break;
    case JSON_INTEGER: fprintf(to, "%" JSON_INTEGER_FORMAT, json_integer_value(v)); break;
    case JSON_REAL: put_real(to, json_real_value(v)); break;
    case JSON_TRUE: fputs("true", to); break;
    case JSON_FALSE: fputs("false", to); break;
    case JSON_NULL: fputs("null", to); break;
    case JSON_ARRAY:
        putc('[', to);
        for (size_t i = 0; i < json_array_size(v); i++) {
            if (i > 0) putc(',', to);
            put(to, json_array_get(v, i));
        }
        putc(']', to);
        break;
    }
}

char *vb_gojson(json_t *value, size_t *len)
{
    char *text = NULL;
    FILE *to = value != NULL ? open_memstream(&text, len) : NULL;
    if (to == NULL) return NULL;
    put(to, value);
    putc('\n', to);
    int failed = ferror(to);
    if (fclose(to) == 0 && !failed) return text;
    free(text);
    return NULL;
}

json_t *vb_gojson_sorted(json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_SORT_KEYS | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY) : NULL;
    json_t *sorted = text != NULL ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    free(text);
    json_decref(value);
    return sorted;
}
