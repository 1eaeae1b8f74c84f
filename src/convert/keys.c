/* keys.c - a short list of keys, written at the end. */
#include "convert/keys.h"

#include <stdio.h>
#include <string.h>

static vb_key *slot(vb_keys *k, const char *name)
{
    if (k->status < 0) return NULL;
    for (int i = 0; i < k->n; i++)
        if (strcmp(k->all[i].name, name) == 0) return &k->all[i];
    if (k->n == VB_KEYS_MAX) {
        k->status = vb_fail(&k->err, VB_E_UNSUPPORTED, "%s: more than %d keys", k->arch, VB_KEYS_MAX);
        return NULL;
    }
    k->all[k->n].name = name;
    return &k->all[k->n++];
}

static void set(vb_keys *k, const char *name, vb_gguf_type type, double number)
{
    vb_key *key = slot(k, name);
    if (key != NULL) *key = (vb_key){.name = name, .type = type, .n = -1, .number = number};
}

void vb_key_u32(vb_keys *k, const char *name, int64_t value)
{
    if (k->status == VB_OK && (value < 0 || value > UINT32_MAX))
        k->status = vb_fail(&k->err, VB_E_FORMAT, "%s.%s: expected a number of 32 bits, found %lld", k->arch, name,
                            (long long)value);
    set(k, name, VB_GGUF_U32, (double)value);
}

void vb_key_f32(vb_keys *k, const char *name, double value)
{
    set(k, name, VB_GGUF_F32, value);
}

void vb_key_bool(vb_keys *k, const char *name, int value)
{
    set(k, name, VB_GGUF_BOOL, value != 0);
}

void vb_key_text(vb_keys *k, const char *name, const char *value)
{
    vb_key *key = slot(k, name);
    if (key != NULL) *key = (vb_key){.name = name, .type = VB_GGUF_STRING, .n = -1, .text = value};
}

void vb_key_array(vb_keys *k, const char *name, vb_gguf_type item, const int32_t *items, int n)
{
    int32_t *copy = vb_arena_array(k->arena, (size_t)n + 1, sizeof *copy);
    vb_key *key = slot(k, name);
    if (key == NULL) return;
    if (copy == NULL) {
        k->status = vb_fail(&k->err, VB_E_MEMORY, "%s: out of memory", name);
        return;
    }
    memcpy(copy, items, (size_t)n * sizeof *copy);
    *key = (vb_key){.name = name, .type = item, .n = n, .items = copy};
}

/* --- from settings --------------------------------------------------------------------------------------------- */

/* Keeps a failure; 1: there is a value. */
static int got(vb_keys *k, vb_status status, const vb_err *err, int needed)
{
    if (status == VB_OK) return 1;
    if (status == VB_E_NOT_FOUND && !needed) return 0;
    k->status = status == VB_E_NOT_FOUND ? VB_E_FORMAT : status;
    k->err = *err;
    return 0;
}

static void u32_from(vb_keys *k, const char *name, const char *settings, int needed)
{
    vb_err err;
    int64_t value = 0;
    if (k->status < 0) return;
    vb_status status = vb_setting_int(k->folder, settings, 0, UINT32_MAX, &value, &err);
    if (got(k, status, &err, needed)) vb_key_u32(k, name, value);
}

static void f32_from(vb_keys *k, const char *name, const char *settings, int needed)
{
    vb_err err;
    double value = 0.0;
    if (k->status < 0) return;
    if (got(k, vb_setting_real(k->folder, settings, &value, &err), &err, needed)) vb_key_f32(k, name, value);
}

void vb_key_take_u32(vb_keys *k, const char *name, const char *settings)
{
    u32_from(k, name, settings, 0);
}

void vb_key_take_f32(vb_keys *k, const char *name, const char *settings)
{
    f32_from(k, name, settings, 0);
}

void vb_key_need_u32(vb_keys *k, const char *name, const char *settings)
{
    u32_from(k, name, settings, 1);
}

void vb_key_need_f32(vb_keys *k, const char *name, const char *settings)
{
    f32_from(k, name, settings, 1);
}

int64_t vb_key_int(vb_keys *k, const char *settings, int64_t otherwise)
{
    vb_err err;
    int64_t value = otherwise;
    if (k->status < 0) return otherwise;
    return got(k, vb_setting_int(k->folder, settings, 0, UINT32_MAX, &value, &err), &err, 0) ? value : otherwise;
}

double vb_key_real(vb_keys *k, const char *settings, double otherwise)
{
    vb_err err;
    double value = otherwise;
    if (k->status < 0) return otherwise;
    return got(k, vb_setting_real(k->folder, settings, &value, &err), &err, 0) ? value : otherwise;
}

/* --- writing --------------------------------------------------------------------------------------------------- */

static void write_array(const vb_key *key, const char *name, vb_gguf_writer *w)
{
    vb_gguf_put_array(w, name, key->type, (uint64_t)key->n);
    for (int i = 0; i < key->n; i++) {
        uint8_t byte = key->items[i] != 0;
        if (key->type == VB_GGUF_BOOL)
            vb_gguf_put_item(w, &byte, 1);
        else
            vb_gguf_put_item(w, &key->items[i], sizeof key->items[i]);
    }
}

static void write_one(const vb_key *key, const char *name, vb_gguf_writer *w)
{
    if (key->n >= 0)
        write_array(key, name, w);
    else if (key->type == VB_GGUF_U32)
        vb_gguf_put_u32(w, name, (uint32_t)key->number);
    else if (key->type == VB_GGUF_F32)
        vb_gguf_put_f32(w, name, (float)key->number);
    else if (key->type == VB_GGUF_BOOL)
        vb_gguf_put_bool(w, name, key->number != 0.0);
    else
        vb_gguf_put_text(w, name, key->text);
}

vb_status vb_keys_write(const vb_keys *k, vb_gguf_writer *w, vb_err *err)
{
    char name[128];
    if (k->status < 0 && err != NULL) *err = k->err;
    for (int i = 0; i < k->n && k->status == VB_OK; i++) {
        int whole = strncmp(k->all[i].name, "general.", 8) == 0;
        snprintf(name, sizeof name, "%s%s%s", whole ? "" : k->arch, whole ? "" : ".", k->all[i].name);
        write_one(&k->all[i], name, w);
    }
    return k->status;
}
