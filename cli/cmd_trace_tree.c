/* cmd_trace_tree.c - `verbatim trace tree`: which trace branches from which, and what each of them says from there. */
#include "commands.h"
#include "out.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* --- which files ----------------------------------------------------------------------------------------- */

typedef struct {
    char **paths;
    size_t n, cap;
} list;

static int add(list *l, const char *directory, const char *name)
{
    size_t len = strlen(directory) + strlen(name) + 2;
    if (l->n == l->cap) {
        size_t cap = l->cap > 0 ? l->cap * 2 : 16;
        char **more = realloc(l->paths, cap * sizeof *more);
        if (more == NULL) return vb_no_memory();
        l->paths = more;
        l->cap = cap;
    }
    char *path = malloc(len);
    if (path == NULL) return vb_no_memory();
    snprintf(path, len, "%s%s%s", directory, *directory ? "/" : "", name);
    l->paths[l->n++] = path;
    return 0;
}

/* In a directory lie other files too; what begins as a trace does is one. */
static int is_trace(const char *path)
{
    static const char magic[8] = "vbtrace\n";
    char found[sizeof magic];
    FILE *f = fopen(path, "rb");
    if (f == NULL) return 0;
    int same = fread(found, 1, sizeof found, f) == sizeof found && memcmp(found, magic, sizeof found) == 0;
    fclose(f);
    return same;
}

static int is_directory(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

static int add_directory(list *l, const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort), code = 0;
    if (n < 0) {
        vb_say("%s: cannot read the directory", path);
        return VB_EXIT_IO;
    }
    for (int i = 0; i < n; i++) {
        if (code == 0) code = add(l, path, entries[i]->d_name);
        free(entries[i]);
        if (code != 0 || (!is_directory(l->paths[l->n - 1]) && is_trace(l->paths[l->n - 1]))) continue;
        free(l->paths[--l->n]);
    }
    free(entries);
    return code;
}

/* --- the tree -------------------------------------------------------------------------------------------- */

typedef struct {
    json_t *json; /* NULL: text for people */
    int damaged;
} output;

static json_t *node_json(const vb_trace_node *node)
{
    static const uint8_t none[32];
    int has_parent = memcmp(node->parent_link, none, sizeof none) != 0;
    if (node->error != NULL)
        return json_pack("{s:o, s:o}", "path", vb_json_string(node->path), "error", vb_json_string(node->error));
    return json_pack("{s:o, s:o, s:o, s:i, s:i, s:i, s:i, s:b, s:o, s:o}", "path", vb_json_string(node->path), "parent",
                     vb_json_string(node->parent), "parent_link",
                     has_parent ? vb_json_hex(node->parent_link, 32) : json_null(), "depth", node->depth, "at", node->at,
                     "tokens", node->tokens, "given", node->given, "ended", node->ended, "digest",
                     vb_json_hex(node->digest, 32), "text", vb_json_text(node->text, node->text_len));
}

static void print_node(const vb_trace_node *node)
{
    static const uint8_t none[32];
    char hex[65];
    const char *dim = vb_colour(stdout, "2"), *plain = vb_colour(stdout, "0");
    for (int i = 1; i < node->depth; i++) printf("   ");
    if (node->depth > 0) printf("\xe2\x94\x94\xe2\x94\x80 at %d: ", node->at);
    vb_put_escaped(stdout, node->path, strlen(node->path));
    if (node->parent == NULL && memcmp(node->parent_link, none, sizeof none) != 0) {
        vb_hex_text(hex, node->parent_link, 8);
        printf(", branches at %d from %s..., not among these", node->at, hex);
    }
    vb_hex_text(hex, node->digest, 8);
    printf("  %s%d tokens%s, %s%s  \"", dim, node->tokens, node->ended ? "" : ", cut", hex, plain);
    vb_put_escaped(stdout, node->text, node->text_len);
    printf("\"\n");
}

static int on_node(void *ud, const vb_trace_node *node)
{
    output *o = ud;
    if (node->error != NULL) {
        vb_say("%s", node->error);
        o->damaged = 1;
    }
    if (o->json != NULL) json_array_append_new(o->json, node_json(node));
    else if (node->error == NULL) print_node(node);
    return 0;
}

static int print_tree(const vb_args *args, const list *l)
{
    vb_err err = {0};
    output o = {.json = args->json ? json_array() : NULL};
    vb_status status = vb_trace_tree((const char *const *)l->paths, (int)l->n, on_node, &o, &err);
    if (status < 0) {
        json_decref(o.json);
        return vb_report(status, &err);
    }
    int code = args->json ? vb_print_json(o.json) : 0;
    return code == 0 && o.damaged ? VB_EXIT_INPUT : code;
}

int vb_cmd_trace_tree(const vb_args *args)
{
    list l = {0};
    int code = 0;
    for (int i = 0; i < args->n_rest && code == 0; i++)
        code = is_directory(args->rest[i]) ? add_directory(&l, args->rest[i]) : add(&l, "", args->rest[i]);
    if (code == 0) code = print_tree(args, &l);
    for (size_t i = 0; i < l.n; i++) free(l.paths[i]);
    free(l.paths);
    return code;
}
