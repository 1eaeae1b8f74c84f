/* recall.c - what was, by meaning: passages are found by the cosine of their embeddings.
 *
 * Vectors have length 1, so a cosine is one sum of products, in the order of docs/ARITHMETIC.md E1: sixteen lanes and a
 * fixed tree. All passages that may be seen are compared. Of equal scores the earlier tick comes first, then the lesser
 * entity, then the lesser text: who added what when has no part in it. The same passage is kept once.
 */
#include "base/err.h"
#include "base/hash.h"
#include "cast/passages.h"
#include "cast/recall_file.h"
#include "verbatim_dialogue.h"

#include <stdlib.h>
#include <string.h>

#define MOST_TEXT ((size_t)16 << 20)

struct vb_recall {
    vb_model *model;
    vb_session *session;
    vb_recall_file *file;
    int width, most; /* most: tokens of a passage */
    float *question;
};

/* --- opening ------------------------------------------------------------------------------------------- */

/* Everything that decides a vector. */
static vb_status name_embedder(const vb_model *model, const vb_model_info *info, uint8_t out[32], vb_err *err)
{
    char print[200];
    int64_t n = vb_model_fingerprint(model, print, sizeof print, err);
    if (n < 0) return (vb_status)n;
    vb_sha256 *hash = vb_sha256_new();
    if (hash == NULL) VB_FAIL(err, VB_E_MEMORY, "recall: out of memory");
    vb_sha256_add_text(hash, print, strlen(print));
    vb_sha256_add(hash, info->tokenizer_digest, sizeof info->tokenizer_digest);
    vb_sha256_add_u32(hash, (uint32_t)info->pooling);
    vb_sha256_end(hash, out);
    return VB_OK;
}

static vb_status prepare(vb_recall *r, const char *path, vb_err *err)
{
    vb_model_info info;
    uint8_t embedder[32];
    vb_model_describe(r->model, &info);
    if (!info.embeds || info.like_ggml)
        VB_FAIL(err, VB_E_ARGUMENT, "recall: expected a model that was opened for embeddings, found %s", info.path);
    if (info.pooling == VB_POOLING_NONE)
        VB_FAIL(err, VB_E_UNSUPPORTED, "recall: expected a model whose texts have one embedding, found %s", info.path);
    r->width = info.width;
    r->most = info.context > 0 && info.context < VB_PASSAGE_TOKENS ? info.context : VB_PASSAGE_TOKENS;
    r->question = malloc((size_t)r->width * sizeof *r->question);
    if (r->question == NULL) VB_FAIL(err, VB_E_MEMORY, "recall: out of memory");
    vb_session_opts opts = {.context = r->most};
    VB_TRY(vb_session_open(&r->session, r->model, &opts, err));
    VB_TRY(name_embedder(r->model, &info, embedder, err));
    return vb_recall_file_open(&r->file, path, embedder, r->width, err);
}

vb_status vb_recall_open(vb_recall **out, const char *path, vb_model *embedder, vb_err *err)
{
    *out = NULL;
    if (embedder == NULL) VB_FAIL(err, VB_E_ARGUMENT, "recall: expected an embedder, found NULL");
    vb_recall *r = calloc(1, sizeof *r);
    if (r == NULL) VB_FAIL(err, VB_E_MEMORY, "recall: out of memory");
    r->model = embedder;
    vb_status status = prepare(r, path, err);
    if (status < 0) vb_recall_close(r, NULL);
    else *out = r;
    return status;
}

int64_t vb_recall_count(const vb_recall *recall)
{
    return vb_recall_file_count(recall->file);
}

vb_status vb_recall_close(vb_recall *recall, vb_err *err)
{
    if (recall == NULL) return VB_OK;
    vb_session_close(recall->session);
    free(recall->question);
    vb_status status = vb_recall_file_close(recall->file, err);
    free(recall);
    return status;
}

/* --- adding -------------------------------------------------------------------------------------------- */

static vb_status embed(vb_recall *r, const char *text, size_t len, float *out, vb_err *err)
{
    vb_token ids[VB_PASSAGE_TOKENS];
    int64_t n = vb_tokenize(r->model, text, len, VB_ADD_SPECIAL, ids, (size_t)r->most, err);
    if (n < 0) return (vb_status)n;
    return vb_session_embed(r->session, ids, n < r->most ? (int)n : r->most, VB_POOLING_DEFAULT, 1, out, err);
}

static int compare_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int is_there(const vb_recall *r, const vb_passage *p)
{
    for (int64_t i = 0; i < vb_recall_count(r); i++) {
        vb_passage q;
        vb_recall_file_get(r->file, i, &q);
        if (q.entity == p->entity && q.tick == p->tick && compare_text(q.text, q.len, p->text, p->len) == 0) return 1;
    }
    return 0;
}

/* The passages of one text, on their way into the file. */
typedef struct {
    vb_passage *list;
    float *vectors; /* [cap][width] */
    int n, cap;
} batch;

