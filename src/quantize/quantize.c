/* quantize.c - weights into other formats, a slab of rows at a time: floats, the new format, and back to see the loss.
 *
 *   row as it is --decoder--> x --encoder--> row in the new file --decoder--> y          sums over (y - x)^2, x y, ...
 *
 * Each thread does whole rows; sums are kept for pieces of fixed size and added in their order, so that the report, too,
 * is the same for any number of threads.
 */
#include "quantize/quantize.h"
#include "quantize/encode.h"
#include "quantize/brain.h"
#include "quantize/imatrix.h"
#include "quantize/rows.h"
#include "file/gguf_write.h"
#include "oracle/oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SLAB = 1 << 22, PIECE = 1 << 14, QUANTIZATION_VERSION = 2 };

typedef struct {
    double lost, most, xx, yy, xy;
    int64_t fault; /* the first row that cannot be encoded, -1 */
    int starved;   /* 1: out of memory */
} sums;

typedef struct {
    const vb_quantize_job *job;
    vb_quantize_report *report;
    vb_gguf *g;
    vb_imatrix *importance;
    vb_mix_tensor *mixed;
    vb_gguf_writer w;
    uint8_t *out; /* a slab in its new format */
    sums *pieces;
    uint64_t done, total;
    sums all;
} work;

/* A slab: rows [first, first + n) of a tensor. */
typedef struct {
    const vb_gguf_tensor *t;
    const vb_format_info *to;
    const float *importance;
    int64_t width, per_expert, first, piece;
    uint8_t *out;
    sums *pieces;
} slab;

/* --- a row ----------------------------------------------------------------------------------------------------- */

static void floats_of(const vb_format_info *f, const uint8_t *row, int64_t n, float *x)
{
    uint16_t half;
    if (f->format == VB_FMT_F32) {
        memcpy(x, row, (size_t)n * sizeof *x);
    } else if (f->format == VB_FMT_F16 || f->format == VB_FMT_BF16) {
        for (int64_t i = 0; i < n; i++) {
            memcpy(&half, row + 2 * i, sizeof half);
            x[i] = f->format == VB_FMT_F16 ? c_h2f(half) : of_brain(half);
        }
    } else {
        vb_oracle_dequantize(f->format, row, n, x);
    }
}

static const uint8_t *row_at(const vb_gguf_tensor *t, int64_t row)
{
    return (const uint8_t *)t->data + vb_encode_bytes(t->format, row, (int64_t)t->ne[0]);
}

static void add(sums *to, const sums *s)
{
    to->lost += s->lost;
    to->xx += s->xx;
    to->yy += s->yy;
    to->xy += s->xy;
    to->most = s->most > to->most ? s->most : to->most;
}

/* Four sums of each, side by side: one alone would wait for itself. */
static void compare(const float *x, const float *y, int64_t n, sums *s)
{
    double lost[4] = {0}, xx[4] = {0}, yy[4] = {0}, xy[4] = {0}, most[4] = {0};
    for (int64_t i = 0; i < n; i += 4)
        for (int k = 0; k < 4 && i + k < n; k++) {
            double p = (double)x[i + k], q = (double)y[i + k], d = q - p, size = d < 0 ? -d : d;
            lost[k] += d * d;
            xx[k] += p * p;
            yy[k] += q * q;
            xy[k] += p * q;
            most[k] = size > most[k] ? size : most[k];
        }
    for (int k = 0; k < 4; k++) add(s, &(sums){.lost = lost[k], .most = most[k], .xx = xx[k], .yy = yy[k], .xy = xy[k]});
}

/* Rows [from, to) of the slab, which are one piece. */
static void convert_piece(void *ud, int64_t from, int64_t to)
{
    const slab *s = ud;
    sums *sum = &s->pieces[from / s->piece];
    float *x = malloc((size_t)s->width * 2 * sizeof *x), *y = x + s->width;
    *sum = (sums){.fault = -1, .starved = x == NULL};
    for (int64_t r = from; r < to && x != NULL && sum->fault < 0; r++) {
        const float *w = s->importance;
        uint8_t *out = s->out + vb_encode_bytes(s->to, r, s->width);
        if (w != NULL) w += (s->first + r) / s->per_expert * s->width;
        floats_of(s->t->format, row_at(s->t, s->first + r), s->width, x);
        if (vb_encode_rows(s->to, x, 1, s->width, w, out) < 0) sum->fault = s->first + r;
        floats_of(s->to, out, s->width, y);
        compare(x, y, s->width, sum);
    }
    free(x);
}

