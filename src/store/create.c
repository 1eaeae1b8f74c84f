/* create.c - the layers of a new model, gathered, and its manifest.
 *
 *   recipe --> base layers (another model's, or one file) --> [template] [system] [license...] [params] [messages]
 *          --> config (what the file says of itself) --> manifest
 *
 * What is not replaced stays as the base has it. Layers come in the order and with the bytes that Ollama would write, so that
 * the same model has the same digests in both. Invariant: nothing has a name before all of it is on disk; a failure on the
 * way leaves blobs at most, which the next creation finds again.
 */
#include "store/create.h"

#include "base/err.h"
#include "base/hash.h"
#include "store/disk.h"
#include "store/figures.h"
#include "store/gojson.h"
#include "store/params.h"
#include "store/source.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { TEXT_MOST = 1 << 20 };

typedef struct {
    vb_store *store;
    const vb_recipe *recipe;
    const vb_listener *to;
    vb_ref ref;
    vb_image image;
    json_t *config; /* of the base; NULL: none */
} making;

static vb_status say(const making *m, const char *status, vb_err *err)
{
    return vb_tell(m->to, &(vb_progress){.status = status}, err);
}

/* --- what may be asked for ------------------------------------------------------------------------------- */

static int is_relative(const char *path)
{
    size_t n = strlen(path);
    if (n == 0 || path[0] == '/' || path[n - 1] == '/' || strstr(path, "//") != NULL) return 0;
    for (const char *part = path; part != NULL; part = strchr(part, '/')) {
        part += part[0] == '/';
        size_t len = strcspn(part, "/");
        if ((len == 1 && part[0] == '.') || (len == 2 && memcmp(part, "..", 2) == 0)) return 0;
    }
    return 1;
}

static vb_status check_files(json_t *files, vb_err *err)
{
    const char *name;
    char hex[65];
    json_t *digest;
    json_object_foreach(files, name, digest) {
        if (!is_relative(name)) VB_FAIL(err, VB_E_ARGUMENT, "file path must be relative");
        if (!json_is_string(digest) || !vb_digest_parse(hex, json_string_value(digest)))
            VB_FAIL(err, VB_E_ARGUMENT, "invalid digest format");
    }
    return VB_OK;
}

static vb_status check_messages(json_t *messages, vb_err *err)
{
    static const char *const roles[] = {"system", "user", "assistant", "tool"};
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const char *role = json_string_value(json_object_get(json_array_get(messages, i), "role"));
        size_t k = 0;
        while (role != NULL && k < 4 && strcmp(role, roles[k]) != 0) k++;
        if (role == NULL || k == 4)
            VB_FAIL(err, VB_E_ARGUMENT, "message %zu: expected the role system, user, assistant or tool, found '%.40s'", i,
                    role != NULL ? role : "none");
    }
    return VB_OK;
}

/* A template that could never render is refused now rather than at the first question. */
static vb_status check_template(const char *text, vb_err *err)
{
    static const char input[] = "{\"language\":\"go\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}";
    vb_err why = {0};
    if (text == NULL || vb_template_render(NULL, text, strlen(text), input, sizeof input - 1, NULL, 0, &why) >= 0) return VB_OK;
    VB_FAIL(err, VB_E_ARGUMENT, "template error: %.450s", why.text);
}

static vb_status check_recipe(const vb_recipe *r, vb_err *err)
{
    if (r->quantize != NULL && r->quantize[0] != '\0')
        VB_FAIL(err, VB_E_UNSUPPORTED, "quantize: not supported; give a file that is quantized to %.20s already", r->quantize);
    if (json_object_size(r->adapters) > 0) VB_FAIL(err, VB_E_UNSUPPORTED, "adapters are not supported");
    VB_TRY(check_files(r->files, err));
    VB_TRY(vb_params_check(r->parameters, err));
    VB_TRY(check_messages(r->messages, err));
    VB_TRY(check_template(r->template_, err));
    if (r->from == NULL || r->from[0] == '\0') {
        if (r->files == NULL) VB_FAIL(err, VB_E_ARGUMENT, "neither 'from' or 'files' was specified");
        if (json_object_size(r->files) == 0) VB_FAIL(err, VB_E_ARGUMENT, "no files provided to convert");
        if (json_object_size(r->files) > 1)
            VB_FAIL(err, VB_E_UNSUPPORTED, "files: expected one GGUF file that holds the whole model, found %zu files",
                    json_object_size(r->files));
    }
    return VB_OK;
}

