/* cmd_devices.c - `verbatim devices`: what speaks Vulkan here, what its driver promises of floats, and whether it has
 * computed our bits just now. That there is none is an answer too.
 */
#include "commands.h"
#include "devices.h"

#include <string.h>

static int longest(const vb_devices *d, int of_driver)
{
    size_t most = of_driver ? strlen("DRIVER") : strlen("NAME");
    for (int i = 0; i < d->n; i++) {
        size_t n = strlen(of_driver ? d->entries[i].driver : d->entries[i].name);
        most = n > most ? n : most;
    }
    return (int)most;
}

/* A driver's own words, and spaces behind them. */
static void put_column(const char *text, int width)
{
    vb_put_escaped(stdout, text, strlen(text));
    printf("%*s  ", width - (int)strlen(text), "");
}

static void print_text(const vb_devices *d)
{
    char floats[40];
    int name = longest(d, 0), driver = longest(d, 1);
    if (d->n == 0) return;
    printf("DEVICE  %-*s  %-10s  %-*s  %10s  %-24s  QUALIFIED\n", name, "NAME", "TYPE", driver, "DRIVER", "MEMORY MIB",
           "FLOATS");
    for (int i = 0; i < d->n; i++) {
        const vb_device_entry *e = &d->entries[i];
        vb_device_floats(floats, e);
        printf("%6d  ", e->index);
        put_column(e->name, name);
        printf("%-10s  ", e->type);
        put_column(e->driver, driver);
        printf("%10.0f  %-24s  ", (double)e->memory_bytes / (1 << 20), floats);
        if (!e->qualified) printf("%sno%s: ", vb_colour(stdout, "31"), vb_colour(stdout, "0"));
        else printf("%syes%s", vb_colour(stdout, "32"), vb_colour(stdout, "0"));
        vb_put_escaped(stdout, e->why, strlen(e->why));
        putchar('\n');
    }
}

int vb_cmd_devices(const vb_args *args)
{
    vb_devices d;
    int code = VB_EXIT_OK;
    if (vb_devices_find(&d) < 0) return vb_no_memory();
    const char *none = vb_devices_none(&d);
    if (args->json)
        code = vb_print_json(json_pack("{s:o, s:o}", "devices", vb_devices_json(&d), "none", vb_json_string(none)));
    else if (none != NULL) vb_say("no device: %s", none);
    else print_text(&d);
    vb_devices_free(&d);
    return code;
}
