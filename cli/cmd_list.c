/* cmd_list.c - `verbatim list`: the models of the local stores, by name, with what each takes of the disk and of memory:
 * its weights and one session of the default size; and the one inside the program. */
#include "commands.h"
#include "out.h"
#include "store/transfer.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    char *name, *path, *store;
    uint64_t bytes, memory; /* memory 0: verbatim cannot run it */
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
    *r = (row){strdup(entry->name), strdup(entry->path), strdup(entry->store), entry->bytes, 0};
    return r->name == NULL || r->path == NULL || r->store == NULL;
}

/* The model that the program brings along; its short name means another one where a store has that. */
static int add_embedded(table *t)
{
    vb_model *model;
    vb_model_info info;
    if (vb_model_open(&model, VB_MODEL_EMBEDDED, &(vb_model_opts){.vocab_only = 1}, NULL) < 0) return 1;
    vb_model_describe(model, &info);
    int full = add_row(t, &(vb_store_entry){.name = info.name, .path = info.path, .store = "embedded", .bytes = info.file_bytes});
    vb_model_close(model);
    return full;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const row *)a)->name, ((const row *)b)->name);
}

static void measure(row *r)
{
    vb_model *model;
    vb_model_info info;
    vb_session_opts session = {0};
    vb_err err;
    if (vb_model_open(&model, r->path, &(vb_model_opts){0}, &err) < 0) return;
    vb_model_describe(model, &info);
    r->memory = info.weight_bytes + vb_session_bytes(model, &session);
    vb_model_close(model);
}

static int print_json(const table *t, uint64_t available)
{
    json_t *array = json_array();
    for (size_t i = 0; i < t->n; i++) {
        const row *r = &t->rows[i];
        json_t *memory = r->memory > 0 ? json_integer((json_int_t)r->memory) : json_null();
        json_array_append_new(array, json_pack("{s:o, s:s, s:I, s:o, s:b, s:o}", "name", vb_json_string(r->name), "store",
                                               r->store, "bytes", (json_int_t)r->bytes, "memory_bytes", memory, "fits",
                                               r->memory > 0 && r->memory <= available, "path", vb_json_string(r->path)));
    }
    return vb_print_json(array);
}

/* "104.5", with a mark where it is more than the machine has left. */
static void put_memory(const row *r, uint64_t available)
{
    if (r->memory == 0) printf("  %10s ", "-");
    else printf("  %10.1f%c", (double)r->memory / (1 << 20), r->memory <= available ? ' ' : '!');
}

static void say_partial(void)
{
    vb_store *store;
    uint64_t bytes = 0;
    if (vb_store_open_readonly(&store, NULL, NULL) < 0) return;
    int n = vb_store_partial(store, &bytes);
    vb_store_close(store);
    if (n == 0) return;
    fprintf(stderr, "verbatim: %d download%s not complete, ", n, n == 1 ? " is" : "s are");
    vb_put_bytes(stderr, bytes);
    fputs(" so far; `verbatim pull` goes on with it\n", stderr);
}

static void print_text(const table *t, uint64_t available)
{
    int width = 4, large = 0;
    for (size_t i = 0; i < t->n; i++)
        if ((int)strlen(t->rows[i].name) > width) width = (int)strlen(t->rows[i].name);
    if (t->n == 1) vb_say("no models in Ollama's store and in verbatim's own: verbatim pull NAME gets one");
    printf("%-*s  %10s  %10s   %-8s  %s\n", width, "NAME", "DISK MIB", "MEMORY MIB", "STORE", "PATH");
    for (size_t i = 0; i < t->n; i++) {
        const row *r = &t->rows[i];
        printf("%-*s  %10.1f", width, r->name, (double)r->bytes / (1 << 20));
        put_memory(r, available);
        printf("  %-8s  ", r->store);
        large |= r->memory > available;
        vb_put_escaped(stdout, r->path, strlen(r->path));
        putchar('\n');
    }
    if (large) vb_say("! more than this machine has free: %.1f MiB", (double)available / (1 << 20));
    say_partial();
}

int vb_cmd_list(const vb_args *args)
{
    vb_err err = {0};
    table t = {0};
    int code = VB_EXIT_OK;
    vb_machine machine;
    vb_machine_describe(&machine);
    vb_status status = vb_store_list(add_row, &t, &err);
    if (status == VB_OK && add_embedded(&t)) code = vb_no_memory();
    if (t.n > 0 && (t.rows[t.n - 1].path == NULL || t.rows[t.n - 1].store == NULL)) code = vb_no_memory();
    else if (status < 0) code = vb_report(status, &err);
    if (t.n > 1 && code == 0) qsort(t.rows, t.n, sizeof *t.rows, by_name);
    for (size_t i = 0; i < t.n && code == 0; i++) measure(&t.rows[i]);
    if (code == 0 && args->json) code = print_json(&t, machine.available_bytes);
    else if (code == 0) print_text(&t, machine.available_bytes);
    for (size_t i = 0; i < t.n; i++) {
        free(t.rows[i].name);
        free(t.rows[i].path);
        free(t.rows[i].store);
    }
    free(t.rows);
    return code;
}