/* --- the base -------------------------------------------------------------------------------------------- */

static vb_status add_layer(making *m, const char *kind, const char *hex, uint64_t bytes, vb_err *err)
{
    if (m->image.n == VB_LAYERS_MOST) VB_FAIL(err, VB_E_FORMAT, "expected at most %d layers, found more", VB_LAYERS_MOST);
    vb_layer *l = &m->image.layers[m->image.n++];
    memset(l, 0, sizeof *l);
    snprintf(l->media, sizeof l->media, VB_MEDIA_KIND "%s", kind);
    snprintf(l->hex, sizeof l->hex, "%s", hex);
    l->bytes = bytes;
    return VB_OK;
}

/* The digest of a GGUF file that holds a whole model. */
static vb_status read_digest(const char *path, char hex[65], vb_err *err)
{
    vb_model_opts opts = {.vocab_only = 1};
    vb_model_info info;
    vb_model *model;
    uint8_t sha256[32];
    struct stat st;
    VB_TRY(vb_model_open(&model, path, &opts, err));
    vb_model_describe(model, &info);
    vb_status s = vb_model_sha256(model, sha256, err);
    vb_model_close(model);
    vb_hex(hex, sha256, sizeof sha256);
    if (s == VB_OK && stat(path, &st) == 0 && (uint64_t)st.st_size != info.file_bytes)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%.300s: expected one file with the whole model, found a part of a split one", path);
    return s;
}

static vb_status import_file(making *m, const char *path, vb_err *err)
{
    char hex[65];
    uint64_t bytes;
    VB_TRY(say(m, "parsing GGUF", err));
    VB_TRY(read_digest(path, hex, err));
    int made = vb_store_blob_size(m->store, hex) < 0;
    VB_TRY(vb_blob_import(m->store, path, hex, &bytes, m->to, err));
    VB_TRY(add_layer(m, "model", hex, bytes, err));
    m->image.layers[0].made = made;
    return VB_OK;
}

static vb_status use_file(making *m, vb_err *err)
{
    void *first = json_object_iter(m->recipe->files);
    const char *digest = json_string_value(json_object_iter_value(first));
    char hex[65];
    vb_digest_parse(hex, digest);
    VB_TRY(say(m, "parsing GGUF", err));
    int64_t bytes = vb_store_blob_size(m->store, hex);
    if (bytes < 0) VB_FAIL(err, VB_E_NOT_FOUND, "blob \"%s\" not found", digest);
    return add_layer(m, "model", hex, (uint64_t)bytes, err);
}

/* What the base's own configuration says, where Ollama keeps what is in no layer. */
static void keep_config(making *m, const vb_store *store, const vb_layer *config)
{
    char name[80];
    size_t len;
    if (config->hex[0] == '\0' || store->blobs < 0) return;
    snprintf(name, sizeof name, "sha256-%s", config->hex);
    char *text = vb_disk_read(store->blobs, name, TEXT_MOST, &len);
    if (text != NULL) m->config = json_loadb(text, len, 0, NULL);
    free(text);
}

/* The blob in our own store, where it has to be fetched from another one. */
static vb_status bring(making *m, const vb_store *other, vb_layer *l, vb_err *err)
{
    char path[4700];
    if (other == NULL) return VB_OK;
    vb_store_blob_path(other, l->hex, path, sizeof path);
    return vb_blob_import(m->store, path, l->hex, &l->bytes, m->to, err);
}

static vb_status use_layers(making *m, const vb_origin *source, const vb_image *base, vb_err *err)
{
    char from[720];
    vb_ref_text(&source->ref, from, sizeof from);
    for (int i = 0; i < base->n; i++) {
        vb_layer l = base->layers[i];
        VB_TRY(bring(m, source->other, &l, err));
        snprintf(l.from, sizeof l.from, "%.399s", from);
        m->image.layers[m->image.n++] = l;
    }
    keep_config(m, source->other != NULL ? source->other : m->store, &base->config);
    return VB_OK;
}

