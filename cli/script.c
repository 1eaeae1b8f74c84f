/* script.c - see script.h. Every complaint names file, line and field. */
#include "script.h"

#include "input.h"
#include "out.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct vb_script {
    const char *path;
    int fd, ended;
    vb_buffer text; /* read and not yet given, from `at` on */
    size_t at;
    uint64_t size, taken; /* size 0: not known */
    long line;
};

/* --- lines ----------------------------------------------------------------------------------------------- */

int vb_script_open(vb_script **out, const char *path)
{
    int is_stdin = strcmp(path, "-") == 0;
    struct stat st;
    vb_script *s = *out = calloc(1, sizeof *s);
    if (s == NULL) return vb_no_memory();
    s->path = is_stdin ? "standard input" : path;
    s->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd >= 0 && fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode)) s->size = (uint64_t)st.st_size;
    if (s->fd >= 0) return 0;
    int code = errno == ENOENT || errno == ENOTDIR ? VB_EXIT_INPUT : VB_EXIT_IO;
    vb_say("%s: cannot read: %s", path, strerror(errno));
    vb_script_close(s);
    *out = NULL;
    return code;
}

void vb_script_close(vb_script *s)
{
    if (s == NULL) return;
    if (s->fd > STDIN_FILENO) close(s->fd);
    free(s->text.data);
    free(s);
}

const char *vb_script_path(const vb_script *s)
{
    return s->path;
}

double vb_script_done(const vb_script *s)
{
    return s->size > 0 ? (double)s->taken / (double)s->size : -1.0;
}

/* The end of the first line that is there; NULL: it has not come yet. */
static const char *end_of_line(const vb_script *s)
{
    const char *from = s->text.data + s->at, *end = s->text.len > s->at ? memchr(from, '\n', s->text.len - s->at) : NULL;
    return end == NULL && s->ended && s->text.len > s->at ? s->text.data + s->text.len : end;
}

int vb_script_ready(const vb_script *s)
{
    struct pollfd p = {.fd = s->fd, .events = POLLIN};
    return s->ended || end_of_line(s) != NULL || poll(&p, 1, 0) > 0;
}

static int read_more(vb_script *s)
{
    char chunk[1 << 16];
    if (s->text.len - s->at > VB_SCRIPT_LINE) {
        vb_say("%s:%ld: expected at most %d bytes, found more", s->path, s->line + 1, VB_SCRIPT_LINE);
        return VB_EXIT_INPUT;
    }
    if (s->at > 0) memmove(s->text.data, s->text.data + s->at, s->text.len - s->at);
    s->text.len -= s->at;
    s->at = 0;
    struct pollfd p = {.fd = s->fd, .events = POLLIN}; /* which Ctrl-C wakes, other than a read */
    if (poll(&p, 1, -1) < 0 && errno == EINTR) return vb_interrupted() ? VB_EXIT_INTERRUPTED : 0;
    ssize_t got = read(s->fd, chunk, sizeof chunk);
    if (got < 0) {
        vb_say("%s: cannot read: %s", s->path, strerror(errno));
        return VB_EXIT_IO;
    }
    s->ended = got == 0;
    return vb_buffer_add(&s->text, chunk, (size_t)got);
}

/* The next line that is not empty. *len 0: there are no more. */
static int next_line(vb_script *s, const char **line, size_t *len)
{
    for (*len = 0; *len == 0;) {
        const char *end;
        while ((end = end_of_line(s)) == NULL) {
            if (s->ended) return 0;
            int code = read_more(s);
            if (code != 0) return code;
        }
        *line = s->text.data + s->at;
        *len = (size_t)(end - *line);
        s->at += *len + (end < s->text.data + s->text.len);
        s->taken += *len + 1;
        s->line++;
        if (strspn(*line, " \t\r") >= *len) *len = 0;
    }
    return 0;
}

/* --- fields ---------------------------------------------------------------------------------------------- */

static int wrong(const vb_script *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int wrong(const vb_script *s, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    vb_say("%s:%ld: %s", s->path, s->line, text);
    return VB_EXIT_INPUT;
}

static const char *kind_of(const json_t *value)
{
    static const char *const kinds[] = {"an object", "a list", "a text", "a whole number", "a number with a point", "true",
                                        "false", "null"};
    if (json_is_integer(value) && json_integer_value(value) < 0) return "a number below 0";
    return value == NULL ? "nothing" : kinds[json_typeof(value)];
}

/* A text of digits alone. */
static int is_number(const char *text, uint64_t *value)
{
    char *end;
    if (*text == '\0' || strspn(text, "0123456789") != strlen(text)) return 0;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return 1;
}

int vb_entity_of(const char *text, uint64_t *id, const char **name)
{
    *name = NULL;
    if (*text == '\0') return 0;
    if (is_number(text, id)) return errno == 0;
    *name = text;
    *id = vb_entity_id(text, strlen(text));
    return 1;
}

/* A number from 0 on, as such or, above 2^63 - 1, as a text. */
static int number_of(const json_t *value, uint64_t *out)
{
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *out = (uint64_t)json_integer_value(value);
        return 1;
    }
    return json_is_string(value) && is_number(json_string_value(value), out) && errno == 0;
}

