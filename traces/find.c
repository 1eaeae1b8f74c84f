/* find.c - see find.h. A path is a hint that may be stale; the SHA-256 decides. */
#include "traces/find.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

static int is_recorded(const vb_model *model, const uint8_t digest[32])
{
    uint8_t found[32];
    return vb_model_sha256(model, found, NULL) == VB_OK && memcmp(found, digest, sizeof found) == 0;
}

/* Ollama names its files by their digest; others are read, which their store remembers. */
static int has_digest(const char *path, const uint8_t digest[32])
{
    static const char prefix[] = "sha256-";
    enum { PREFIX = sizeof prefix - 1 };
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    uint8_t named[32];
    if (strncmp(name, prefix, PREFIX) == 0 && strlen(name) == PREFIX + 64)
        return vb_unhex(named, name + PREFIX, 32) && memcmp(named, digest, 32) == 0;
    vb_model_opts vocab_only = {.vocab_only = 1};
    vb_model *model;
    if (vb_model_open(&model, path, &vocab_only, NULL) < 0) return 0;
    int same = is_recorded(model, digest);
    vb_model_close(model);
    return same;
}

typedef struct {
    const uint8_t *digest;
    char *path; /* found */
} search;

static int look_at(void *ud, const vb_store_entry *entry)
{
    search *s = ud;
    if (!has_digest(entry->path, s->digest)) return 0;
    s->path = strdup(entry->path);
    return 1;
}

static vb_status open_from_store(vb_model **out, const vb_trace_reader *trace, const char *hint,
                                 const vb_model_opts *opts, vb_err *err)
{
    char hex[65];
    search s = {.digest = trace->header.model};
    vb_status status = vb_store_list(look_at, &s, err);
    if (status == VB_OK && has_digest(VB_MODEL_EMBEDDED, s.digest)) s.path = strdup(VB_MODEL_EMBEDDED);
    if (s.path != NULL) status = vb_model_open(out, s.path, opts, err);
    free(s.path);
    if (*out != NULL || (status < 0 && status != VB_E_STOPPED)) return status;
    vb_hex(hex, trace->header.model, 32);
    VB_FAIL(err, VB_E_NOT_FOUND, "%s: expected the model with SHA-256 %s at \"%.200s\" or in a store, found none",
            trace->name, hex, hint);
}

static vb_status find(vb_model **out, const vb_trace_reader *trace, const vb_model_opts *opts, vb_err *err)
{
    const vb_trace_text *text = &trace->header.texts[VB_TRACE_MODEL_PATH];
    char *hint = strndup(text->len > 0 ? (const char *)text->data : "", text->len);
    if (hint == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", trace->name);
    vb_status s = hint[0] == '/' || strcmp(hint, VB_MODEL_EMBEDDED) == 0 ? vb_model_open(out, hint, opts, err) : VB_E_NOT_FOUND;
    if (s == VB_OK && !is_recorded(*out, trace->header.model)) {
        vb_model_close(*out);
        *out = NULL;
        s = VB_E_NOT_FOUND;
    }
    if (s == VB_E_NOT_FOUND || s == VB_E_IO || s == VB_E_FORMAT) s = open_from_store(out, trace, hint, opts, err);
    free(hint);
    return s;
}

vb_status vb_trace_find_model(vb_model **out, const vb_trace_reader *trace, const char *given, const vb_model_opts *opts,
                              vb_err *err)
{
    vb_model_opts o = {0};
    if (opts != NULL) o = *opts;
    o.arith = (vb_arith)trace->header.arith;
    o.vocab_only = 0;
    *out = NULL;
    return given != NULL ? vb_model_open(out, given, &o, err) : find(out, trace, &o, err);
}
