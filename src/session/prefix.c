/* prefix.c - a tree of blocks of tokens; an edge is a file with the block's ids, keys and values.
 *
 *   DIR/<key of a prefix>/<key of that prefix + block>.kv
 *
 *   key of nothing       SHA-256 (model's SHA-256, plan's digest, arithmetic version and mode, KV type, long ropes or
 *                        short ones)
 *   key of prefix+block  SHA-256 (key of the prefix, ids of the block)
 *
 *   file   "VBPREFX1" | tokens:4 | bytes of a position:4 | key of the prefix:32 | ids:4 each | keys and values
 *          | XXH3-128 of all before:16
 *
 * A block is BLOCK tokens; a shorter one is a leaf, replaced when a longer one begins with it. Where no block fits
 * whole, the positions that the best one has in common are used: a position depends on nothing behind it. Files are
 * written aside and renamed, so a reader sees a whole one or none.
 *
 * A model with memories (plan.h) keeps in each file those of the block's last position, behind keys and values. They
 * are large, so its blocks are MEMORY_BLOCK tokens, and a block is of use as a whole or not at all.
 */
#include "session/prefix.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/os.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 256, MEMORY_BLOCK = 1024, KEY = 32, HEX = 2 * KEY, HEAD = 16 + KEY, SUM = 16, PATH = 4096 };
static const char magic[8] = {'V', 'B', 'P', 'R', 'E', 'F', 'X', '1'};

struct vb_prefix {
    const vb_model *model;
    uint32_t position_bytes;
    size_t memory_bytes; /* of a file; 0: no memories */
    int block;           /* tokens */
    uint8_t root[KEY];
    int failed; /* writing did: no more of it */
    char dir[PATH - 2 * HEX - 16];
};

/* --- keys and names ---------------------------------------------------------------------------------------- */

static int key_of(uint8_t out[KEY], const uint8_t parent[KEY], const vb_token *ids, int n)
{
    vb_sha256 *hash = vb_sha256_new();
    if (hash == NULL) return 0;
    vb_sha256_add(hash, parent, KEY);
    for (int i = 0; i < n; i++) vb_sha256_add_u32(hash, (uint32_t)ids[i]);
    vb_sha256_end(hash, out);
    return 1;
}

static vb_status root_key(vb_prefix *p, vb_kv kv, int context, vb_err *err)
{
    uint8_t model[32];
    VB_TRY(vb_model_sha256(p->model, model, err));
    vb_sha256 *hash = vb_sha256_new();
    if (hash == NULL) VB_FAIL(err, VB_E_MEMORY, "prefix cache: out of memory");
    vb_sha256_add(hash, model, sizeof model);
    vb_sha256_add(hash, p->model->plan.digest, sizeof p->model->plan.digest);
    vb_sha256_add_u32(hash, VB_ARITHMETIC_VERSION);
    vb_sha256_add_u32(hash, (uint32_t)p->model->arith);
    vb_sha256_add_u32(hash, (uint32_t)kv);
    vb_sha256_add_u32(hash, (uint32_t)vb_plan_is_long(&p->model->plan, context));
    vb_sha256_end(hash, p->root);
    return VB_OK;
}

static void node_path(const vb_prefix *p, char path[PATH], const uint8_t parent[KEY])
{
    char hex[HEX + 1];
    vb_hex(hex, parent, KEY);
    snprintf(path, PATH, "%s/%s", p->dir, hex);
}

static void file_path(const vb_prefix *p, char path[PATH], const uint8_t parent[KEY], const uint8_t key[KEY])
{
    char from[HEX + 1], to[HEX + 1];
    vb_hex(from, parent, KEY);
    vb_hex(to, key, KEY);
    snprintf(path, PATH, "%s/%s/%s.kv", p->dir, from, to);
}

/* --- files ------------------------------------------------------------------------------------------------- */

static uint32_t u32_at(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put_u32(uint8_t *at, uint32_t x)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(x >> 8 * i);
}

static size_t file_bytes(const vb_prefix *p, uint32_t n)
{
    return HEAD + (size_t)n * (4 + (size_t)p->position_bytes) + p->memory_bytes + SUM;
}

/* Tokens of a file that is what its place says, 0 for any other. Its digest is another question. */
static int tokens_of(const vb_prefix *p, const vb_map *file, const uint8_t parent[KEY])
{
    if (file->size < HEAD || memcmp(file->data, magic, sizeof magic) != 0) return 0;
    uint32_t n = u32_at(file->data + 8);
    if (n == 0 || n > (uint32_t)p->block || u32_at(file->data + 12) != p->position_bytes) return 0;
    if (file->size != file_bytes(p, n) || memcmp(file->data + 16, parent, KEY) != 0) return 0;
    return (int)n;
}

