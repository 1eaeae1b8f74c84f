/* input.c - see input.h. Every input has a limit, so that a wrong file is an error and not a swamped machine. */
#include "input.h"

#include "out.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

int vb_buffer_add(vb_buffer *buffer, const char *data, size_t len)
{
    if (buffer->data == NULL || buffer->cap - buffer->len <= len) {
        size_t cap = 2 * (buffer->len + len) + 64;
        char *grown = realloc(buffer->data, cap);
        if (grown == NULL) return vb_no_memory();
        buffer->data = grown;
        buffer->cap = cap;
    }
    if (len > 0) memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
    buffer->data[buffer->len] = '\0';
    return 0;
}

static int unreadable(const char *path)
{
    int code = errno == ENOENT || errno == ENOTDIR ? VB_EXIT_INPUT : VB_EXIT_IO;
    vb_say("%s: cannot read: %s", path, strerror(errno));
    return code;
}

static int read_stream(FILE *from, const char *path, vb_buffer *out)
{
    char chunk[8192];
    size_t got;
    int code = vb_buffer_add(out, "", 0);
    errno = 0;
    while (code == 0 && (got = fread(chunk, 1, sizeof chunk, from)) > 0) {
        if (out->len + got > VB_INPUT_MAX) {
            vb_say("%s: expected at most %d bytes, found more", path, VB_INPUT_MAX);
            return VB_EXIT_INPUT;
        }
        code = vb_buffer_add(out, chunk, got);
    }
    return code == 0 && ferror(from) ? unreadable(path) : code;
}

int vb_read_all(const char *path, vb_buffer *out)
{
    if (strcmp(path, "-") == 0) return read_stream(stdin, "standard input", out);
    FILE *from = fopen(path, "rb");
    if (from == NULL) return unreadable(path);
    int code = read_stream(from, path, out);
    fclose(from);
    return code;
}

int vb_read_text(const char *what, const char *word, vb_buffer *out)
{
    int code = strcmp(word, "-") == 0 ? vb_read_all("-", out) : vb_buffer_add(out, word, strlen(word));
    if (code == 0 && strcmp(word, "-") == 0 && out->len > 0 && out->data[out->len - 1] == '\n') out->data[--out->len] = '\0';
    if (code == 0 && memchr(out->data, '\0', out->len) != NULL) return vb_wrong(what, "expected text, found a NUL byte");
    return code;
}

static int add_id(vb_ids *list, vb_token id)
{
    if (list->n == list->cap) {
        size_t cap = 2 * list->cap + 64;
        vb_token *grown = realloc(list->ids, cap * sizeof *grown);
        if (grown == NULL) return vb_no_memory();
        list->ids = grown;
        list->cap = cap;
    }
    list->ids[list->n++] = id;
    return 0;
}

int vb_parse_ids(const char *what, const char *text, vb_ids *out)
{
    for (;;) {
        text += strspn(text, " \t\r\n,[]");
        if (*text == '\0') return 0;
        char *end;
        errno = 0;
        long long id = strtoll(text, &end, 10);
        if (end == text || errno != 0 || id < 0 || id > INT32_MAX || strchr(" \t\r\n,[]", *end) == NULL)
            return vb_wrong(what, "expected token ids from 0 separated by commas, found '%.20s'", text);
        int code = add_id(out, (vb_token)id);
        if (code != 0) return code;
        text = end;
    }
}

static int array_to_ids(const char *path, const json_t *array, vb_ids *out)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *value = json_array_get(array, i);
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value) || id < 0 || id > INT32_MAX) {
            vb_say("%s: element %zu: expected a token id, found %s", path, i,
                   json_is_integer(value) ? "a number out of range" : "something else");
            return VB_EXIT_INPUT;
        }
        int code = add_id(out, (vb_token)id);
        if (code != 0) return code;
    }
    return 0;
}

int vb_read_json_ids(const char *path, vb_ids *out)
{
    vb_buffer text = {0};
    json_t *array = NULL;
    int code = vb_read_all(path, &text);
    if (code == 0) {
        json_error_t where;
        array = json_loadb(text.data, text.len, 0, &where);
        if (!json_is_array(array)) {
            vb_say("%s: expected a JSON array of token ids, found %s", path, array ? "another JSON value" : where.text);
            code = VB_EXIT_INPUT;
        } else code = array_to_ids(path, array, out);
    }
    json_decref(array);
    free(text.data);
    return code;
}

static int digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

int vb_unhex_text(const char *what, vb_buffer *text)
{
    while (text->len > 0 && isspace((unsigned char)text->data[text->len - 1])) text->len--;
    if (text->len % 2 != 0) return vb_wrong(what, "--hex: expected two digits a byte, found %zu digits", text->len);
    for (size_t i = 0; i < text->len / 2; i++) {
        int high = digit(text->data[2 * i]), low = digit(text->data[2 * i + 1]);
        if (high < 0 || low < 0)
            return vb_wrong(what, "--hex: expected hexadecimal digits, found '%.2s'", text->data + 2 * i);
        text->data[i] = (char)(high << 4 | low);
    }
    text->len /= 2;
    text->data[text->len] = '\0';
    return 0;
}

int vb_need_logits_of(const vb_model *model)
{
    vb_model_info info;
    vb_model_describe(model, &info);
    if (!info.embeds) return 0;
    vb_say("%s: expected a model that gives logits, found an encoder; `verbatim embed` gives its embeddings", info.path);
    return VB_EXIT_INPUT;
}

int vb_encode(const vb_model *model, const char *text, size_t len, int flags, vb_ids *out)
{
    vb_err err = {0};
    int64_t n = vb_tokenize(model, text, len, flags, NULL, 0, &err);
    if (n < 0) return vb_report((vb_status)n, &err);
    out->ids = calloc((size_t)n + 1, sizeof *out->ids);
    if (out->ids == NULL) return vb_no_memory();
    out->n = out->cap = (size_t)n;
    n = vb_tokenize(model, text, len, flags, out->ids, out->cap, &err);
    return n < 0 ? vb_report((vb_status)n, &err) : 0;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

void vb_interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    action.sa_flags = (int)(SA_RESETHAND | SA_RESTART);
    interrupted = 0;
    sigaction(SIGINT, &action, NULL);
}

int vb_interrupted(void)
{
    return interrupted;
}

void vb_interrupt_clear(void)
{
    vb_interrupt_catch();
}
