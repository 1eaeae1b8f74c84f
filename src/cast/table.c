/* table.c - names of lines, and a table of them, mapped and read where it lies; table_file.h draws it.
 *
 * Invariant: what vb_table_find gives was written for this very name, whatever became of the file.
 */
/* OpenSSL's newer interface allocates for every digest; a step of a cast must not. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "cast/table.h"

#include "base/hash.h"
#include "base/os.h"
#include "cast/table_file.h"

#include <limits.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

/* --- names --------------------------------------------------------------------------------------------- */

struct vb_namer {
    SHA256_CTX hash;
    uint8_t cast[32];
};

vb_status vb_namer_open(vb_namer **out, const uint8_t cast[32], vb_err *err)
{
    vb_namer *n = *out = calloc(1, sizeof *n);
    if (n == NULL) VB_FAIL(err, VB_E_MEMORY, "names of lines: out of memory");
    memcpy(n->cast, cast, sizeof n->cast);
    return VB_OK;
}

void vb_namer_close(vb_namer *n)
{
    free(n);
}

static void add_number(vb_namer *n, uint64_t value, int bytes)
{
    uint8_t room[8];
    vb_table_put(room, bytes, value);
    SHA256_Update(&n->hash, room, (size_t)bytes);
}

void vb_namer_begin(vb_namer *n, const vb_line_key *key, const char *persona, uint64_t n_tokens)
{
    const uint64_t numbers[] = {key->world, key->entity, key->tick, key->draw, strlen(persona)};
    SHA256_Init(&n->hash);
    SHA256_Update(&n->hash, "vb-line-1", sizeof "vb-line-1");
    SHA256_Update(&n->hash, n->cast, sizeof n->cast);
    for (int i = 0; i < 5; i++) add_number(n, numbers[i], 8);
    SHA256_Update(&n->hash, persona, strlen(persona));
    add_number(n, n_tokens, 8);
}

void vb_namer_add(vb_namer *n, const vb_token *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) add_number(n, (uint32_t)ids[i], 4);
}

void vb_namer_end(vb_namer *n, uint8_t name[32])
{
    SHA256_Final(name, &n->hash);
}

/* --- reading ------------------------------------------------------------------------------------------- */

struct vb_table {
    vb_map map;
    uint64_t n;
};

static vb_status check_head(vb_table *t, const char *path, vb_err *err)
{
    const uint8_t *head = t->map.data;
    uint64_t size = t->map.size;
    uint8_t check[16];
    if (size < VB_TABLE_HEAD || memcmp(head, VB_TABLE_MAGIC, 8) != 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected a table of lines, found something else", path);
    if (vb_table_get(head + 8, 4) != VB_TABLE_VERSION)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s: table: expected version %d, found %llu", path, VB_TABLE_VERSION,
                (unsigned long long)vb_table_get(head + 8, 4));
    vb_xxh128_of(head, 32, check);
    if (memcmp(check, head + 32, sizeof check) != 0)
        VB_FAIL(err, VB_E_FORMAT, "%s: table: head: the check does not fit, the file is damaged", path);
    if (vb_table_get(head + 24, 8) != size)
        VB_FAIL(err, VB_E_FORMAT, "%s: table: expected %llu bytes, found %llu", path,
                (unsigned long long)vb_table_get(head + 24, 8), (unsigned long long)size);
    t->n = vb_table_get(head + 16, 8);
    if (t->n > (size - VB_TABLE_HEAD) / VB_TABLE_ROW)
        VB_FAIL(err, VB_E_FORMAT, "%s: table: %llu lines have no room in %llu bytes", path, (unsigned long long)t->n,
                (unsigned long long)size);
    return VB_OK;
}

vb_status vb_table_open(vb_table **out, const char *path, vb_err *err)
{
    vb_status status = VB_OK;
    vb_table *t = *out = calloc(1, sizeof *t);
    if (t == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", path);
    VB_TRY_OUT(status, vb_map_open(&t->map, path, err));
    VB_TRY_OUT(status, check_head(t, path, err));
    return VB_OK;
out:
    vb_table_close(t);
    *out = NULL;
    return status;
}

int64_t vb_table_count(const vb_table *table)
{
    return (int64_t)table->n;
}

void vb_table_close(vb_table *table)
{
    if (table == NULL) return;
    vb_map_close(&table->map);
    free(table);
}

/* The row of a name; NULL: there is none. */
static const uint8_t *row_of(const vb_table *t, const uint8_t name[32])
{
    uint64_t low = 0, high = t->n;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const uint8_t *row = t->map.data + VB_TABLE_HEAD + middle * VB_TABLE_ROW;
        int order = memcmp(name, row, 32);
        if (order == 0) return row;
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

/* The entry at `offset` if it is whole and was written for `name`; NULL otherwise. */
static const uint8_t *entry_at(const vb_table *t, uint64_t offset, const uint8_t name[32])
{
    uint8_t check[16];
    if (offset > t->map.size || t->map.size - offset <= VB_TABLE_ENTRY) return NULL;
    const uint8_t *entry = t->map.data + offset;
    uint64_t room = t->map.size - offset - VB_TABLE_ENTRY - 1, len = vb_table_get(entry + 16, 4);
    if (len > room || entry[VB_TABLE_ENTRY + len] != 0) return NULL;
    vb_xxh128_seeded(entry + VB_TABLE_CHECK, VB_TABLE_ENTRY - VB_TABLE_CHECK + (size_t)len + 1, vb_table_get(name, 8), check);
    return memcmp(check, entry, sizeof check) == 0 ? entry : NULL;
}

int vb_table_find(const vb_table *table, const uint8_t name[32], vb_said *out)
{
    const uint8_t *row = row_of(table, name);
    const uint8_t *entry = row != NULL ? entry_at(table, vb_table_get(row + 32, 8), name) : NULL;
    if (entry == NULL) return 0;
    *out = (vb_said){(const char *)entry + VB_TABLE_ENTRY, (size_t)vb_table_get(entry + 16, 4),
                     (vb_line_end)vb_table_get(entry + 20, 4), (int)vb_table_get(entry + 24, 4),
                     (int)vb_table_get(entry + 28, 4), (int)vb_table_get(entry + 32, 4)};
    return 1;
}