static int read_entity(const vb_script *s, const json_t *value, vb_script_item *item)
{
    uint64_t *id = &item->ask.key.entity;
    if (number_of(value, id)) return 0;
    if (json_is_string(value) && vb_entity_of(json_string_value(value), id, &item->name)) return 0;
    const char *text = json_string_value(value);
    return wrong(s, "entity: expected a number from 0 to 2^64 - 1 or a name, found %s",
                 text == NULL ? kind_of(value) : *text == '\0' ? "an empty text" : "a greater number");
}

static int read_facts(const vb_script *s, json_t *value, vb_script_item *item)
{
    const char *name;
    json_t *fact;
    if (!json_is_object(value)) return wrong(s, "facts: expected an object, found %s", kind_of(value));
    if (json_object_size(value) > VB_SCRIPT_FACTS)
        return wrong(s, "facts: expected at most %d, found %zu", VB_SCRIPT_FACTS, json_object_size(value));
    vb_fact *facts = calloc(json_object_size(value) + 1, sizeof *facts);
    if (facts == NULL) return vb_no_memory();
    item->ask.facts = facts;
    json_object_foreach(value, name, fact) {
        if (!json_is_string(fact)) return wrong(s, "facts: %s: expected a text, found %s", name, kind_of(fact));
        facts[item->ask.n_facts++] = (vb_fact){name, json_string_value(fact)};
    }
    return 0;
}

static int read_text(const vb_script *s, const char *field, const json_t *value, const char **out)
{
    *out = json_string_value(value);
    return *out != NULL ? 0 : wrong(s, "%s: expected a text, found %s", field, kind_of(value));
}

static int read_number(const vb_script *s, const char *field, const json_t *value, uint64_t *out)
{
    return number_of(value, out) ? 0 : wrong(s, "%s: expected a whole number from 0, found %s", field, kind_of(value));
}

static int read_field(const vb_script *s, const char *field, json_t *value, vb_script_item *item)
{
    vb_line_request *ask = &item->ask;
    if (strcmp(field, "entity") == 0) return read_entity(s, value, item);
    if (strcmp(field, "tick") == 0) return read_number(s, field, value, &ask->key.tick);
    if (strcmp(field, "draw") == 0) return read_number(s, field, value, &ask->key.draw);
    if (strcmp(field, "persona") == 0) return read_text(s, field, value, &ask->persona);
    if (strcmp(field, "text") == 0) return read_text(s, field, value, &ask->text);
    if (strcmp(field, "facts") == 0) return read_facts(s, value, item);
    if (strcmp(field, "remember") == 0) return read_text(s, field, value, &item->remember);
    return wrong(s, "%.40s: expected entity, tick, draw, persona, text, facts or remember, found another field", field);
}

static int read_item(const vb_script *s, vb_script_item *item)
{
    const char *field;
    json_t *value;
    int code = 0;
    if (!json_is_object(item->json)) return wrong(s, "expected an object, found %s", kind_of(item->json));
    if (json_object_get(item->json, "entity") == NULL) return wrong(s, "entity: expected a number or a name, found nothing");
    if (json_object_get(item->json, "tick") == NULL) return wrong(s, "tick: expected a whole number, found nothing");
    json_object_foreach(item->json, field, value)
        if ((code = read_field(s, field, value, item)) != 0) return code;
    const char *other = item->ask.text ? "text" : item->ask.persona ? "persona" : item->ask.facts ? "facts" : NULL;
    if (item->remember != NULL && other == NULL && json_object_get(item->json, "draw") != NULL) other = "draw";
    return item->remember != NULL && other != NULL ? wrong(s, "%s: expected nothing beside remember, found it", other) : 0;
}

int vb_script_next(vb_script *s, vb_script_item *item, int *there)
{
    const char *line;
    size_t len;
    json_error_t why;
    *item = (vb_script_item){0};
    int code = next_line(s, &line, &len);
    *there = code == 0 && len > 0;
    if (!*there) return code;
    item->line = s->line;
    item->json = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    code = item->json == NULL ? wrong(s, "column %d: %s", why.column, why.text) : read_item(s, item);
    if (code != 0) vb_script_item_free(item);
    return code;
}

void vb_script_item_free(vb_script_item *item)
{
    free((void *)(uintptr_t)item->ask.facts);
    json_decref(item->json);
    *item = (vb_script_item){0};
}
