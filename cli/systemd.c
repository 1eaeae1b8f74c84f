/* systemd.c - socket activation and readiness: a few variables of the environment and a datagram. */
#include "systemd.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_FD = 3 };

int vb_systemd_listener(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    int ours = pid != NULL && fds != NULL && strtol(pid, NULL, 10) == (long)getpid();
    long n = ours ? strtol(fds, NULL, 10) : 0;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return n <= 0 ? 0 : n == 1 ? FIRST_FD : -1;
}

/* A path that begins with @ is an abstract name: its first byte is NUL. */
int vb_systemd_notifier(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof a.sun_path) return -1;
    memcpy(a.sun_path, path, strlen(path));
    if (path[0] == '@') a.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, n) == 0) return fd;
    close(fd);
    return -1;
}

void vb_systemd_tell(int fd, const char *state)
{
    if (fd >= 0) send(fd, state, strlen(state), MSG_NOSIGNAL);
}
