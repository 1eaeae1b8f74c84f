/* model.c - MODEL becomes an opened model: located, checked, planned, and given to a player.
 *
 * Invariant: nothing larger than tables is allocated before every tensor has been checked against the family's plan.
 */
#include "session/model.h"

#include "base/fp.h"
#include "base/hash.h"
#include "base/log.h"
#include "oracle/oracle.h"
#include "run/pool.h"
#include "run/run.h"
#include "simd/cpu.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const vb_player *player_by_name(const char *name)
{
    static const vb_player *const players[] = {&vb_cpu_player, &vb_oracle_player, &vb_blas_player};
    if (name == NULL || vb_is_vulkan(name)) return players[0];
    for (size_t i = 0; i < sizeof players / sizeof players[0]; i++)
        if (strcmp(players[i]->name, name) == 0) return players[i];
    return NULL;
}

static void copy_text(char *buf, size_t cap, const vb_gguf *g, const char *key)
{
    vb_text text;
    buf[0] = 0;
    if (vb_gguf_string(g, key, &text, NULL) != VB_OK) return;
    size_t len = text.len < cap - 1 ? text.len : cap - 1;
    memcpy(buf, text.ptr, len);
    buf[len] = 0;
}

static vb_status make_plan(vb_model *m, const vb_model_opts *opts, vb_err *err)
{
    const char *path = vb_gguf_path(m->gguf);
    m->arch = vb_arch_find(m->arch_name);
    if (m->arch == NULL)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s: key general.architecture: expected one of %s, found \"%s\"", path,
                vb_arch_names(), m->arch_name);
    VB_TRY(vb_params_read(&m->params, m->gguf, &m->arena, err));
    VB_TRY(vb_tensors_open(&m->tensors, m->gguf, &m->arena, err));
    VB_TRY(m->arch->settle(&m->params, err));
    vb_plan_start(&m->plan, &m->tensors, &m->params);
    m->arch->emit(&m->plan, &m->params);
    if (opts->embeddings) vb_plan_end_at_norm(&m->plan);
    VB_TRY(vb_plan_finish(&m->plan, err));
    return vb_tensors_unused(&m->tensors, err);
}

static vb_status start_player(vb_model *m, const vb_model_opts *opts, vb_err *err)
{
    m->player = player_by_name(opts->player);
    if (m->player == NULL)
        VB_FAIL(err, VB_E_ARGUMENT, "player: expected cpu, vulkan, oracle or blas, found \"%s\"", opts->player);
    if (opts->arith != VB_ARITH_INT8 && opts->arith != VB_ARITH_F32)
        VB_FAIL(err, VB_E_ARGUMENT, "arithmetic: expected int8 or f32, found %d", (int)opts->arith);
    if (opts->threads < 0 || opts->threads > 1024)
        VB_FAIL(err, VB_E_ARGUMENT, "threads: expected 0 to 1024, found %d", opts->threads);
    if (opts->like_ggml != 0 && m->player != &vb_oracle_player)
        VB_FAIL(err, VB_E_UNSUPPORTED, "like_ggml: expected player oracle, found %s", m->player->name);
    m->arith = opts->arith;
    m->like_ggml = opts->like_ggml;
    vb_cpu_name(m->cpu, sizeof m->cpu);
    m->threads = opts->threads > 0 ? opts->threads : vb_topology_cores();
    m->player_name = vb_is_vulkan(opts->player) ? "vulkan" : m->player->name;
    VB_TRY(vb_open_device(&m->device, m, opts, err));
    vb_play_opts play = {.arith = m->arith, .isa = opts->isa, .threads = m->threads, .like_ggml = m->like_ggml,
                         .device = m->device, .verify = opts->gpu_verify};
    vb_status s = m->player->open(&m->playing, &m->plan, &play, err);
    if (s < 0 && m->device.ops != NULL) m->device.ops->close(m->device.self);
    return s;
}

static int has_token(const void *ud, const char *text)
{
    const vb_model *m = ud;
    return m->tokenizer != NULL && vb_tokenizer_find(m->tokenizer, text, strlen(text)) >= 0;
}

/* Numbers can be computed without a tokenizer; text functions then repeat what was wrong. */
static vb_status open_text(vb_model *m, const vb_model_opts *opts, vb_err *err)
{
    vb_status s = vb_tokenizer_open(&m->tokenizer, m->gguf, &m->no_tokenizer);
    if (s < 0 && opts->vocab_only) {
        if (err != NULL) *err = m->no_tokenizer;
        return s;
    }
    if (s < 0) vb_log(VB_LOG_WARNING, "no text for this model: %s", m->no_tokenizer.text);
    VB_TRY(vb_chat_template_choose(&m->template_, m->gguf, m->arch_name, opts->template_as, has_token, m, err));
    if (m->located.template_ != NULL) vb_chat_template_stored(&m->template_, m->located.template_, m->located.rendered);
    return VB_OK;
}

