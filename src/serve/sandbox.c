/* sandbox.c - Landlock for files, seccomp for system calls.
 *
 *   files    written: own store, caches, folders that were named (traces)
 *            read: all stores, /proc/self, /sys; and, since a model may be made of a file of this machine, what lies open
 *            in / and in one's home: nothing hidden, nobody else's home, not /etc, /var, /run, other processes
 *            with connections also what names and certificates of other machines need: /etc
 *            with a GPU its devices too
 *   calls    no program is started, no process made, no other one looked into; nothing listens or binds from now on;
 *            a socket is made only where connections are allowed, and then only an internet one
 *
 * A file that a name in a store links to may lie anywhere, so links that are there at the start are followed and their
 * ends may be read; the own store is made if it is not there, because it could not be made later. Invariant: the filter names what is forbidden, so that a libc with a new call is not surprised; what
 * is forbidden fails with EPERM and kills nobody.
 */
#include "serve/sandbox.h"

#include "base/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- Landlock ---------------------------------------------------------------------------------------------- */

/* As the kernel has them; the headers of a machine may be older than its kernel. */
enum {
    MAY_EXECUTE = 1 << 0,
    MAY_WRITE = 1 << 1,
    MAY_READ = 1 << 2,
    MAY_LIST = 1 << 3,
    MAY_REMOVE_DIR = 1 << 4,
    MAY_REMOVE = 1 << 5,
    MAY_MAKE_DIR = 1 << 7,
    MAY_MAKE = 1 << 8,
    MAY_MOVE = 1 << 13,     /* version 2 */
    MAY_TRUNCATE = 1 << 14, /* version 3 */
    MAY_CONTROL = 1 << 15,  /* version 5: ioctl of devices */
    OF_FILES = MAY_EXECUTE | MAY_WRITE | MAY_READ | MAY_TRUNCATE | MAY_CONTROL,
    READING = MAY_READ | MAY_LIST,
    WRITING = READING | MAY_WRITE | MAY_REMOVE | MAY_REMOVE_DIR | MAY_MAKE_DIR | MAY_MAKE | MAY_MOVE | MAY_TRUNCATE,
    NET_BIND = 1 << 0, /* version 4 */
    NET_CONNECT = 1 << 1,
    APART = 3, /* version 6: abstract sockets and signals */
    RULE_PATH = 1,
    ASK_VERSION = 1,
};

typedef struct {
    uint64_t files, net, apart;
} ruleset;

typedef struct {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed)) path_rule;

typedef struct {
    int fd, version, failed;
    uint64_t files; /* kinds of access that this kernel knows */
    int written; /* folders */
} landlock;

static long version_of_landlock(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_VERSION);
}

static void start_rules(landlock *l, int connects)
{
    static const size_t sizes[] = {8, 8, 8, 16, 16, 24};
    static const int bits[] = {13, 14, 15, 15, 16, 16};
    int known = l->version < 6 ? l->version : 6;
    ruleset r = {.net = NET_BIND | (connects ? 0 : NET_CONNECT), .apart = APART};
    r.files = l->files = (UINT64_C(1) << bits[known - 1]) - 1;
    l->fd = (int)syscall(SYS_landlock_create_ruleset, &r, sizes[known - 1], 0);
}

/* What is not there needs no rule. */
static int allow(landlock *l, const char *path, uint64_t what)
{
    struct stat st;
    path_rule rule = {.allowed = what & l->files, .parent = open(path, O_PATH | O_CLOEXEC)};
    if (rule.parent < 0) return 0;
    if (fstat(rule.parent, &st) == 0 && !S_ISDIR(st.st_mode)) rule.allowed &= OF_FILES;
    if (syscall(SYS_landlock_add_rule, l->fd, RULE_PATH, &rule, 0) != 0) l->failed = 1;
    close(rule.parent);
    return 1;
}

/* --- folders ----------------------------------------------------------------------------------------------- */

/* A store, the parts of it that may be links to another disk, and the ends of links among its files. */
static void allow_store(landlock *l, const char *dir, uint64_t what)
{
    static const char *const parts[] = {"blobs", "manifests"};
    char path[PATH_MAX];
    if (!allow(l, dir, what)) return;
    l->written += what == WRITING;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        snprintf(path, sizeof path, "%.4000s/%s", dir, parts[i]);
        allow(l, path, what);
    }
    DIR *d = opendir(dir);
    for (struct dirent *e = d != NULL ? readdir(d) : NULL; e != NULL; e = readdir(d)) {
        if (e->d_type != DT_LNK && e->d_type != DT_UNKNOWN) continue;
        snprintf(path, sizeof path, "%.3800s/%s", dir, e->d_name);
        if (strcmp(e->d_name, "..") != 0) allow(l, path, READING);
    }
    if (d != NULL) closedir(d);
}

