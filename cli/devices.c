/* devices.c - the devices of this machine, found and kept. */
#include "devices.h"

#include <stdlib.h>
#include <string.h>

static int keep(void *ud, const vb_device_entry *entry)
{
    vb_devices *d = ud;
    vb_device_entry *grown = realloc(d->entries, ((size_t)d->n + 1) * sizeof *grown);
    if (grown == NULL) return 1;
    d->entries = grown;
    vb_device_entry *e = &grown[d->n++];
    *e = *entry;
    e->name = strdup(entry->name);
    e->driver = strdup(entry->driver);
    e->type = strdup(entry->type);
    e->why = strdup(entry->why);
    return e->name == NULL || e->driver == NULL || e->type == NULL || e->why == NULL;
}

vb_status vb_devices_find(vb_devices *d)
{
    *d = (vb_devices){0};
    vb_status s = vb_device_list(keep, d, &d->none);
    if (s == VB_OK) d->none.code = VB_OK;
    if (s == VB_E_STOPPED || s == VB_E_MEMORY) {
        vb_devices_free(d);
        return VB_E_MEMORY;
    }
    return VB_OK;
}

void vb_devices_free(vb_devices *d)
{
    for (int i = 0; i < d->n; i++) {
        free((char *)d->entries[i].name);
        free((char *)d->entries[i].driver);
        free((char *)d->entries[i].type);
        free((char *)d->entries[i].why);
    }
    free(d->entries);
    *d = (vb_devices){0};
}

const char *vb_devices_none(const vb_devices *d)
{
    if (d->n > 0) return NULL;
    return d->none.code < 0 ? d->none.text : "gpu: the driver has no device";
}

void vb_device_floats(char out[40], const vb_device_entry *e)
{
    snprintf(out, 40, "%s%s%s", e->float_modes & VB_FLOATS_TO_NEAREST ? ",nearest" : "",
             e->float_modes & VB_FLOATS_SIGNED_ZERO ? ",zeros" : "",
             e->float_modes & VB_FLOATS_SUBNORMALS ? ",subnormals" : "");
    if (out[0] == 0) strcpy(out, "-");
    else memmove(out, out + 1, strlen(out));
}

static json_t *device_json(const vb_device_entry *e)
{
    json_t *why = vb_json_string(e->qualified ? NULL : e->why);
    json_t *spare = e->free_bytes > 0 ? json_integer((json_int_t)e->free_bytes) : json_null();
    json_t *floats = json_pack("{s:b, s:b, s:b}", "to_nearest", e->float_modes & VB_FLOATS_TO_NEAREST, "signed_zero",
                               e->float_modes & VB_FLOATS_SIGNED_ZERO, "subnormals",
                               e->float_modes & VB_FLOATS_SUBNORMALS);
    return json_pack("{s:i, s:o, s:o, s:o, s:I, s:o, s:o, s:b, s:o}", "index", e->index, "name",
                     vb_json_string(e->name), "type", vb_json_string(e->type), "driver", vb_json_string(e->driver),
                     "memory_bytes", (json_int_t)e->memory_bytes, "free_bytes", spare, "floats", floats, "qualified",
                     e->qualified, "why", why);
}

json_t *vb_devices_json(const vb_devices *d)
{
    json_t *list = json_array();
    for (int i = 0; i < d->n; i++) json_array_append_new(list, device_json(&d->entries[i]));
    return list;
}
