/* zip.c - from the end of the file to its directory, from there to each entry; every number is checked before it is
 * used. */
#include "convert/zip.h"

#include <stdlib.h>
#include <string.h>

enum { END = 22, END64 = 56, LOCATOR = 20, LINE = 46, HEAD = 30, MOST_COMMENT = 65535 };

typedef struct {
    const uint8_t *data;
    uint64_t size;
    const char *name;
} archive;

typedef struct {
    uint64_t at, size, n;
} directory;

static uint64_t number(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)at[i] << 8 * i;
    return value;
}

static int is(const uint8_t *at, const char *mark)
{
    return memcmp(at, mark, 4) == 0;
}

/* --- the end ---------------------------------------------------------------------------------------------------- */

static const uint8_t *find_end(const archive *a)
{
    uint64_t lowest = a->size > END + MOST_COMMENT ? a->size - END - MOST_COMMENT : 0;
    if (a->size < END) return NULL;
    for (uint64_t at = a->size - END;; at--) {
        const uint8_t *p = a->data + at;
        if (is(p, "PK\5\6") && number(p + 20, 2) == a->size - at - END) return p;
        if (at == lowest) return NULL;
    }
}

/* A directory of 64 bits says what does not fit the end. */
static vb_status read_end64(const archive *a, const uint8_t *end, directory *d, vb_err *err)
{
    const uint8_t *locator = end - LOCATOR;
    if ((uint64_t)(end - a->data) < LOCATOR || !is(locator, "PK\6\7")) return VB_OK;
    uint64_t at = number(locator + 8, 8);
    if (at > a->size - END64 || a->size < END64 || !is(a->data + at, "PK\6\6"))
        VB_FAIL(err, VB_E_FORMAT, "%s: expected the end of a directory at byte %llu", a->name, (unsigned long long)at);
    d->n = number(a->data + at + 32, 8);
    d->size = number(a->data + at + 40, 8);
    d->at = number(a->data + at + 48, 8);
    return VB_OK;
}

static vb_status read_end(const archive *a, directory *d, vb_err *err)
{
    const uint8_t *end = find_end(a);
    if (end == NULL) VB_FAIL(err, VB_E_FORMAT, "%s: expected a zip archive", a->name);
    *d = (directory){number(end + 16, 4), number(end + 12, 4), number(end + 10, 2)};
    VB_TRY(read_end64(a, end, d, err));
    if (d->at > (uint64_t)(end - a->data) || d->size > (uint64_t)(end - a->data) - d->at || d->n > d->size / LINE)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected a directory inside the file, found %llu entries in %llu bytes at %llu",
                a->name, (unsigned long long)d->n, (unsigned long long)d->size, (unsigned long long)d->at);
    return VB_OK;
}

/* --- entries ---------------------------------------------------------------------------------------------------- */

/* Sizes and places that do not fit 32 bits stand in an extra field, in this order, each only if it is needed. */
static int read_extra(const uint8_t *extra, uint64_t len, uint64_t *value[3])
{
    while (len >= 4) {
        uint64_t id = number(extra, 2), size = number(extra + 2, 2);
        if (size > len - 4) return 0;
        const uint8_t *at = extra + 4, *end = at + size;
        for (int i = 0; id == 1 && i < 3; i++) {
            if (*value[i] != UINT32_MAX) continue;
            if (end - at < 8) return 0;
            *value[i] = number(at, 8);
            at += 8;
        }
        extra = end;
        len -= 4 + size;
    }
    return 1;
}

static vb_status bad_entry(const archive *a, const vb_zip_entry *e, const char *what, vb_err *err)
{
    return vb_fail(err, VB_E_FORMAT, "%s: entry \"%.*s\": expected %s", a->name,
                   (int)(e->name.len < 80 ? e->name.len : 80), e->name.ptr, what);
}