static void allow_stores(landlock *l)
{
    const char *own = getenv("VERBATIM_MODELS"), *ollama = getenv("OLLAMA_MODELS"), *home = getenv("HOME");
    char base[3072], path[PATH_MAX];
    if (own != NULL && own[0] != '\0') {
        mkdir(own, 0777);
        allow_store(l, own, WRITING);
    } else if (vb_dir(VB_DIR_DATA, base, sizeof base)) {
        snprintf(path, sizeof path, "%s/models", base);
        vb_dir_make(path, NULL);
        allow_store(l, path, WRITING);
    }
    if (ollama != NULL && ollama[0] != '\0') {
        allow_store(l, ollama, READING);
    } else if (home != NULL && home[0] == '/') {
        snprintf(path, sizeof path, "%.4000s/.ollama/models", home);
        allow_store(l, path, READING);
    }
}

/* What lies open in a folder: what is hidden, and what `but` names, stays out of sight. */
static void allow_open(landlock *l, const char *dir, const char *const *but)
{
    char path[PATH_MAX];
    DIR *d = dir != NULL && dir[0] == '/' ? opendir(dir) : NULL;
    for (struct dirent *e = d != NULL ? readdir(d) : NULL; e != NULL; e = readdir(d)) {
        int secret = e->d_name[0] == '.';
        for (const char *const *b = but; *b != NULL; b++) secret |= strcmp(e->d_name, *b) == 0;
        snprintf(path, sizeof path, "%.3800s/%s", dir, e->d_name);
        if (!secret) allow(l, path, READING);
    }
    if (d != NULL) closedir(d);
}

/* Where a path of this machine from which a model is made may lead. */
static void allow_sources(landlock *l)
{
    static const char *const not_here[] = {"etc", "proc", "run", "sys", "dev", "boot", "root", "home", "var", NULL};
    static const char *const nothing[] = {NULL};
    allow_open(l, "/", not_here);
    allow_open(l, getenv("HOME"), nothing);
}

static void allow_written(landlock *l, const char *dir)
{
    if (dir == NULL) return;
    vb_dir_make(dir, NULL);
    l->written += allow(l, dir, WRITING);
}

/* What drivers of GPUs open. */
static void allow_gpus(landlock *l)
{
    char path[PATH_MAX];
    DIR *d = opendir("/dev");
    for (struct dirent *e = d != NULL ? readdir(d) : NULL; e != NULL; e = readdir(d)) {
        if (strcmp(e->d_name, "dri") != 0 && strncmp(e->d_name, "nvidia", 6) != 0) continue;
        snprintf(path, sizeof path, "/dev/%s", e->d_name);
        allow(l, path, READING | MAY_WRITE | MAY_CONTROL);
    }
    if (d != NULL) closedir(d);
    allow(l, "/etc/vulkan", READING);
}

static void allow_system(landlock *l, int connects)
{
    static const char *const always[] = {"/proc/self", "/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/sys", "/dev/null",
                                         "/dev/urandom"};
    static const char *const net[] = {"/etc", "/run/systemd/resolve"};
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++) allow(l, always[i], READING);
    for (size_t i = 0; connects && i < sizeof net / sizeof net[0]; i++) allow(l, net[i], READING);
    allow(l, "/dev/null", READING | MAY_WRITE);
}

static int restrict_files(landlock *l, const vb_sandbox_opts *o)
{
    char dir[4000];
    start_rules(l, o->connects);
    if (l->fd < 0) return 0;
    allow_stores(l);
    allow_sources(l);
    if (vb_dir(VB_DIR_CACHE, dir, sizeof dir)) allow_written(l, dir);
    for (int i = 0; i < VB_SANDBOX_FOLDERS; i++) allow_written(l, o->folders[i]);
    if (o->unix_path != NULL) {
        snprintf(dir, sizeof dir, "%.3900s", o->unix_path);
        allow(l, dirname(dir), MAY_REMOVE);
    }
    allow_system(l, o->connects);
    if (o->gpu) allow_gpus(l);
    int held = !l->failed && syscall(SYS_landlock_restrict_self, l->fd, 0) == 0;
    close(l->fd);
    return held;
}

