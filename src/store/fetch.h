/* fetch.h - one HTTP exchange with another machine: a request, the head of its answer, its body piece by piece.
 *
 * A connection is kept from one exchange to the next. Nothing waits for ever: a connection has fifteen seconds, a silence
 * thirty, and when `stop` says so it ends within a second. Where verbatim was built without libcurl, opening says so.
 */
#ifndef VB_STORE_FETCH_H
#define VB_STORE_FETCH_H
#include "base/err.h"

typedef struct vb_fetch vb_fetch;

/* Asked again and again; not 0: end soon. fn may be NULL. */
typedef struct {
    int (*fn)(void *ud);
    void *ud;
} vb_stop;
int vb_stopped(const vb_stop *stop);

typedef struct {
    const char *method, *url;
    const char *socket;        /* a socket in the file system to go through; NULL: none */
    const char *accept, *type; /* headers; NULL: none */
    const char *token;         /* Authorization: Bearer, for this host alone; NULL: none */
    uint64_t from;             /* not 0: only the bytes from here on (Range) */
    const char *range;         /* Content-Range of what is sent; NULL: none */
    uint64_t sends;            /* bytes of body that `give` gives */
    /* The bytes from `at` on, at most `most`; returns their number, 0: there are none, which ends the exchange. */
    size_t (*give)(void *ud, uint64_t at, char *to, size_t most);
    /* A piece of a 2xx answer, whose place in the whole is `at`; 0: that ends the exchange. */
    int (*take)(void *ud, uint64_t at, const char *data, size_t len);
    void *ud;
} vb_fetch_ask;

typedef struct {
    long status;                         /* 0: there was no answer */
    char location[4096], challenge[2048]; /* headers Location and WWW-Authenticate; empty: none */
    uint64_t has;                        /* one behind the last byte of header Range; 0: none */
    char text[300];                      /* how the body of a refusal begins */
} vb_fetch_reply;

enum {
    VB_FETCH_LOCAL = 1, /* the other side is this machine, and is reached without a proxy */
    VB_FETCH_NETRC = 2  /* names and passwords are those of ~/.netrc, each for its host */
};
vb_status vb_fetch_open(vb_fetch **out, int how, vb_stop stop, vb_err *err);
void vb_fetch_close(vb_fetch *f);
/* VB_OK: there is an answer, whatever its status says. VB_E_STOPPED: `stop`, `give` or `take` ended it. VB_E_IO: the way to
 * the other side is broken. Redirects are followed unless something is sent; from https only to https. */
vb_status vb_fetch_do(vb_fetch *f, const vb_fetch_ask *ask, vb_fetch_reply *reply, vb_err *err);

#endif