/* Says which element of the row it was. */
static vb_status refuse(const slab *s, int64_t row, vb_err *err)
{
    float *x = malloc((size_t)s->width * sizeof *x);
    if (x == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", s->t->name);
    floats_of(s->t->format, row_at(s->t, row), s->width, x);
    int64_t at = vb_encode_fault(s->to, x, s->width);
    vb_status status = vb_encode_refuse(s->to, s->t->name, row * s->width + at, x[at], err);
    free(x);
    return status;
}

/* --- a tensor -------------------------------------------------------------------------------------------------- */

static vb_status told(work *w, const char *name, vb_err *err)
{
    const vb_quantize_job *j = w->job;
    if (w->w.status < 0) return vb_gguf_writer_close(&w->w, err);
    if (j->tell == NULL || j->tell(j->ud, name, w->done, w->total) == 0) return VB_OK;
    VB_FAIL(err, VB_E_STOPPED, "stopped");
}

static vb_status convert_slab(work *w, slab *s, int64_t rows, sums *sum, vb_err *err)
{
    vb_rows share = {rows, s->piece, w->job->threads, convert_piece, s};
    vb_rows_share(&share);
    for (int64_t i = 0; i * s->piece < rows; i++) {
        if (s->pieces[i].starved) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", s->t->name);
        if (s->pieces[i].fault >= 0) return refuse(s, s->pieces[i].fault, err);
        add(sum, &s->pieces[i]);
    }
    vb_gguf_write(&w->w, s->out, (size_t)vb_encode_bytes(s->to, rows, s->width));
    w->done += (uint64_t)vb_encode_bytes(s->t->format, rows, s->width);
    return told(w, s->t->name, err);
}

static void rate(vb_quantized *q, const sums *s, double n)
{
    q->rms = n > 0 ? __builtin_sqrt(s->lost / n) : 0.0;
    q->size = n > 0 ? __builtin_sqrt(s->xx / n) : 0.0;
    q->max = s->most;
    q->cosine = s->xx > 0 && s->yy > 0 ? s->xy / (__builtin_sqrt(s->xx) * __builtin_sqrt(s->yy)) : s->xx == s->yy;
}

static vb_status importance_of(work *w, const vb_gguf_tensor *t, slab *s, vb_quantized *q, vb_err *err)
{
    int64_t n;
    if (w->importance == NULL) return VB_OK;
    s->importance = vb_imatrix_find(w->importance, t->name, &n);
    q->weighted = s->importance != NULL;
    w->report->without += s->importance == NULL;
    if (s->importance == NULL || (uint64_t)n == t->ne[0] * t->ne[2] * t->ne[3]) return VB_OK;
    VB_FAIL(err, VB_E_FORMAT, "%s: %s: expected %llu values, one for each column, found %lld", w->job->imatrix, t->name,
            (unsigned long long)(t->ne[0] * t->ne[2] * t->ne[3]), (long long)n);
}

static vb_status convert_tensor(work *w, const vb_gguf_tensor *t, vb_quantized *q, vb_err *err)
{
    if (t->elements == 0) return VB_OK;
    int64_t width = (int64_t)t->ne[0], rows = (int64_t)(t->elements / t->ne[0]);
    int64_t most = SLAB / width > 0 ? SLAB / width : 1;
    slab s = {.t = t, .to = q->to, .width = width, .per_expert = (int64_t)t->ne[1], .out = w->out, .pieces = w->pieces};
    sums sum = {0};
    s.piece = (PIECE + width - 1) / width;
    VB_TRY(importance_of(w, t, &s, q, err));
    for (s.first = 0; s.first < rows; s.first += most)
        VB_TRY(convert_slab(w, &s, rows - s.first < most ? rows - s.first : most, &sum, err));
    rate(q, &sum, (double)t->elements);
    add(&w->all, &sum);
    w->report->elements += t->elements;
    return VB_OK;
}

/* Bytes as they are; floats are looked at, since a number that is none spoils every answer. */
static vb_status copy_tensor(work *w, const vb_gguf_tensor *t, vb_err *err)
{
    enum { STEP = 4096 };
    float x[STEP];
    const uint8_t *from = t->data;
    int floats = t->format->block == 1 && t->format->format < VB_FORMATS;
    for (uint64_t at = 0; floats && at < t->elements; at += STEP) {
        int64_t n = t->elements - at < STEP ? (int64_t)(t->elements - at) : STEP;
        floats_of(t->format, from + at * (uint64_t)t->format->bytes, n, x);
        int64_t bad = vb_encode_fault(vb_format_of(VB_FMT_F32), x, n);
        if (bad >= 0) return vb_encode_refuse(t->format, t->name, (int64_t)at + bad, x[bad], err);
    }
    vb_gguf_write(&w->w, from, (size_t)t->bytes);
    w->done += t->bytes;
    return told(w, t->name, err);
}

/* --- the file -------------------------------------------------------------------------------------------------- */

static int key_is(const vb_gguf_entry *e, const char *key)
{
    return e->key.len == strlen(key) && memcmp(e->key.ptr, key, e->key.len) == 0;
}

static void put_importance(work *w)
{
    const char *slash = strrchr(w->job->imatrix, '/'), *name = slash != NULL ? slash + 1 : w->job->imatrix;
    vb_gguf_put_text(&w->w, "quantize.imatrix.file", name);
    if (*vb_imatrix_dataset(w->importance) != '\0')
        vb_gguf_put_text(&w->w, "quantize.imatrix.dataset", vb_imatrix_dataset(w->importance));
    vb_gguf_put_u32(&w->w, "quantize.imatrix.entries_count", (uint32_t)vb_imatrix_entries(w->importance));
    if (vb_imatrix_chunks(w->importance) > 0)
        vb_gguf_put_u32(&w->w, "quantize.imatrix.chunks_count", (uint32_t)vb_imatrix_chunks(w->importance));
}

static void put_keys(work *w)
{
    static const char *const old[] = {"general.alignment", "general.quantization_version", "general.file_type",
                                      "split.no", "split.count", "split.tensors.count"};
    for (int64_t i = 0; i < vb_gguf_n_entries(w->g); i++) {
        const vb_gguf_entry *e = vb_gguf_entry_at(w->g, i);
        int goes = w->importance != NULL && e->key.len > 17 && memcmp(e->key.ptr, "quantize.imatrix.", 17) == 0;
        for (size_t k = 0; k < sizeof old / sizeof old[0]; k++) goes |= key_is(e, old[k]);
        if (!goes) vb_gguf_put_entry(&w->w, e, e->n);
    }
    vb_gguf_put_u32(&w->w, "general.quantization_version", QUANTIZATION_VERSION);
    vb_gguf_put_u32(&w->w, "general.file_type", (uint32_t)w->job->mix->file_type);
    if (w->importance != NULL) put_importance(w);
}

/* A number of the model, of an array its first; 0: the file does not say. */
static int number(const work *w, const char *arch, const char *key)
{
    char name[192];
    snprintf(name, sizeof name, "%s.%s", arch, key);
    const vb_gguf_entry *e = vb_gguf_find(w->g, name);
    int64_t value = 0;
    if (e == NULL) return 0;
    if (e->type == VB_GGUF_ARRAY)
        value = vb_gguf_array(w->g, name, VB_GGUF_INTS, &e, NULL) == VB_OK && e->n > 0 ? vb_gguf_item_int(e, 0) : 0;
    else if (vb_gguf_int(w->g, name, 0, INT32_MAX, &value, NULL) < 0) value = 0;
    return value < 0 || value > INT32_MAX ? 0 : (int)value;
}

static vb_status choose(work *w, vb_err *err)
{
    int64_t n = vb_gguf_n_tensors(w->g);
    char arch[64] = "";
    vb_text text;
    if (vb_gguf_string(w->g, "general.architecture", &text, NULL) == VB_OK)
        snprintf(arch, sizeof arch, "%.*s", (int)(text.len < 63 ? text.len : 63), text.ptr);
    vb_mix_model m = {.arch = arch, .layers = number(w, arch, "block_count"), .experts = number(w, arch, "expert_count"),
                      .heads = number(w, arch, "attention.head_count"),
                      .kv_heads = number(w, arch, "attention.head_count_kv"), .importance = w->importance != NULL,
                      .pure = w->job->pure};
    for (int64_t i = 0; i < n; i++) {
        const vb_gguf_tensor *t = vb_gguf_tensor_at(w->g, i);
        w->mixed[i] = (vb_mix_tensor){.name = t->name, .from = t->format};
        memcpy(w->mixed[i].ne, t->ne, sizeof t->ne);
    }
    return vb_mix_choose(w->job->mix, &m, w->mixed, n, err);
}

static vb_status declare(work *w, vb_err *err)
{
    vb_quantize_report *r = w->report;
    for (int64_t i = 0; i < r->n; i++) {
        const vb_gguf_tensor *t = vb_gguf_tensor_at(w->g, i);
        const vb_mix_tensor *m = &w->mixed[i];
        vb_gguf_shape shape = {.n_dims = t->n_dims, .format = m->to};
        vb_quantized *q = &r->tensors[i];
        if (strlen(t->name) >= sizeof shape.name)
            VB_FAIL(err, VB_E_FORMAT, "%s: %s: expected a shorter name", w->job->in, t->name);
        strcpy(shape.name, t->name);
        memcpy(shape.ne, t->ne, sizeof t->ne);
        vb_gguf_put_tensor(&w->w, &shape);
        *q = (vb_quantized){.from = t->format, .to = m->to, .bytes = vb_gguf_shape_bytes(&shape),
                            .copied = m->to == t->format, .fallback = m->fallback, .cosine = 1.0};
        memcpy(q->name, shape.name, sizeof q->name);
        memcpy(q->ne, t->ne, sizeof q->ne);
        w->total += t->bytes;
        r->all.bytes += q->bytes;
        r->requantized += !q->copied && t->format->block > 1;
        if (r->requantized_from == NULL && !q->copied && t->format->block > 1) r->requantized_from = t->format->name;
    }
    r->bytes_before = w->total;
    return VB_OK;
}

static vb_status write_file(work *w, vb_err *err)
{
    vb_quantize_report *r = w->report;
    vb_gguf_writer_open(&w->w, w->job->out);
    put_keys(w);
    vb_status s = declare(w, err);
    for (int64_t i = 0; i < r->n && s == VB_OK; i++) {
        const vb_gguf_tensor *t = vb_gguf_tensor_at(w->g, i);
        s = r->tensors[i].copied ? copy_tensor(w, t, err) : convert_tensor(w, t, &r->tensors[i], err);
    }
    rate(&r->all, &w->all, (double)r->elements);
    if (s == VB_OK) s = vb_gguf_check(w->g, err);
    if (s == VB_OK) return vb_gguf_writer_close(&w->w, err);
    vb_gguf_writer_drop(&w->w);
    return s;
}

static vb_status check_names(const vb_quantize_job *j, vb_gguf *g, vb_err *err)
{
    struct stat there, part;
    if (stat(j->out, &there) != 0) return VB_OK;
    for (int i = 0; i < vb_gguf_parts(g); i++)
        if (stat(vb_gguf_part_path(g, i), &part) == 0 && part.st_dev == there.st_dev && part.st_ino == there.st_ino)
            VB_FAIL(err, VB_E_ARGUMENT, "%s: expected another file than the one to read", j->out);
    if (!j->force) VB_FAIL(err, VB_E_ARGUMENT, "%s: exists; --force replaces it", j->out);
    return VB_OK;
}

vb_status vb_quantize(const vb_quantize_job *job, vb_quantize_report *report, vb_err *err)
{
    work w = {.job = job, .report = report};
    vb_status s = VB_OK;
    memset(report, 0, sizeof *report);
    VB_TRY(vb_gguf_open(&w.g, job->in, err));
    VB_TRY_OUT(s, check_names(job, w.g, err));
    if (job->imatrix != NULL) VB_TRY_OUT(s, vb_imatrix_open(&w.importance, job->imatrix, err));
    report->n = vb_gguf_n_tensors(w.g);
    uint64_t widest = 1;
    for (int64_t i = 0; i < report->n; i++) {
        const vb_gguf_tensor *t = vb_gguf_tensor_at(w.g, i);
        widest = t->ne[0] > widest ? t->ne[0] : widest;
    }
    report->tensors = calloc((size_t)report->n + 1, sizeof *report->tensors);
    w.mixed = calloc((size_t)report->n + 1, sizeof *w.mixed);
    w.out = malloc((widest > SLAB ? widest : SLAB) * sizeof(float));
    w.pieces = calloc(SLAB / PIECE + 2, sizeof *w.pieces);
    if (report->tensors == NULL || w.mixed == NULL || w.out == NULL || w.pieces == NULL) {
        s = vb_fail(err, VB_E_MEMORY, "%s: out of memory", job->in);
        goto out;
    }
    VB_TRY_OUT(s, choose(&w, err));
    s = write_file(&w, err);
out:
    free(w.mixed);
    free(w.out);
    free(w.pieces);
    vb_imatrix_close(w.importance);
    vb_gguf_close(w.g);
    return s;
}

void vb_quantize_report_free(vb_quantize_report *report)
{
    free(report->tensors);
    memset(report, 0, sizeof *report);
}
