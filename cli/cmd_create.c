/* cmd_create.c - `verbatim create`: a model of our own, as a Modelfile says. */
#include "commands.h"
#include "input.h"
#include "out.h"
#include "store/modelfile.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A line for each step, of a long one every tenth. */
static int tell(void *ud, const vb_progress *p)
{
    int *tenth = ud, now = p->total > 0 ? (int)(p->completed * 10 / p->total) : -1;
    if (vb_interrupted()) return 1;
    if (now < 0) vb_say("%s", p->status);
    else if (now != *tenth) vb_say("%s: %d %%", p->status, 10 * now);
    *tenth = now;
    return 0;
}

/* FROM names a file if there is one beside the Modelfile, else a model. 0, or the exit code. */
static int resolve(json_t *said, const char *file)
{
    const char *from = json_string_value(json_object_get(said, "from")), *home = getenv("HOME");
    const char *slash = strrchr(file, '/');
    char path[PATH_MAX], whole[PATH_MAX];
    struct stat st;
    int beside = from[0] != '/' && strcmp(file, "-") != 0 && slash != NULL;
    if (strncmp(from, "~/", 2) == 0 && home != NULL) snprintf(path, sizeof path, "%s/%s", home, from + 2);
    else snprintf(path, sizeof path, "%.*s%s", beside ? (int)(slash - file + 1) : 0, file, from);
    int there = stat(path, &st) == 0 && realpath(path, whole) != NULL;
    if (strchr("./~", from[0]) == NULL && !(there && S_ISREG(st.st_mode))) return VB_EXIT_OK;
    if (!there) {
        vb_say("%s: FROM: expected a file, found none at %s", file, path);
        return VB_EXIT_INPUT;
    }
    if (!S_ISREG(st.st_mode)) {
        vb_say("%s: FROM: expected a GGUF file, found a directory or something else at %s", file, path);
        return VB_EXIT_INPUT;
    }
    json_object_set_new(said, "from", vb_json_string(whole));
    return VB_EXIT_OK;
}

static int make(const vb_args *args, json_t *said)
{
    int tenth = 0;
    vb_listener to = {tell, &tenth};
    vb_recipe recipe;
    vb_store *store;
    vb_err err = {0};
    vb_recipe_of(&recipe, args->rest[0], said);
    vb_status s = vb_store_open(&store, NULL, &err);
    if (s == VB_OK) s = vb_create(store, &recipe, &to, &err);
    vb_store_close(store);
    if (s == VB_E_NOT_FOUND) vb_say("`verbatim pull` fetches a model from a registry");
    if (s != VB_OK) return vb_report(s, &err);
    return args->json ? vb_print_json(json_pack("{s:s}", "created", args->rest[0])) : VB_EXIT_OK;
}

int vb_cmd_create(const vb_args *args)
{
    const char *file = args->modelfile != NULL ? args->modelfile : "Modelfile";
    vb_buffer text = {0};
    json_t *said = NULL;
    vb_err err = {0};
    vb_interrupt_catch();
    int code = vb_read_all(file, &text);
    if (code == 0) {
        vb_status s = vb_modelfile_parse(&said, text.data, text.len, file, &err);
        code = s == VB_OK ? resolve(said, file) : vb_report(s, &err);
    }
    if (code == 0) code = make(args, said);
    json_decref(said);
    free(text.data);
    return code;
}