static int in_common(const vb_map *file, int tokens, const vb_token *ids, int n)
{
    int same = 0;
    while (same < tokens && same < n && u32_at(file->data + HEAD + 4 * same) == (uint32_t)ids[same]) same++;
    return same;
}

/* How many of a file's positions ids[0..n) can use. */
static int usable(const vb_prefix *p, const vb_map *file, int tokens, const vb_token *ids, int n)
{
    int same = in_common(file, tokens, ids, n);
    return p->memory_bytes > 0 && same < tokens ? 0 : same;
}

static int intact(const vb_map *file)
{
    uint8_t sum[SUM];
    vb_xxh128_of(file->data, (size_t)file->size - SUM, sum);
    return memcmp(sum, file->data + file->size - SUM, SUM) == 0;
}

/* Puts the positions that a file has in common with ids[0..n) to `at`; returns how many. A damaged file goes. */
static int use_file(const vb_prefix *p, const char *path, const uint8_t parent[KEY], void *state, int at,
                    const vb_token *ids, int n)
{
    vb_map file;
    if (vb_map_open(&file, path, NULL) < 0) return 0;
    int tokens = tokens_of(p, &file, parent), same = 0, good = tokens > 0 && intact(&file);
    if (good) same = usable(p, &file, tokens, ids, n);
    if (same > 0)
        p->model->player->state_put(state, at, same, file.data + HEAD + 4 * (size_t)tokens, tokens);
    vb_map_close(&file);
    if (!good) {
        vb_log(VB_LOG_WARNING, "%s: damaged, ignored and removed", path);
        unlink(path);
    }
    return same;
}

/* --- the best of a node's files ------------------------------------------------------------------------------ */

/* Calls fn for each file of a node. */
static void each_file(const vb_prefix *p, const uint8_t parent[KEY], void (*fn)(void *, const char *, const vb_map *),
                      void *ud)
{
    char node[PATH], path[PATH];
    node_path(p, node, parent);
    DIR *dir = opendir(node);
    if (dir == NULL) return;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        vb_map file;
        size_t len = strlen(e->d_name);
        if (len != HEX + 3 || strcmp(e->d_name + HEX, ".kv") != 0) continue;
        if (snprintf(path, sizeof path, "%s/%s", node, e->d_name) >= PATH) continue;
        if (vb_map_open(&file, path, NULL) < 0) continue;
        fn(ud, path, &file);
        vb_map_close(&file);
    }
    closedir(dir);
}

typedef struct {
    const vb_prefix *p;
    const uint8_t *parent;
    const vb_token *ids;
    int n, most;
    char path[PATH];
} search;

static void find_most(void *ud, const char *path, const vb_map *file)
{
    search *s = ud;
    int same = usable(s->p, file, tokens_of(s->p, file, s->parent), s->ids, s->n);
    if (same <= s->most) return;
    s->most = same;
    snprintf(s->path, sizeof s->path, "%s", path);
}

/* --- load -------------------------------------------------------------------------------------------------- */

int vb_prefix_load(const vb_prefix *p, void *state, int from, const vb_token *ids, int n)
{
    uint8_t parent[KEY], key[KEY];
    char path[PATH];
    int at = 0;
    memcpy(parent, p->root, KEY);
    for (; at + p->block <= n && key_of(key, parent, ids + at, p->block); at += p->block) {
        file_path(p, path, parent, key);
        if (at + p->block > from && use_file(p, path, parent, state, at, ids + at, p->block) != p->block) break;
        memcpy(parent, key, KEY);
    }
    if (at < n) {
        search s = {.p = p, .parent = parent, .ids = ids + at, .n = n - at};
        each_file(p, parent, find_most, &s);
        if (s.most > 0 && at + s.most > from) at += use_file(p, s.path, parent, state, at, ids + at, n - at);
    }
    return at > from ? at : from;
}

int vb_prefix_edge(const vb_prefix *p, int from, int n)
{
    int end = from / p->block * p->block + p->block;
    return p->memory_bytes > 0 && end < n ? end : n;
}

/* --- keep -------------------------------------------------------------------------------------------------- */

static void give_up(vb_prefix *p, const char *path, int reason)
{
    vb_log(VB_LOG_WARNING, "%s: cannot write: %s; this run keeps no more prefixes", path, strerror(reason));
    p->failed = 1;
}

static int write_whole(const char *path, const uint8_t *data, size_t size)
{
    char temp[PATH + 8];
    snprintf(temp, sizeof temp, "%s.XXXXXX", path);
    int fd = mkstemp(temp);
    if (fd < 0) return errno;
    int reason = 0;
    for (size_t done = 0; done < size && reason == 0;) {
        ssize_t n = write(fd, data + done, size - done);
        if (n > 0) done += (size_t)n;
        if (n < 0 && errno != EINTR) reason = errno;
    }
    if (close(fd) != 0 && reason == 0) reason = errno;
    if (reason == 0 && rename(temp, path) != 0) reason = errno;
    if (reason != 0) unlink(temp);
    return reason;
}