static int in_batch(const batch *b, const vb_passage *p)
{
    for (int i = 0; i < b->n; i++)
        if (compare_text(b->list[i].text, b->list[i].len, p->text, p->len) == 0) return 1;
    return 0;
}

static vb_status push(vb_recall *r, batch *b, const vb_passage *p, vb_err *err)
{
    if (is_there(r, p) || in_batch(b, p)) return VB_OK;
    if (b->n == b->cap) {
        int cap = 2 * b->cap + 4;
        vb_passage *list = realloc(b->list, (size_t)cap * sizeof *list);
        if (list != NULL) b->list = list;
        float *vectors = realloc(b->vectors, (size_t)cap * (size_t)r->width * sizeof *vectors);
        if (vectors != NULL) b->vectors = vectors;
        if (list == NULL || vectors == NULL) VB_FAIL(err, VB_E_MEMORY, "recall: out of memory");
        b->cap = cap;
    }
    VB_TRY(embed(r, p->text, p->len, b->vectors + (size_t)b->n * (size_t)r->width, err));
    b->list[b->n++] = *p;
    return VB_OK;
}

static vb_status add_passages(vb_recall *r, batch *b, const vb_passage *all, vb_err *err)
{
    size_t at = 0, from;
    while (at < all->len) {
        vb_passage p = *all;
        VB_TRY(vb_passage_next(r->model, r->most, all->text, all->len, &at, &from, &p.len, err));
        p.text = all->text + from;
        if (p.len > 0) VB_TRY(push(r, b, &p, err));
    }
    for (int i = 0; i < b->n; i++) b->list[i].vector = b->vectors + (size_t)i * (size_t)r->width;
    return b->n > 0 ? vb_recall_file_append(r->file, b->list, b->n, err) : VB_OK;
}

vb_status vb_recall_add(vb_recall *recall, uint64_t entity, uint64_t tick, const char *text, size_t len, vb_err *err)
{
    vb_passage all = {.entity = entity, .tick = tick, .text = text, .len = len};
    batch b = {0};
    if (len > MOST_TEXT) VB_FAIL(err, VB_E_ARGUMENT, "recall: expected a text of at most 16 MiB, found %zu bytes", len);
    if (len > 0 && memchr(text, 0, len) != NULL) VB_FAIL(err, VB_E_ARGUMENT, "recall: expected a text, found a zero byte in it");
    vb_status status = add_passages(recall, &b, &all, err);
    free(b.list);
    free(b.vectors);
    return status;
}

/* --- searching ----------------------------------------------------------------------------------------- */

/* ARITHMETIC E1. */
static float dot(const float *a, const float *b, int n)
{
    float lane[16] = {0};
    int i = 0;
    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 16; j++) lane[j] = lane[j] + a[i + j] * b[i + j];
    for (int j = 0; i + j < n; j++) lane[j] = lane[j] + a[i + j] * b[i + j];
    for (int half = 8; half > 0; half /= 2)
        for (int j = 0; j < half; j++) lane[j] = lane[j] + lane[j + half];
    return lane[0];
}

static int comes_before(const vb_recalled *a, const vb_recalled *b)
{
    if (a->score != b->score) return a->score > b->score;
    if (a->tick != b->tick) return a->tick < b->tick;
    if (a->entity != b->entity) return a->entity < b->entity;
    return compare_text(a->text, a->len, b->text, b->len) < 0;
}

static int insert(vb_recalled *out, int n, int k, const vb_recalled *hit)
{
    int at = n;
    while (at > 0 && comes_before(hit, &out[at - 1])) at--;
    if (at == k) return n;
    if (n < k) n++;
    memmove(out + at + 1, out + at, (size_t)(n - 1 - at) * sizeof *out);
    out[at] = *hit;
    return n;
}

int vb_recall_search(vb_recall *recall, uint64_t entity, uint64_t tick, const char *text, size_t len, vb_recalled *out, int k,
                     vb_err *err)
{
    size_t at = 0, from, part;
    int n = 0;
    if (k < 0) VB_FAIL(err, VB_E_ARGUMENT, "recall: expected 0 passages or more, found %d", k);
    if (k == 0 || vb_recall_count(recall) == 0) return 0;
    VB_TRY(vb_passage_next(recall->model, recall->most, text, len, &at, &from, &part, err));
    if (part == 0) return 0;
    VB_TRY(embed(recall, text + from, part, recall->question, err));
    for (int64_t i = 0; i < vb_recall_count(recall); i++) {
        vb_passage p;
        vb_recall_file_get(recall->file, i, &p);
        if ((p.entity != entity && p.entity != 0) || p.tick >= tick) continue;
        vb_recalled hit = {p.entity, p.tick, p.text, p.len, dot(recall->question, p.vector, recall->width)};
        n = insert(out, n, k, &hit);
    }
    return n;
}
