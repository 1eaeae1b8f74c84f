/* cmd_list.c - `verbatim list`: the models of the local stores, by name. */
#include "commands.h"
#include "out.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    char *name, *path, *store;
    uint64_t bytes;
} row;

typedef struct {
    row *rows;
    size_t n, cap;
} table;

static int add_row(void *ud, const vb_store_entry *entry)
{
    table *t = ud;
    if (t->n == t->cap) {
        size_t cap = 2 * t->cap + 16;
        row *grown = realloc(t->rows, cap * sizeof *grown);
        if (grown == NULL) return 1;
        t->rows = grown;
        t->cap = cap;
    }
    row *r = &t->rows[t->n++];
    *r = (row){strdup(entry->name), strdup(entry->path), strdup(entry->store), entry->bytes};
    return r->name == NULL || r->path == NULL || r->store == NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const row *)a)->name, ((const row *)b)->name);
}

static int print_json(const table *t)
{
    json_t *array = json_array();
    for (size_t i = 0; i < t->n; i++) {
        const row *r = &t->rows[i];
        json_array_append_new(array, json_pack("{s:o, s:s, s:I, s:o}", "name", vb_json_string(r->name), "store",
                                               r->store, "bytes", (json_int_t)r->bytes, "path",
                                               vb_json_string(r->path)));
    }
    return vb_print_json(array);
}

static void print_text(const table *t)
{
    int width = 4;
    for (size_t i = 0; i < t->n; i++)
        if ((int)strlen(t->rows[i].name) > width) width = (int)strlen(t->rows[i].name);
    if (t->n == 0) vb_say("no models in Ollama's store and in verbatim's own; make model fetches smollm2");
    else printf("%-*s  %10s  %-8s  %s\n", width, "NAME", "MIB", "STORE", "PATH");
    for (size_t i = 0; i < t->n; i++) {
        const row *r = &t->rows[i];
        printf("%-*s  %10.1f  %-8s  ", width, r->name, (double)r->bytes / (1 << 20), r->store);
        vb_put_escaped(stdout, r->path, strlen(r->path));
        putchar('\n');
    }
}

int vb_cmd_list(const vb_args *args)
{
    vb_err err = {0};
    table t = {0};
    int code = VB_EXIT_OK;
    vb_status status = vb_store_list(add_row, &t, &err);
    if (t.n > 0 && (t.rows[t.n - 1].path == NULL || t.rows[t.n - 1].store == NULL)) code = vb_no_memory();
    else if (status < 0) code = vb_report(status, &err);
    if (t.n > 1 && code == 0) qsort(t.rows, t.n, sizeof *t.rows, by_name);
    if (code == 0 && args->json) code = print_json(&t);
    else if (code == 0) print_text(&t);
    for (size_t i = 0; i < t.n; i++) {
        free(t.rows[i].name);
        free(t.rows[i].path);
        free(t.rows[i].store);
    }
    free(t.rows);
    return code;
}
