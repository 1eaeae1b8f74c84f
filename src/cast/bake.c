/* bake.c - a table is made: lines are collected in any order and written in the order of their names.
 *
 * Invariant: the file is a function of the set of lines, and it stands under its name whole or not at all.
 */
#include "base/hash.h"
#include "cast/table.h"
#include "cast/table_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    uint8_t name[32];
    size_t at, bytes; /* of its entry */
} row;

struct vb_bake {
    row *rows;
    size_t n, cap;
    uint8_t *entries;
    size_t len, room;
};

vb_status vb_bake_open(vb_bake **out, vb_err *err)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) VB_FAIL(err, VB_E_MEMORY, "table: out of memory");
    return VB_OK;
}

void vb_bake_close(vb_bake *b)
{
    if (b == NULL) return;
    free(b->rows);
    free(b->entries);
    free(b);
}

/* Room for `want` elements of `size` bytes, *cap of which there are. 0: out of memory. */
static int grow(void **data, size_t *cap, size_t want, size_t size)
{
    size_t bytes;
    if (want <= *cap) return 1;
    size_t more = *cap > want / 2 ? 2 * *cap : want + 64;
    void *grown = __builtin_mul_overflow(more, size, &bytes) ? NULL : realloc(*data, bytes);
    if (grown == NULL) return 0;
    *data = grown;
    *cap = more;
    return 1;
}

static void put_entry(uint8_t *to, const uint8_t name[32], const vb_said *said)
{
    const uint64_t numbers[] = {said->len, (uint64_t)said->end, (uint64_t)said->attempts, (uint64_t)said->prompt_tokens,
                                (uint64_t)said->tokens};
    for (int i = 0; i < 5; i++) vb_table_put(to + VB_TABLE_CHECK + 4 * i, 4, numbers[i]);
    if (said->len > 0) memcpy(to + VB_TABLE_ENTRY, said->text, said->len);
    to[VB_TABLE_ENTRY + said->len] = 0;
    vb_xxh128_seeded(to + VB_TABLE_CHECK, VB_TABLE_ENTRY - VB_TABLE_CHECK + said->len + 1, vb_table_get(name, 8), to);
}

vb_status vb_bake_add(vb_bake *b, const uint8_t name[32], const vb_said *said, vb_err *err)
{
    size_t bytes = VB_TABLE_ENTRY + said->len + 1;
    void *rows = b->rows, *entries = b->entries;
    if (said->len > INT32_MAX) VB_FAIL(err, VB_E_UNSUPPORTED, "table: a line of %zu bytes", said->len);
    int good = grow(&rows, &b->cap, b->n + 1, sizeof *b->rows);
    b->rows = rows;
    good = good && grow(&entries, &b->room, b->len + bytes, 1);
    b->entries = entries;
    if (!good) VB_FAIL(err, VB_E_MEMORY, "table: out of memory for line %zu", b->n + 1);
    row *r = &b->rows[b->n++];
    memcpy(r->name, name, sizeof r->name);
    r->at = b->len;
    r->bytes = bytes;
    put_entry(b->entries + b->len, name, said);
    b->len += bytes;
    return VB_OK;
}

static int by_name(const void *a, const void *b)
{
    return memcmp(((const row *)a)->name, ((const row *)b)->name, sizeof((const row *)a)->name);
}

static int same_line(const vb_bake *b, const row *x, const row *y)
{
    return x->bytes == y->bytes && memcmp(b->entries + x->at, b->entries + y->at, x->bytes) == 0;
}

/* In the order of names, each once. */
static vb_status put_in_order(vb_bake *b, vb_err *err)
{
    size_t kept = 0;
    if (b->n > 1) qsort(b->rows, b->n, sizeof *b->rows, by_name);
    for (size_t i = 0; i < b->n; i++) {
        int again = kept > 0 && by_name(&b->rows[kept - 1], &b->rows[i]) == 0;
        if (again && !same_line(b, &b->rows[kept - 1], &b->rows[i])) {
            char name[65];
            vb_hex(name, b->rows[i].name, 32);
            VB_FAIL(err, VB_E_DIFFERS, "table: line %s: expected one text, found two", name);
        }
        if (!again) b->rows[kept++] = b->rows[i];
    }
    b->n = kept;
    return VB_OK;
}

static void put_file(const vb_bake *b, FILE *to)
{
    uint8_t head[VB_TABLE_HEAD] = {0}, offset[8];
    uint64_t at = VB_TABLE_HEAD + b->n * VB_TABLE_ROW, size = at;
    for (size_t i = 0; i < b->n; i++) size += b->rows[i].bytes;
    memcpy(head, VB_TABLE_MAGIC, 8);
    vb_table_put(head + 8, 4, VB_TABLE_VERSION);
    vb_table_put(head + 16, 8, b->n);
    vb_table_put(head + 24, 8, size);
    vb_xxh128_of(head, 32, head + 32);
    fwrite(head, 1, sizeof head, to);
    for (size_t i = 0; i < b->n; i++) {
        vb_table_put(offset, 8, at);
        fwrite(b->rows[i].name, 1, sizeof b->rows[i].name, to);
        fwrite(offset, 1, sizeof offset, to);
        at += b->rows[i].bytes;
    }
    for (size_t i = 0; i < b->n; i++) fwrite(b->entries + b->rows[i].at, 1, b->rows[i].bytes, to);
}

vb_status vb_bake_write(vb_bake *b, const char *path, vb_err *err)
{
    char part[4096];
    VB_TRY(put_in_order(b, err));
    int len = snprintf(part, sizeof part, "%s.part", path);
    if (len < 0 || (size_t)len >= sizeof part) VB_FAIL(err, VB_E_ARGUMENT, "%s: path too long", path);
    FILE *to = fopen(part, "wb");
    if (to == NULL) VB_FAIL(err, VB_E_IO, "%s: cannot be written: %s", path, strerror(errno));
    errno = 0;
    put_file(b, to);
    int bad = ferror(to) || fflush(to) != 0 || fsync(fileno(to)) != 0, reason = errno;
    if (fclose(to) != 0 && !bad) bad = 1, reason = errno;
    if (!bad && rename(part, path) != 0) bad = 1, reason = errno;
    if (!bad) return VB_OK;
    unlink(part);
    VB_FAIL(err, VB_E_IO, "%s: cannot be written: %s", path, strerror(reason));
}
