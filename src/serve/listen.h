/* listen.h - the socket a server listens at, and who can reach it. */
#ifndef VB_SERVE_LISTEN_H
#define VB_SERVE_LISTEN_H
#include "verbatim.h"

typedef enum {
    VB_REACH_MACHINE, /* a loopback address: programs of this machine, browsers among them */
    VB_REACH_FILE,    /* a socket in the file system: whom its permissions let in */
    VB_REACH_NET      /* everybody */
} vb_reach;

/* An address. One that others than this machine can reach needs `open`. The descriptor does not block. */
vb_status vb_listen_tcp(int *fd, const char *host, int port, int open, vb_err *err);
/* A socket in the file system, for its owner alone; one that nobody listens at any more is replaced. */
vb_status vb_listen_unix(int *fd, const char *path, vb_err *err);
/* One that came from outside: it must be a stream socket that listens already. */
vb_status vb_listen_given(int fd, int open, vb_err *err);
vb_reach vb_listen_reach(int fd);
int vb_listen_port(int fd); /* 0: it has none */

#endif