static vb_status keep_keys(vb_model *m, vb_err *err)
{
    int64_t n = vb_gguf_n_entries(m->gguf);
    m->keys = vb_arena_array(&m->arena, (size_t)n, sizeof *m->keys);
    for (int64_t i = 0; m->keys != NULL && i < n; i++) {
        vb_text key = vb_gguf_entry_at(m->gguf, i)->key;
        m->keys[i] = vb_arena_text(&m->arena, key.ptr, key.len);
        if (m->keys[i] == NULL) m->keys = NULL;
    }
    m->template_said = vb_arena_alloc(&m->arena, sizeof *m->template_said);
    m->texts = vb_arena_alloc(&m->arena, sizeof *m->texts);
    if (m->texts != NULL) pthread_mutex_init(&m->texts->lock, NULL);
    m->sum = vb_arena_alloc(&m->arena, sizeof *m->sum);
    if (m->sum != NULL) pthread_mutex_init(&m->sum->lock, NULL);
    if (m->keys == NULL || m->template_said == NULL || m->texts == NULL || m->sum == NULL)
        VB_FAIL(err, VB_E_MEMORY, "%s: out of memory for its keys", vb_gguf_path(m->gguf));
    return VB_OK;
}

static vb_status open_all(vb_model *m, const char *model, const vb_model_opts *opts, vb_err *err)
{
    VB_TRY(vb_store_locate(&m->located, model, err));
    if (m->located.data == NULL) VB_TRY(vb_gguf_open(&m->gguf, m->located.path, err));
    else VB_TRY(vb_gguf_open_memory(&m->gguf, m->located.data, m->located.size, m->located.path, err));
    VB_TRY(keep_keys(m, err));
    copy_text(m->arch_name, sizeof m->arch_name, m->gguf, "general.architecture");
    copy_text(m->name, sizeof m->name, m->gguf, "general.name");
    if (!opts->vocab_only) VB_TRY(make_plan(m, opts, err));
    VB_TRY(open_text(m, opts, err));
    if (!opts->vocab_only) VB_TRY(start_player(m, opts, err));
    return vb_gguf_check(m->gguf, err);
}

