/* server_ask.c - one exchange of JSON with a server that is running. */
#include "server_ask.h"

#include "commands.h"
#include "out.h"
#include "serve_settings.h"
#include "store/fetch.h"

#include <stdlib.h>
#include <string.h>

enum { REPLY_MOST = 16 << 20 };

typedef struct {
    char *sent, *got;
    size_t n_sent, n_got;
} texts;

static size_t give(void *ud, uint64_t at, char *to, size_t most)
{
    const texts *t = ud;
    size_t n = t->n_sent - (size_t)at < most ? t->n_sent - (size_t)at : most;
    memcpy(to, t->sent + at, n);
    return n;
}

static int take(void *ud, uint64_t at, const char *data, size_t len)
{
    texts *t = ud;
    char *grown = len < REPLY_MOST - t->n_got ? realloc(t->got, t->n_got + len + 1) : NULL;
    (void)at;
    if (grown == NULL) return 0;
    memcpy(grown + t->n_got, data, len);
    t->got = grown;
    t->n_got += len;
    grown[t->n_got] = '\0';
    return 1;
}

/* The first key of the file, as a server that reads it would want to see one. */
static int read_key(const char *path, char key[256])
{
    char line[1024];
    FILE *f = path != NULL ? fopen(path, "r") : NULL;
    key[0] = '\0';
    if (path == NULL) return 0;
    if (f == NULL) return vb_wrong("--api-key-file", "%s: expected a file of keys", path);
    while (key[0] == '\0' && fgets(line, sizeof line, f) != NULL)
        if (line[0] != '#') sscanf(line, "%255s", key);
    fclose(f);
    return key[0] != '\0' ? 0 : vb_wrong("--api-key-file", "%s: expected a key, found none", path);
}

static const char *where(const vb_serve_opts *s, char *url, size_t cap, const char *path)
{
    const char *host = s->host != NULL ? s->host : "127.0.0.1";
    if (strcmp(host, "0.0.0.0") == 0) host = "127.0.0.1";
    if (strcmp(host, "::") == 0) host = "::1";
    int six = strchr(host, ':') != NULL;
    if (s->unix_path != NULL) snprintf(url, cap, "http://localhost%s", path);
    else snprintf(url, cap, "http://%s%s%s:%d%s", six ? "[" : "", host, six ? "]" : "", s->port, path);
    return s->unix_path != NULL ? s->unix_path : host;
}

static int read_reply(const vb_fetch_reply *head, const texts *t, json_t **reply)
{
    json_t *said = head->text[0] != '\0' ? json_loads(head->text, 0, NULL) : NULL;
    const char *error = json_string_value(json_object_get(said, "error"));
    int ok = head->status >= 200 && head->status < 300;
    if (!ok) vb_say("the server says: %s (%ld)", error != NULL ? error : head->text, head->status);
    json_decref(said);
    if (!ok) return head->status == 404 || head->status == 400 ? VB_EXIT_INPUT : VB_EXIT_NETWORK;
    *reply = t->got != NULL ? json_loadb(t->got, t->n_got, 0, NULL) : NULL;
    if (*reply != NULL) return 0;
    vb_say("expected JSON of the server, found something else");
    return VB_EXIT_NETWORK;
}

static int exchange(const vb_serve_opts *s, const vb_fetch_ask *ask, const texts *t, json_t **reply)
{
    vb_fetch *f;
    vb_fetch_reply head;
    vb_err err = {0};
    vb_status status = vb_fetch_open(&f, VB_FETCH_LOCAL, (vb_stop){0}, &err);
    if (status < 0) return vb_report(status, &err);
    status = vb_fetch_do(f, ask, &head, &err);
    vb_fetch_close(f);
    if (status == VB_OK) return read_reply(&head, t, reply);
    char url[1200];
    vb_say("no server at %s:%d: %s", where(s, url, sizeof url, ""), s->port, err.text);
    return VB_EXIT_NETWORK;
}

int vb_server_ask(const vb_args *args, const char *path, json_t *body, json_t **reply)
{
    vb_serve_settings settings;
    texts t = {0};
    char url[1200], key[256] = "";
    int code = vb_serve_settings_read(&settings, args);
    if (code == 0) code = read_key(settings.serve.guard.key_file, key);
    if (code == 0 && body != NULL && (t.sent = json_dumps(body, JSON_COMPACT)) == NULL) code = vb_no_memory();
    where(&settings.serve, url, sizeof url, path);
    vb_fetch_ask ask = {.method = "GET", .url = url, .socket = settings.serve.unix_path, .take = take, .ud = &t,
                        .token = key[0] != '\0' ? key : NULL};
    if (t.sent != NULL) {
        ask.method = "POST";
        ask.type = "application/json";
        ask.give = give;
        ask.sends = t.n_sent = strlen(t.sent);
    }
    if (code == 0) code = exchange(&settings.serve, &ask, &t, reply);
    json_decref(body);
    free(t.sent);
    free(t.got);
    return code;
}
