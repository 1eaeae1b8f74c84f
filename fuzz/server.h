/* server.h - a whole server in this process, with a small model in a store of its own, to be asked through a socket. */
#ifndef VB_FUZZ_SERVER_H
#define VB_FUZZ_SERVER_H
#include "serve/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FUZZ_ANSWER_MOST = 1 << 20, FUZZ_PATIENCE_MS = 20000 };

typedef struct {
    vb_serve *serve;
    struct sockaddr_un address;
    char dir[40], link[108];
    char answer[FUZZ_ANSWER_MOST];
    size_t len;
} fuzz_server;

static inline void fuzz_must(int good)
{
    if (!good) abort();
}

/* A request may have deleted it. */
static inline void fuzz_model(const fuzz_server *f)
{
    char *model = realpath("tests/golden/llama-gqa/model.gguf", NULL);
    if (access(f->link, R_OK) != 0) fuzz_must(model != NULL && symlink(model, f->link) == 0);
    free(model);
}

static inline int fuzz_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static fuzz_server the_server;

/* The server itself ends with the process. */
static inline void fuzz_clear(void)
{
    nftw(the_server.dir, fuzz_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline fuzz_server *fuzz_server_start(void)
{
    fuzz_server *f = &the_server;
    vb_err err = {0};
    if (f->serve != NULL) return f;
    snprintf(f->dir, sizeof f->dir, "/tmp/verbatim-fuzz-XXXXXX");
    fuzz_must(mkdtemp(f->dir) != NULL);
    fuzz_must(setenv("VERBATIM_MODELS", f->dir, 1) == 0 && setenv("OLLAMA_MODELS", "/nonexistent", 1) == 0);
    fuzz_must(setenv("HOME", f->dir, 1) == 0 && setenv("XDG_CACHE_HOME", f->dir, 1) == 0);
    snprintf(f->link, sizeof f->link, "%s/tiny.gguf", f->dir);
    fuzz_model(f);
    f->address.sun_family = AF_UNIX;
    snprintf(f->address.sun_path, sizeof f->address.sun_path, "%s/socket", f->dir);
    vb_serve_opts o = {.unix_path = f->address.sun_path, .http = {.threads = 1},
                       .hosts = {.model = {.threads = 1}, .context = 48, .parallel = 2, .keep_ns = VB_KEEP_FOREVER,
                                 .memory_most = UINT64_C(1) << 30}};
    fuzz_must(vb_serve_open(&f->serve, &o, &err) == VB_OK && atexit(fuzz_clear) == 0);
    return f;
}

/* Until the server closes; it may do so before it has read all. With `half_close` the client says that nothing more comes. */
static inline void fuzz_exchange(fuzz_server *f, const char *bytes, size_t n, int half_close)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct pollfd p = {.fd = fd};
    size_t sent = 0;
    ssize_t got = 1;
    fuzz_must(fd >= 0 && connect(fd, (struct sockaddr *)&f->address, sizeof f->address) == 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (n == 0 && half_close) shutdown(fd, SHUT_WR);
    for (f->len = 0; got != 0;) {
        p.events = (short)(POLLIN | (sent < n ? POLLOUT : 0));
        int ready = poll(&p, 1, FUZZ_PATIENCE_MS);
        if (ready < 0 && errno == EINTR) continue; /* the fuzzer's own clock */
        fuzz_must(ready == 1);                     /* or a request hangs */
        if (sent < n && p.revents & POLLOUT) {
            ssize_t put = send(fd, bytes + sent, n - sent, MSG_NOSIGNAL);
            sent = put < 0 ? n : sent + (size_t)put;
            if (sent == n && half_close) shutdown(fd, SHUT_WR);
        }
        if (!(p.revents & (POLLIN | POLLHUP | POLLERR))) continue;
        size_t room = sizeof f->answer - 1 - f->len;
        char over[4096];
        got = room > 0 ? recv(fd, f->answer + f->len, room, 0) : recv(fd, over, sizeof over, 0);
        if (got < 0) got = errno == EAGAIN ? 1 : 0;
        else if (room > 0) f->len += (size_t)got;
    }
    f->answer[f->len] = '\0';
    close(fd);
}

/* Nothing is left of it soon after its client has gone. */
static inline void fuzz_wait_idle(const fuzz_server *f)
{
    for (int ms = 0; vb_serve_busy(f->serve) > 0; ms++) {
        fuzz_must(ms < FUZZ_PATIENCE_MS);
        poll(NULL, 0, 1);
    }
}

static inline int fuzz_status(const char *answer)
{
    return strncmp(answer, "HTTP/1.", 7) == 0 && strlen(answer) > 12 ? (int)strtol(answer + 9, NULL, 10) : 0;
}

#endif