VB_API vb_status vb_model_open(vb_model **out, const char *model, const vb_model_opts *opts, vb_err *err)
{
    static const vb_model_opts defaults;
    *out = NULL;
    if (model == NULL || model[0] == 0) VB_FAIL(err, VB_E_ARGUMENT, "model: expected a path or a name, found nothing");
    vb_model *m = calloc(1, sizeof *m);
    if (m == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", model);
    pthread_mutex_init(&m->lock, NULL);
    uint64_t fp = vb_fp_enter(); /* A1: frequencies and scales are made here */
    vb_status s = open_all(m, model, opts != NULL ? opts : &defaults, err);
    vb_fp_leave(fp);
    if (s < 0) {
        vb_model_close(m);
        return s;
    }
    *out = m;
    return VB_OK;
}

VB_API vb_status vb_model_check(const vb_model *m, vb_err *err)
{
    return vb_gguf_check(m->gguf, err);
}

VB_API void vb_model_close(vb_model *m)
{
    if (m == NULL) return;
    if (m->playing != NULL) m->player->close(m->playing);
    vb_plan_free(&m->plan);
    if (m->texts != NULL) {
        vb_trie_free(&m->texts->trie);
        pthread_mutex_destroy(&m->texts->lock);
    }
    if (m->sum != NULL) pthread_mutex_destroy(&m->sum->lock);
    vb_tokenizer_close(m->tokenizer);
    vb_gguf_close(m->gguf);
    vb_located_free(&m->located);
    vb_arena_free(&m->arena);
    free(m->parts);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

/* The format of most matrices, the one people call the model by. */
static const char *usual_format(const vb_gguf *g)
{
    int64_t most = 0;
    const char *name = "F32";
    for (int64_t i = 0; i < vb_gguf_n_tensors(g); i++) {
        const vb_gguf_tensor *t = vb_gguf_tensor_at(g, i);
        int64_t n = 0;
        for (int64_t k = i; t->n_dims > 1 && k < vb_gguf_n_tensors(g); k++) {
            const vb_gguf_tensor *u = vb_gguf_tensor_at(g, k);
            n += u->n_dims > 1 && u->format == t->format;
        }
        if (n > most) {
            most = n;
            name = t->format->name;
        }
    }
    return name;
}

static void describe_file(const vb_model *m, vb_model_info *out)
{
    out->path = vb_gguf_path(m->gguf);
    out->arch = m->arch_name;
    out->name = m->name;
    out->format = usual_format(m->gguf);
    for (int i = 0; i < vb_gguf_parts(m->gguf); i++) out->file_bytes += vb_gguf_part(m->gguf, i)->size;
    for (int64_t i = 0; i < vb_gguf_n_tensors(m->gguf); i++) {
        out->weight_bytes += vb_gguf_tensor_at(m->gguf, i)->bytes;
        out->parameters += vb_gguf_tensor_at(m->gguf, i)->elements;
    }
}

VB_API void vb_model_describe(const vb_model *m, vb_model_info *out)
{
    memset(out, 0, sizeof *out);
    describe_file(m, out);
    out->bos = out->eos = -1;
    out->template_source = m->template_.source;
    out->template_language = m->template_.text == NULL ? NULL : m->template_.go ? "go" : "jinja";
    out->template_can = m->template_.can;
    memcpy(out->template_digest, m->template_.digest, sizeof out->template_digest);
    if (m->tokenizer != NULL) {
        out->vocab = vb_tokenizer_size(m->tokenizer);
        out->bos = vb_tokenizer_bos(m->tokenizer);
        out->eos = vb_tokenizer_eos(m->tokenizer);
        vb_tokenizer_digest(m->tokenizer, out->tokenizer_digest);
        size_t longest = vb_tokenizer_longest(m->tokenizer);
        out->longest_token = longest < INT_MAX ? (int)longest : 0;
    }
    if (m->arch == NULL) return;
    out->player = m->player_name;
    vb_describe_device(m, out);
    out->isa = m->player->isa(m->playing);
    out->cpu = m->cpu;
    out->arith = m->arith;
    out->like_ggml = m->like_ggml;
    out->threads = m->threads;
    out->layers = m->params.layers;
    out->width = m->params.width;
    out->heads = m->params.heads[0];
    out->kv_heads = m->params.kv_heads[0];
    out->vocab = m->plan.vocab;
    out->context = m->params.context;
    out->embeds = m->plan.embeds;
    out->encoder = m->plan.whole;
    out->pooling = vb_pooling_of(m);
    memcpy(out->plan_digest, m->plan.digest, sizeof out->plan_digest);
}

vb_status vb_need_logits(const vb_model *m, vb_err *err)
{
    if (!m->plan.embeds) return VB_OK;
    VB_FAIL(err, VB_E_UNSUPPORTED, "%s: expected a model that gives logits, found %s", vb_gguf_path(m->gguf),
            m->plan.whole ? "an encoder, which gives embeddings" : "one opened for embeddings");
}

typedef struct {
    int (*go_on)(void *ud, uint64_t done, uint64_t all);
    void *ud;
    uint64_t all;
} hashing;

static int hashes_on(void *ud, uint64_t done)
{
    const hashing *h = ud;
    return h->go_on(h->ud, done, h->all);
}

VB_API vb_status vb_model_sha256(const vb_model *m, uint8_t out[32], vb_err *err)
{
    return vb_model_hash(m, out, NULL, NULL, err);
}

static vb_status hash(const vb_model *m, uint8_t out[32], int (*go_on)(void *ud, uint64_t done, uint64_t all), void *ud,
                      vb_err *err)
{
    hashing h = {go_on, ud, 0};
    vb_reading watch = {hashes_on, &h};
    int n = vb_gguf_parts(m->gguf);
    if (m->located.data != NULL) {
        vb_sha256_of(m->located.data, m->located.size, out);
        return VB_OK;
    }
    vb_open_file *files = malloc((size_t)n * sizeof *files);
    if (files == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", vb_gguf_path(m->gguf));
    for (int i = 0; i < n; i++) {
        files[i] = (vb_open_file){vb_gguf_part_path(m->gguf, i), vb_gguf_part(m->gguf, i)->held - 1};
        h.all += vb_gguf_part(m->gguf, i)->size;
    }
    vb_status s = vb_open_files_sha256(files, n, go_on != NULL ? &watch : NULL, out, err);
    free(files);
    VB_TRY(s);
    return vb_gguf_check(m->gguf, err);
}

/* The files that are mapped, whatever their names mean now: what was read of them once is what the model computes with. */
VB_API vb_status vb_model_hash(const vb_model *m, uint8_t out[32], int (*go_on)(void *ud, uint64_t done, uint64_t all),
                               void *ud, vb_err *err)
{
    vb_status s = VB_OK;
    pthread_mutex_lock(&m->sum->lock);
    if (!m->sum->known) s = hash(m, m->sum->sum, go_on, ud, err);
    m->sum->known = s == VB_OK;
    if (s == VB_OK) memcpy(out, m->sum->sum, 32);
    pthread_mutex_unlock(&m->sum->lock);
    return s;
}

VB_API int vb_model_tensor_at(const vb_model *m, int index, vb_tensor_info *out)
{
    if (index < 0 || index >= vb_gguf_n_tensors(m->gguf)) return 0;
    const vb_gguf_tensor *t = vb_gguf_tensor_at(m->gguf, index);
    *out = (vb_tensor_info){.name = t->name, .format = t->format->name, .n_dims = t->n_dims, .bytes = t->bytes,
                            .offset = t->offset};
    for (int i = 0; i < 4; i++) out->ne[i] = t->ne[i];
    return 1;
}

VB_API vb_status vb_model_explain(const vb_model *m, FILE *to, int kernels, int json, vb_err *err)
{
    if (m->arch == NULL)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: a model opened for its vocabulary alone has no plan", vb_gguf_path(m->gguf));
    return vb_plan_print(&m->plan, to, json, kernels ? m->player->kernel : NULL, m->playing, err);
}