/* Positions at..at+n as a file. */
static void keep_block(vb_prefix *p, const char *path, const uint8_t parent[KEY], const void *state, int at,
                       const vb_token *ids, int n)
{
    size_t size = file_bytes(p, (uint32_t)n);
    uint8_t *data = malloc(size);
    char node[PATH];
    if (data == NULL) {
        give_up(p, path, ENOMEM);
        return;
    }
    memcpy(data, magic, sizeof magic);
    put_u32(data + 8, (uint32_t)n);
    put_u32(data + 12, p->position_bytes);
    memcpy(data + 16, parent, KEY);
    for (int i = 0; i < n; i++) put_u32(data + HEAD + 4 * (size_t)i, (uint32_t)ids[i]);
    p->model->player->state_get(state, at, n, data + HEAD + 4 * (size_t)n);
    vb_xxh128_of(data, size - SUM, data + size - SUM);
    node_path(p, node, parent);
    int reason = mkdir(node, 0700) != 0 && errno != EEXIST ? errno : write_whole(path, data, size);
    if (reason != 0) give_up(p, path, reason);
    free(data);
}

/* 1: the file is there and says that it holds exactly these; what it holds is checked when it is read. */
static int is_kept(const vb_prefix *p, const char *path, const uint8_t parent[KEY], const vb_token *ids, int n)
{
    vb_map file;
    if (vb_map_open(&file, path, NULL) < 0) return 0;
    int same = tokens_of(p, &file, parent) == n && in_common(&file, n, ids, n) == n;
    vb_map_close(&file);
    return same;
}

/* A leaf that the new one begins with has nothing more to give. */
static void drop_shorter(void *ud, const char *path, const vb_map *file)
{
    const search *s = ud;
    int tokens = tokens_of(s->p, file, s->parent);
    if (tokens < s->n && in_common(file, tokens, s->ids, s->n) == tokens) unlink(path);
}

void vb_prefix_keep(vb_prefix *p, const void *state, const vb_token *ids, int n, int tail)
{
    uint8_t parent[KEY], key[KEY];
    char path[PATH];
    memcpy(parent, p->root, KEY);
    for (int at = 0, some; at < n && !p->failed; at += some) {
        some = n - at < p->block ? n - at : p->block;
        if ((some < p->block && !tail) || !key_of(key, parent, ids + at, some)) return;
        file_path(p, path, parent, key);
        if (!is_kept(p, path, parent, ids + at, some)) {
            if (p->model->player->state_start(state, at + some) != at + some) return;
            search s = {.p = p, .parent = parent, .ids = ids + at, .n = some};
            keep_block(p, path, parent, state, at, ids + at, some);
            each_file(p, parent, drop_shorter, &s);
        }
        memcpy(parent, key, KEY);
    }
}

/* --- opening ----------------------------------------------------------------------------------------------- */

vb_status vb_prefix_open(vb_prefix **out, const char *dir, const vb_model *model, vb_kv kv, int context, vb_err *err)
{
    *out = NULL;
    if (model->player->state_get == NULL)
        VB_FAIL(err, VB_E_UNSUPPORTED, "prefix cache %s: player %s keeps no prefixes", dir, model->player->name);
    VB_TRY(vb_dir_make(dir, err));
    vb_prefix *p = calloc(1, sizeof *p);
    if (p == NULL) VB_FAIL(err, VB_E_MEMORY, "prefix cache %s: out of memory", dir);
    p->model = model;
    p->position_bytes = (uint32_t)vb_kv_bytes(&model->plan, 1, kv);
    p->memory_bytes = (size_t)vb_memory_bytes(&model->plan);
    p->block = p->memory_bytes > 0 ? MEMORY_BLOCK : BLOCK;
    int len = snprintf(p->dir, sizeof p->dir, "%s", dir);
    vb_status s = VB_OK;
    if (len >= (int)sizeof p->dir)
        s = vb_fail(err, VB_E_ARGUMENT, "prefix cache: expected a path below %zu bytes, found %d", sizeof p->dir, len);
    if (s == VB_OK) s = root_key(p, kv, context, err);
    if (s < 0) {
        vb_prefix_close(p);
        return s;
    }
    *out = p;
    return VB_OK;
}

vb_status vb_prefix_copy(vb_prefix **out, const vb_prefix *from, vb_err *err)
{
    *out = NULL;
    if (from == NULL) return VB_OK;
    *out = malloc(sizeof **out);
    if (*out == NULL) VB_FAIL(err, VB_E_MEMORY, "prefix cache %s: out of memory", from->dir);
    **out = *from;
    return VB_OK;
}

void vb_prefix_close(vb_prefix *p)
{
    free(p);
}
