/* cmd_ps.c - `verbatim ps` and `verbatim stop`: the models that a running server holds. */
#include "commands.h"
#include "out.h"
#include "server_ask.h"

#include <string.h>
#include <time.h>

enum { DAY = 86400 };

/* How long it still stays: "for ever", "4 min", "being unloaded". */
static void put_stay(const char *expires)
{
    struct tm at = {0};
    if (expires == NULL || strptime(expires, "%Y-%m-%dT%H:%M:%S", &at) == NULL) return;
    double left = difftime(timegm(&at), time(NULL));
    if (left > 365.0 * DAY) fputs("for ever", stdout);
    else if (left >= 2 * DAY) printf("%.0f days", left / DAY);
    else if (left >= 7200) printf("%.0f h", left / 3600);
    else if (left >= 120) printf("%.0f min", left / 60);
    else printf("%.0f s", left > 0 ? left : 0);
}

static const char *name_of(const json_t *model)
{
    const char *name = json_string_value(json_object_get(model, "name"));
    return name != NULL ? name : "";
}

static void print_models(const json_t *models)
{
    size_t i;
    json_t *m;
    int width = 4;
    json_array_foreach(models, i, m) {
        int n = (int)strlen(name_of(m));
        if (n > width) width = n;
    }
    if (json_array_size(models) == 0) vb_say("the server holds no model");
    else printf("%-*s  %10s  %8s  %s\n", width, "NAME", "MIB", "CONTEXT", "STAYS");
    json_array_foreach(models, i, m) {
        const char *name = name_of(m);
        vb_put_escaped(stdout, name, strlen(name));
        printf("%*s  %10.1f  %8d  ", width - (int)strlen(name), "",
               json_number_value(json_object_get(m, "size")) / (1 << 20),
               (int)json_integer_value(json_object_get(m, "context_length")));
        put_stay(json_string_value(json_object_get(m, "expires_at")));
        putchar('\n');
    }
}

int vb_cmd_ps(const vb_args *args)
{
    json_t *reply = NULL;
    int code = vb_server_ask(args, "/api/ps", NULL, &reply);
    if (code != 0) return code;
    if (args->json) return vb_print_json(reply);
    print_models(json_object_get(reply, "models"));
    json_decref(reply);
    return VB_EXIT_OK;
}

int vb_cmd_stop(const vb_args *args)
{
    json_t *reply = NULL;
    json_t *body = json_pack("{s:o, s:i, s:b}", "model", vb_json_string(args->rest[0]), "keep_alive", 0, "stream", 0);
    if (body == NULL) return vb_no_memory();
    int code = vb_server_ask(args, "/api/generate", body, &reply);
    if (code != 0) return code;
    if (args->json) return vb_print_json(reply);
    json_decref(reply);
    return VB_EXIT_OK;
}