/* --- seccomp ----------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#else
#define THIS_ARCH 0
#endif

/* A sanitizer looks at its own process from another one when it ends. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WATCHED 1
#endif
#endif
#ifndef WATCHED
#define WATCHED 0
#endif

static const int forbidden[] = {
    SYS_execve, SYS_execveat, SYS_process_vm_readv, SYS_process_vm_writev, SYS_pidfd_getfd, SYS_kcmp,
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_setns, SYS_unshare, SYS_move_mount, SYS_open_tree, SYS_fsopen,
    SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup, SYS_open_by_handle_at,
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_reboot, SYS_swapon, SYS_swapoff,
    SYS_keyctl, SYS_add_key, SYS_request_key, SYS_acct, SYS_quotactl, SYS_settimeofday, SYS_clock_settime,
    SYS_sethostname, SYS_setdomainname, SYS_personality, SYS_bind, SYS_listen,
#if defined(__x86_64__)
    SYS_fork, SYS_vfork, SYS_iopl, SYS_ioperm, SYS_modify_ldt,
#endif
};

enum { FILTER_MOST = 160 };
typedef struct {
    struct sock_filter code[FILTER_MOST];
    unsigned short n;
} filter;

static void add(filter *f, struct sock_filter one)
{
    f->code[f->n++] = one;
}

static void add_return(filter *f, uint32_t what)
{
    add(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

static void add_load(filter *f, size_t offset)
{
    add(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

/* If what was loaded is k, the next one; else `skip` are left out. */
static void add_if(filter *f, uint32_t k, uint8_t skip)
{
    add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, skip));
}

static void forbid(filter *f, int call, int with)
{
    add_if(f, (uint32_t)call, 1);
    add_return(f, SECCOMP_RET_ERRNO | (uint32_t)with);
}

/* A thread, yes; a process, no. clone3 hides its flags behind a pointer: as if the kernel had none. */
static void forbid_processes(filter *f)
{
    forbid(f, SYS_clone3, ENOSYS);
    add_if(f, SYS_clone, 4);
    add_load(f, offsetof(struct seccomp_data, args[0]));
    add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0));
    add_return(f, SECCOMP_RET_ERRNO | EPERM);
    add_return(f, SECCOMP_RET_ALLOW);
}

static void forbid_sockets(filter *f, int connects)
{
    if (!connects) {
        forbid(f, SYS_socket, EPERM);
        forbid(f, SYS_connect, EPERM);
        return;
    }
    add_if(f, SYS_socket, 6);
    add_load(f, offsetof(struct seccomp_data, args[0]));
    add_if(f, AF_INET, 1);
    add_return(f, SECCOMP_RET_ALLOW);
    add_if(f, AF_INET6, 1);
    add_return(f, SECCOMP_RET_ALLOW);
    add_return(f, SECCOMP_RET_ERRNO | EAFNOSUPPORT);
}

static int restrict_calls(int connects)
{
    filter f = {.n = 0};
    if (THIS_ARCH == 0) return 0;
    add_load(&f, offsetof(struct seccomp_data, arch));
    add_if(&f, THIS_ARCH, 1);
    add(&f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0));
    add_return(&f, SECCOMP_RET_ERRNO | EPERM);
    add_load(&f, offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
    add(&f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1)); /* x32's numbers */
    add_return(&f, SECCOMP_RET_ERRNO | ENOSYS);
#endif
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) forbid(&f, forbidden[i], EPERM);
    if (!WATCHED) forbid(&f, SYS_ptrace, EPERM);
    forbid_sockets(&f, connects);
    if (!WATCHED) forbid_processes(&f);
    add_return(&f, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {f.n, f.code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

/* --- both -------------------------------------------------------------------------------------------------- */

int vb_sandbox_enter(const vb_sandbox_opts *o, char *said, size_t cap)
{
    landlock l = {.version = (int)version_of_landlock()};
    int may = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    int files = may && l.version >= 1 && restrict_files(&l, o);
    int calls = may && restrict_calls(o->connects);
    const char *net = o->connects ? "connections outwards alone" : "no connections";
    if (files && calls)
        snprintf(said, cap, "sandbox: files are written in %d folders, hidden ones not read; no programs, %s", l.written, net);
    else if (calls) snprintf(said, cap, "sandbox: no programs, %s; this kernel has no Landlock to guard files", net);
    else if (files) snprintf(said, cap, "sandbox: files are written in %d folders, hidden ones not read", l.written);
    else snprintf(said, cap, "sandbox: this kernel has neither Landlock nor seccomp");
    return files && calls;
}