static vb_status use_model(making *m, vb_err *err)
{
    vb_origin source;
    VB_TRY(vb_origin_find(&source, m->store, m->recipe->from, err));
    vb_status s;
    if (source.kind == VB_ORIGIN_FILE) {
        s = import_file(m, source.path, err);
    } else {
        vb_image *base = malloc(sizeof *base);
        s = base != NULL ? vb_image_read(base, source.other != NULL ? source.other : m->store, &source.ref, err)
                         : vb_fail(err, VB_E_MEMORY, "%s: out of memory", m->store->dir);
        if (s == VB_OK) s = use_layers(m, &source, base, err);
        free(base);
    }
    vb_origin_close(&source);
    return s;
}

static vb_status take_base(making *m, vb_err *err)
{
    const char *from = m->recipe->from;
    if (from == NULL || from[0] == '\0') return use_file(m, err);
    return from[0] == '/' ? import_file(m, from, err) : use_model(m, err);
}

/* --- the rest of the layers ------------------------------------------------------------------------------ */

static int is_kind(const vb_layer *l, const char *kind)
{
    return strncmp(l->media, VB_MEDIA_KIND, sizeof VB_MEDIA_KIND - 1) == 0 &&
           strcmp(l->media + sizeof VB_MEDIA_KIND - 1, kind) == 0;
}

static void remove_kind(making *m, const char *kind)
{
    int n = 0;
    for (int i = 0; i < m->image.n; i++)
        if (!is_kind(&m->image.layers[i], kind)) m->image.layers[n++] = m->image.layers[i];
    m->image.n = n;
}

static vb_status add_text(making *m, const char *kind, const char *text, size_t len, vb_err *err)
{
    uint8_t sha256[32];
    char hex[65];
    if (len > TEXT_MOST) VB_FAIL(err, VB_E_ARGUMENT, "%s: expected at most %d bytes, found %zu", kind, TEXT_MOST, len);
    vb_sha256_of(text, len, sha256);
    vb_hex(hex, sha256, sizeof sha256);
    int made = vb_store_blob_size(m->store, hex) < 0;
    VB_TRY(vb_blob_of(m->store, text, len, hex, err));
    VB_TRY(add_layer(m, kind, hex, len, err));
    m->image.layers[m->image.n - 1].made = made;
    return VB_OK;
}

static vb_status set_text(making *m, const char *kind, const char *text, vb_err *err)
{
    if (text == NULL || text[0] == '\0') return VB_OK;
    remove_kind(m, kind);
    return add_text(m, kind, text, strlen(text), err);
}

static vb_status add_license(making *m, json_t *license, vb_err *err)
{
    if (license == NULL) return VB_OK;
    if (json_is_string(license) && json_string_length(license) == 0) return VB_OK;
    if (json_is_string(license))
        return add_text(m, "license", json_string_value(license), json_string_length(license), err);
    for (size_t i = 0; i < json_array_size(license); i++) {
        json_t *one = json_array_get(license, i);
        if (!json_is_string(one)) VB_FAIL(err, VB_E_ARGUMENT, "license: expected texts, found something else");
        VB_TRY(add_license(m, one, err));
    }
    return VB_OK;
}

/* Those of the base that the recipe does not name, under those that it does. */
static json_t *merged_parameters(const making *m)
{
    json_t *all = json_object(), *base = NULL;
    char name[80];
    size_t len;
    for (int i = 0; i < m->image.n; i++) {
        if (!is_kind(&m->image.layers[i], "params")) continue;
        snprintf(name, sizeof name, "sha256-%s", m->image.layers[i].hex);
        char *text = vb_disk_read(m->store->blobs, name, TEXT_MOST, &len);
        if (text != NULL && (base = json_loadb(text, len, 0, NULL)) != NULL) json_object_update(all, base);
        json_decref(base);
        free(text);
    }
    json_object_update(all, m->recipe->parameters);
    json_t *stop = json_object_get(all, "stop");
    if (json_is_string(stop)) json_object_set_new(all, "stop", json_pack("[O]", stop));
    return vb_gojson_sorted(all);
}

