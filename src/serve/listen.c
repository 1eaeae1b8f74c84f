/* listen.c - sockets to listen at.
 *
 *   host:port --resolve--> loopback? or `open`? --bind--> listening
 *
 * Invariant: an address that the network can reach is refused before it is bound, unless the caller said `open`.
 */
#include "serve/listen.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int is_loopback(const struct sockaddr *a)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)a;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)a;
    if (a->sa_family == AF_INET) return ntohl(four->sin_addr.s_addr) >> 24 == 127;
    if (a->sa_family != AF_INET6) return 0;
    if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) return six->sin6_addr.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

static vb_status refuse_open(const char *what, vb_err *err)
{
    VB_FAIL(err, VB_E_ARGUMENT,
            "%s: expected an address of this machine alone, or keys (--api-key-file), found an address that others can reach",
            what);
}

static vb_status bound_to(int *fd, const struct sockaddr *address, socklen_t n, const char *what, vb_err *err)
{
    if (*fd >= 0 && bind(*fd, address, n) == 0 && listen(*fd, SOMAXCONN) == 0) return VB_OK;
    int why = errno;
    if (*fd >= 0) close(*fd);
    *fd = -1;
    VB_FAIL(err, why == EADDRINUSE || why == EACCES ? VB_E_IO : VB_E_ARGUMENT,
            "%s: expected an address to listen at, found: %s%s", what, strerror(why),
            why == EADDRINUSE && address->sa_family != AF_UNIX ? " (another server? --port takes another place)" : "");
}

vb_status vb_listen_tcp(int *fd, const char *host, int port, int open, vb_err *err)
{
    char service[16], what[300];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
    vb_status s;
    int one = 1;
    snprintf(service, sizeof service, "%d", port);
    snprintf(what, sizeof what, "%.200s:%d", host, port);
    int failed = getaddrinfo(host, service, &hints, &found);
    if (failed) VB_FAIL(err, VB_E_ARGUMENT, "%s: expected an address, found: %s", what, gai_strerror(failed));
    if (!open && !is_loopback(found->ai_addr)) {
        s = refuse_open(what, err);
    } else {
        *fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (*fd >= 0) setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        s = bound_to(fd, found->ai_addr, found->ai_addrlen, what, err);
    }
    freeaddrinfo(found);
    return s;
}

vb_status vb_listen_unix(int *fd, const char *path, vb_err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stat st;
    if (strlen(path) >= sizeof a.sun_path)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: expected a path of at most %zu bytes, found %zu", path, sizeof a.sun_path - 1,
                strlen(path));
    strcpy(a.sun_path, path);
    int try = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (try < 0) VB_FAIL(err, VB_E_IO, "%s: %s", path, strerror(errno));
    int used = connect(try, (struct sockaddr *)&a, sizeof a) == 0;
    close(try);
    if (used) VB_FAIL(err, VB_E_IO, "%s: expected a socket that nobody uses, found a server at work", path);
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) unlink(path);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd >= 0) fchmod(*fd, 0600); /* what bind gives the file */
    return bound_to(fd, (struct sockaddr *)&a, sizeof a, path, err);
}

vb_status vb_listen_given(int fd, int open, vb_err *err)
{
    int listens = 0;
    socklen_t n = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) != 0 || !listens)
        VB_FAIL(err, VB_E_ARGUMENT, "descriptor %d: expected a socket that listens, found none", fd);
    if (!open && vb_listen_reach(fd) == VB_REACH_NET) return refuse_open("the socket that was passed", err);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return VB_OK;
}

vb_reach vb_listen_reach(int fd)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &n) != 0) return VB_REACH_NET;
    if (a.ss_family == AF_UNIX) return VB_REACH_FILE;
    return is_loopback((struct sockaddr *)&a) ? VB_REACH_MACHINE : VB_REACH_NET;
}

int vb_listen_port(int fd)
{
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &n) != 0) return 0;
    if (a.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)&a)->sin_port);
    return a.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&a)->sin6_port) : 0;
}