static vb_status check_head(const archive *a, const directory *d, vb_zip_entry *e, vb_err *err)
{
    if (e->head > d->at || d->at - e->head < HEAD || !is(a->data + e->head, "PK\3\4"))
        return bad_entry(a, e, "its head before the directory", err);
    const uint8_t *head = a->data + e->head;
    uint64_t texts = number(head + 26, 2) + number(head + 28, 2), room = d->at - e->head - HEAD;
    if (number(head + 26, 2) != e->name.len || texts > room || e->size > room - texts)
        return bad_entry(a, e, "its bytes before the directory", err);
    if (memcmp(head + HEAD, e->name.ptr, e->name.len) != 0) return bad_entry(a, e, "the same name at its bytes", err);
    e->offset = e->head + HEAD + texts;
    return VB_OK;
}

/* The line at *at, which moves behind it. */
static vb_status read_line(const archive *a, const directory *d, uint64_t *at, vb_zip_entry *e, vb_err *err)
{
    const uint8_t *line = a->data + *at;
    uint64_t room = d->at + d->size - *at;
    if (room < LINE || !is(line, "PK\1\2"))
        VB_FAIL(err, VB_E_FORMAT, "%s: byte %llu: expected a line of the directory", a->name, (unsigned long long)*at);
    uint64_t name = number(line + 28, 2), extra = number(line + 30, 2), note = number(line + 32, 2);
    if (name + extra + note > room - LINE)
        VB_FAIL(err, VB_E_FORMAT, "%s: byte %llu: expected a whole line", a->name, (unsigned long long)*at);
    uint64_t packed = number(line + 20, 4);
    *e = (vb_zip_entry){{(const char *)line + LINE, (size_t)name}, number(line + 42, 4), 0, number(line + 24, 4)};
    if (!read_extra(line + LINE + name, extra, (uint64_t *[3]){&e->size, &packed, &e->head}))
        return bad_entry(a, e, "whole extra fields", err);
    if (number(line + 8, 2) & 1) return bad_entry(a, e, "no encryption", err);
    if (number(line + 10, 2) != 0 || packed != e->size) return bad_entry(a, e, "bytes that are not compressed", err);
    *at += LINE + name + extra + note;
    return check_head(a, d, e, err);
}

static int by_place(const void *a, const void *b)
{
    const vb_zip_entry *x = a, *y = b;
    return (x->head > y->head) - (x->head < y->head);
}

static int by_name(const void *a, const void *b)
{
    const vb_text *x = &((const vb_zip_entry *)a)->name, *y = &((const vb_zip_entry *)b)->name;
    int order = memcmp(x->ptr, y->ptr, x->len < y->len ? x->len : y->len);
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static vb_status check_all(const archive *a, vb_zip *z, vb_err *err)
{
    qsort(z->entries, z->n, sizeof *z->entries, by_place);
    for (uint64_t i = 1; i < z->n; i++)
        if (z->entries[i].head < z->entries[i - 1].offset + z->entries[i - 1].size)
            return bad_entry(a, &z->entries[i], "bytes of its own", err);
    qsort(z->entries, z->n, sizeof *z->entries, by_name);
    for (uint64_t i = 1; i < z->n; i++)
        if (by_name(&z->entries[i - 1], &z->entries[i]) == 0) return bad_entry(a, &z->entries[i], "its name once", err);
    return VB_OK;
}

vb_status vb_zip_read(vb_zip *z, const uint8_t *data, uint64_t size, const char *name, vb_err *err)
{
    archive a = {data, size, name};
    directory d = {0, 0, 0};
    *z = (vb_zip){0};
    VB_TRY(read_end(&a, &d, err));
    z->entries = calloc(d.n + 1, sizeof *z->entries);
    if (z->entries == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: no memory for %llu entries", name, (unsigned long long)d.n);
    uint64_t at = d.at;
    for (; z->n < d.n; z->n++) VB_TRY(read_line(&a, &d, &at, &z->entries[z->n], err));
    return check_all(&a, z, err);
}

void vb_zip_free(vb_zip *z)
{
    free(z->entries);
    *z = (vb_zip){0};
}

const vb_zip_entry *vb_zip_find(const vb_zip *z, const char *name, size_t len)
{
    vb_zip_entry wanted = {.name = {name, len}};
    return z->n == 0 ? NULL : bsearch(&wanted, z->entries, z->n, sizeof *z->entries, by_name);
}
