/* serve_hooks.c MODEL - a server within a program: its hooks are called in order, with what happened, and a hook that
 * takes its time holds nothing up.
 */
#include "serve/serve.h"
#include "tests/tally.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SEEN_MOST = 256, REQUESTS = 3 };

typedef struct {
    pthread_mutex_t lock;
    vb_event seen[SEEN_MOST];
    int n, lines, slow;
} witness;

static void see(void *ud, const vb_event *event)
{
    witness *w = ud;
    const struct timespec moment = {.tv_nsec = 200000000};
    if (w->slow && event->kind == VB_EVENT_GENERATE) nanosleep(&moment, NULL);
    pthread_mutex_lock(&w->lock);
    if (w->n < SEEN_MOST) w->seen[w->n++] = *event;
    pthread_mutex_unlock(&w->lock);
}

static void see_line(void *ud, const char *line, size_t len)
{
    witness *w = ud;
    json_t *value = json_loadb(line, len, 0, NULL);
    pthread_mutex_lock(&w->lock);
    w->lines += json_is_string(json_object_get(value, "event")) && line[len - 1] == '\n';
    pthread_mutex_unlock(&w->lock);
    json_decref(value);
}

/* The status of an answer to POST /api/generate; -1: none came. */
static int ask(int port, const char *body)
{
    char text[4096];
    int status = -1, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int n = snprintf(text, sizeof text, "POST /api/generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                                        "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) == 0 && send(fd, text, (size_t)n, MSG_NOSIGNAL) == n) {
        ssize_t got = recv(fd, text, sizeof text - 1, MSG_WAITALL);
        text[got > 0 ? got : 0] = '\0';
        if (strncmp(text, "HTTP/1.1 ", 9) == 0) status = atoi(text + 9);
    }
    close(fd);
    return status;
}

static int count(const witness *w, vb_event_kind kind)
{
    int n = 0;
    for (int i = 0; i < w->n; i++) n += w->seen[i].kind == kind;
    return n;
}

static void check(int good, const char *what)
{
    if (good) passed();
    else failed("%s", what);
}

static const vb_event *last(const witness *w, vb_event_kind kind)
{
    for (int i = w->n - 1; i >= 0; i--)
        if (w->seen[i].kind == kind) return &w->seen[i];
    return NULL;
}

static void judge(const witness *w, int64_t asked_ns)
{
    const vb_event *load = last(w, VB_EVENT_MODEL_LOAD), *done = last(w, VB_EVENT_GENERATE), *error = last(w, VB_EVENT_ERROR);
    check(count(w, VB_EVENT_GENERATE) == REQUESTS, "a call of on_generate for each answer");
    check(done != NULL && done->tokens == 4 && done->prompt_tokens > 0 && done->decode_ns > 0, "tokens and times");
    check(done != NULL && done->request[0] != '\0' && strcmp(done->text, "length") == 0, "which request, and why it ended");
    check(load != NULL && load->total_ns > 0 && load->bytes > 0, "on_model_load");
    check(error == NULL, "no error");
    check(last(w, VB_EVENT_STATUS) != NULL && w->seen[0].kind == VB_EVENT_STATUS, "the state changes first");
    check(w->lines >= w->n, "a line of JSON for every event");
    for (int i = 1; i < w->n; i++) check(w->seen[i].at_ns >= w->seen[i - 1].at_ns, "in the order of what happened");
    check(asked_ns < INT64_C(200000000) * REQUESTS || getenv("VB_SLOW") != NULL, "answers do not wait for hooks");
}

/* A store of its own with the model as "m". */
static int make_store(const char *model, char folder[64], char link[80])
{
    char *path = realpath(model, NULL);
    snprintf(folder, 64, "/tmp/verbatim-hooks-XXXXXX");
    int ok = path != NULL && mkdtemp(folder) != NULL;
    snprintf(link, 80, "%s/m.gguf", folder);
    ok = ok && symlink(path, link) == 0;
    setenv("VERBATIM_MODELS", folder, 1);
    setenv("OLLAMA_MODELS", "/nonexistent", 1);
    free(path);
    return ok;
}

int main(int argc, char **argv)
{
    static const char body[] = "{\"model\":\"m\",\"prompt\":\"a\",\"stream\":false,\"options\":{\"num_predict\":4}}";
    static witness w = {.lock = PTHREAD_MUTEX_INITIALIZER, .slow = 1};
    char folder[64], link[80];
    vb_err err = {0};
    vb_serve *s = NULL;
    vb_serve_opts opts = {.hosts = {.keep_ns = VB_KEEP_FOREVER},
                          .hooks = {.on_status = see, .on_model_load = see, .on_queue_wait = see, .on_generate = see,
                                    .on_error = see, .on_line = see_line, .ud = &w}};
    if (argc < 2 || !make_store(argv[1], folder, link) || vb_serve_open(&s, &opts, &err) < 0) {
        failed("%s", err.text);
        return verdict();
    }
    check(ask(vb_serve_port(s), body) == 200, "an answer");
    int64_t start = vb_now_ns();
    for (int i = 1; i < REQUESTS; i++) check(ask(vb_serve_port(s), body) == 200, "an answer");
    int64_t asked = vb_now_ns() - start;
    vb_serve_quiesce(s);
    vb_serve_close(s);
    judge(&w, asked);
    unlink(link);
    rmdir(folder);
    return verdict();
}