static vb_status add_json(making *m, const char *kind, json_t *value, vb_err *err)
{
    size_t len;
    char *text = vb_gojson(value, &len);
    if (text == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", m->store->dir);
    remove_kind(m, kind);
    vb_status s = add_text(m, kind, text, len, err);
    free(text);
    return s;
}

static vb_status add_rest(making *m, vb_err *err)
{
    const vb_recipe *r = m->recipe;
    VB_TRY(set_text(m, "template", r->template_, err));
    VB_TRY(set_text(m, "system", r->system, err));
    VB_TRY(add_license(m, r->license, err));
    json_t *parameters = merged_parameters(m);
    vb_status s = json_object_size(parameters) > 0 ? add_json(m, "params", parameters, err) : VB_OK;
    json_decref(parameters);
    if (s == VB_OK && json_array_size(r->messages) > 0) s = add_json(m, "messages", r->messages, err);
    return s;
}

/* --- configuration and manifest -------------------------------------------------------------------------- */

/* The weights' figures; fails for a file that we could not open. */
static vb_status read_figures(const making *m, vb_figures *out, vb_err *err)
{
    char path[4700];
    vb_model *model;
    vb_model_opts opts = {.vocab_only = 1};
    int i = 0;
    while (i < m->image.n && !is_kind(&m->image.layers[i], "model")) i++;
    if (i == m->image.n) VB_FAIL(err, VB_E_FORMAT, "expected a layer with a GGUF model, found none");
    vb_store_blob_path(m->store, m->image.layers[i].hex, path, sizeof path);
    VB_TRY(vb_model_open(&model, path, &opts, err));
    vb_figures_of(model, out);
    vb_model_close(model);
    return VB_OK;
}

static void put_said(json_t *config, const making *m, const char *key, const char *said)
{
    json_t *base = json_object_get(m->config, key);
    if (said != NULL && said[0] != '\0') json_object_set_new(config, key, json_string(said));
    else if (base != NULL) json_object_set(config, key, base);
}

static vb_status add_config(making *m, vb_err *err)
{
    vb_figures f;
    size_t len;
    VB_TRY(read_figures(m, &f, err));
    json_t *config = json_pack("{s:s, s:s, s:[s], s:s, s:s}", "model_format", "gguf", "model_family", f.family,
                               "model_families", f.family, "model_type", f.parameters, "file_type", f.format);
    put_said(config, m, "renderer", m->recipe->renderer);
    put_said(config, m, "parser", m->recipe->parser);
    put_said(config, m, "requires", m->recipe->requires);
    put_said(config, m, "capabilities", NULL);
    json_object_set_new(config, "architecture", json_string("amd64"));
    json_object_set_new(config, "os", json_string("linux"));
    char *text = vb_gojson(config, &len);
    json_decref(config);
    if (text == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", m->store->dir);
    vb_layer *l = &m->image.config;
    snprintf(l->media, sizeof l->media, "%s", VB_MEDIA_CONFIG);
    l->bytes = len;
    vb_status s = vb_blob_of(m->store, text, len, l->hex, err);
    free(text);
    return s;
}

static vb_status write_image(making *m, vb_err *err)
{
    char line[128];
    size_t len;
    for (int i = 0; i < m->image.n; i++) {
        snprintf(line, sizeof line, "%s sha256:%s", m->image.layers[i].made ? "creating new layer" : "using existing layer",
                 m->image.layers[i].hex);
        VB_TRY(say(m, line, err));
    }
    VB_TRY(say(m, "writing manifest", err));
    char *text = vb_image_text(&m->image, &len);
    if (text == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", m->store->dir);
    vb_status s = vb_store_put(m->store, &m->ref, text, len, err);
    free(text);
    return s;
}

vb_status vb_create(vb_store *store, const vb_recipe *recipe, const vb_listener *to, vb_err *err)
{
    making *m = calloc(1, sizeof *m);
    vb_status s;
    if (m == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", vb_store_dir(store));
    m->store = store;
    m->recipe = recipe;
    m->to = to;
    s = recipe->name != NULL && vb_ref_parse(&m->ref, recipe->name) ? VB_OK
                                                                    : vb_fail(err, VB_E_ARGUMENT, "invalid model name");
    if (s == VB_OK) s = check_recipe(recipe, err);
    if (s == VB_OK) s = vb_origin_hidden(store, &m->ref, err);
    if (s == VB_OK) s = take_base(m, err);
    if (s == VB_OK) s = add_rest(m, err);
    if (s == VB_OK) s = add_config(m, err);
    if (s == VB_OK) s = write_image(m, err);
    if (s == VB_OK) s = say(m, "success", err);
    json_decref(m->config);
    free(m);
    return s;
}
