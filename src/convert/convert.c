/* convert.c - from the folder to the file, a few rows at a time.
 *
 * Memory: what one piece of a tensor takes as floats and encoded, besides the maps of the folder's files.
 */
#include "convert/convert.h"

#include "convert/choose.h"
#include "convert/encode.h"
#include "convert/family_keys.h"
#include "convert/tensors.h"
#include "convert/vocabulary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 4 << 20 /* numbers */, QUANTIZATION_VERSION = 2 };

typedef struct {
    const vb_convert_job *job;
    vb_folder folder;
    const vb_family *family;
    vb_keys keys;
    vb_sizes sizes;
    vb_outputs outputs;
    vb_vocabulary *vocabulary;
    vb_gguf_writer writer;
    const vb_format_info *mostly;
    uint64_t done, total;
} work;

static void note(const work *w, const char *line)
{
    if (w->job->note != NULL && line != NULL) w->job->note(w->job->ud, line);
}

/* --- what is there --------------------------------------------------------------------------------------------- */

static vb_status find_family(work *w, vb_err *err)
{
    w->family = vb_family_of(w->folder.class_name);
    if (w->family == NULL)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%.100s/config.json: architectures: expected one of %s, found %.60s", w->folder.path,
                vb_family_classes(), w->folder.class_name);
    const char *method = json_string_value(vb_setting(w->folder.config, "quantization_config.quant_method"));
    if (method != NULL && strcmp(method, "mxfp4") != 0)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s/config.json: quantization_config: expected none, mxfp4 or MLX's groups, found '%.40s'",
                w->folder.path, method);
    json_t *defaults = w->family->defaults != NULL ? json_loads(w->family->defaults, 0, NULL) : NULL;
    int failed = defaults == NULL || json_object_update_missing(w->folder.config, defaults) != 0;
    json_decref(defaults);
    if (failed) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", w->folder.path);
    return VB_OK;
}

/* Failures of keys are kept there; this hands them on. */
static vb_status of_keys(const work *w, vb_status status, vb_err *err)
{
    if (status < 0 && err != NULL) *err = w->keys.err;
    return status;
}

static vb_status read_tensors(work *w, vb_err *err)
{
    vb_keys *k = &w->keys;
    char line[128];
    *k = (vb_keys){.folder = &w->folder, .arch = w->family->arch, .arena = vb_source_arena(w->folder.source)};
    k->layers = vb_layers_of(k);
    k->layers += vb_further_of(k);
    VB_TRY(vb_sizes_read(&w->sizes, k, err));
    VB_TRY(of_keys(w, vb_outputs_add_rope(&w->outputs, w->family, &w->sizes, k), err));
    VB_TRY(vb_outputs_make(&w->outputs, w->family, &w->sizes, k, err));
    snprintf(line, sizeof line, "%lld tensors of vision and audio towers are left out", (long long)w->outputs.left_out);
    if (w->outputs.left_out > 0) note(w, line);
    return VB_OK;
}

static uint64_t vocabulary_rows(const work *w)
{
    for (int64_t i = 0; i < w->outputs.n; i++)
        if (strcmp(w->outputs.all[i].name, "token_embd.weight") == 0) return w->outputs.all[i].ne[1];
    return 0;
}

/* --- formats --------------------------------------------------------------------------------------------------- */

static const vb_format_info *as_kept(vb_number type)
{
    return vb_format_of(type == VB_NUM_F16 ? VB_FMT_F16 : type == VB_NUM_BF16 ? VB_FMT_BF16 : VB_FMT_F32);
}

static const vb_format_info *format_of(const work *w, const vb_output *o)
{
    if (o->packed) return vb_format_of(VB_FMT_MXFP4);
    if (vb_stays_f32(o->name, o->n_dims)) return vb_format_of(VB_FMT_F32);
    if (w->job->type == NULL) return as_kept(o->type);
    return vb_fitting_format(w->job->type, o->ne[0]);
}

/* The format of most numbers is what the file is said to be of. */
static void find_mostly(work *w)
{
    uint64_t numbers[VB_FORMATS] = {0}, most = 0;
    for (int64_t i = 0; i < w->outputs.n; i++) {
        const vb_output *o = &w->outputs.all[i];
        uint64_t *n = &numbers[o->format->format];
        if (!vb_stays_f32(o->name, o->n_dims)) *n += vb_output_elements(o);
        if (*n < most) continue;
        most = *n;
        w->mostly = o->format;
    }
}

static void choose_formats(work *w)
{
    char line[256];
    const vb_output *first = NULL;
    int64_t n = 0;
    for (int64_t i = 0; i < w->outputs.n; i++) {
        vb_output *o = &w->outputs.all[i];
        o->format = format_of(w, o);
        if (w->job->type == NULL || o->packed || vb_stays_f32(o->name, o->n_dims) || o->format == w->job->type) continue;
        first = n++ == 0 ? o : first;
    }
    find_mostly(w);
    if (n == 0) return;
    snprintf(line, sizeof line, "%lld of %lld tensors have rows that blocks of %d do not divide: %s has %llu columns and becomes %s",
             (long long)n, (long long)w->outputs.n, w->job->type->block, first->name, (unsigned long long)first->ne[0],
             first->format->name);
    note(w, line);
}

/* --- writing --------------------------------------------------------------------------------------------------- */

static vb_status put_head(work *w, vb_err *err)
{
    vb_keys general = {.folder = &w->folder, .arch = w->family->arch, .arena = w->keys.arena};
    vb_key_text(&general, "general.architecture", w->family->arch);
    vb_key_text(&general, "general.type", "model");
    vb_key_text(&general, "general.name", w->folder.name);
    if (vb_file_type_of(w->mostly) >= 0) vb_key_u32(&general, "general.file_type", vb_file_type_of(w->mostly));
    vb_key_u32(&general, "general.quantization_version", QUANTIZATION_VERSION);
    w->family->keys(&w->keys);
    VB_TRY(vb_keys_write(&general, &w->writer, err));
    VB_TRY(vb_keys_write(&w->keys, &w->writer, err));
    vb_vocabulary_put(w->vocabulary, &w->writer);
    for (int64_t i = 0; i < w->outputs.n; i++) {
        const vb_output *o = &w->outputs.all[i];
        vb_gguf_shape shape = {.n_dims = o->n_dims, .format = o->format};
        memcpy(shape.name, o->name, sizeof shape.name);
        memcpy(shape.ne, o->ne, sizeof shape.ne);
        vb_gguf_put_tensor(&w->writer, &shape);
        w->total += vb_gguf_shape_bytes(&shape);
    }
    return VB_OK;
}

/* n bytes of a tensor to the file; stops where the user or the disk says so. */
static vb_status put_bytes(work *w, const vb_output *o, const void *bytes, uint64_t n, vb_err *err)
{
    vb_gguf_write(&w->writer, bytes, (size_t)n);
    w->done += n;
    int stop = w->job->progress != NULL && w->job->progress(w->job->ud, o->name, w->done, w->total);
    if (stop) VB_FAIL(err, VB_E_STOPPED, "%s: stopped", w->job->out);
    return w->writer.status < 0 ? vb_fail(err, w->writer.status, "%s", w->writer.err.text) : VB_OK;
}

/* Rows of a tensor, as numbers and as the file wants them. */
typedef struct {
    uint64_t first, n;
    float *x;
    void *bytes;
} piece;

static vb_status make_rows(const work *w, const vb_output *o, const piece *p, vb_err *err)
{
    uint64_t width = o->ne[0], n = p->n * width;
    vb_encode_job job = {o->format, o->name, (int64_t)p->n, (int64_t)width, NULL, w->job->threads};
    if (o->packed) {
        vb_output_packed(o, p->first, p->n, p->bytes);
        return VB_OK;
    }
    VB_TRY(vb_output_floats(o, p->first * width, n, p->x, err));
    vb_status status = vb_encode_tensor(&job, p->x, p->bytes, err);
    int64_t fault = status == VB_E_FORMAT ? vb_encode_fault(o->format, p->x, (int64_t)n) : -1;
    if (fault < 0) return status;
    return vb_encode_refuse(o->format, o->name, (int64_t)(p->first * width) + fault, p->x[fault], err);
}

static vb_status put_rows(work *w, const vb_output *o, vb_err *err)
{
    uint64_t width = o->ne[0], rows = vb_output_elements(o) / width, most = PIECE / width > 0 ? PIECE / width : 1;
    uint64_t row_bytes = width / (uint64_t)o->format->block * (uint64_t)o->format->bytes;
    if (most > rows) most = rows;
    piece p = {.x = malloc((size_t)(most * width) * sizeof *p.x), .bytes = malloc((size_t)(most * row_bytes))};
    vb_status status = p.x != NULL && p.bytes != NULL ? VB_OK : vb_fail(err, VB_E_MEMORY, "%s: out of memory", o->name);
    for (; p.first < rows && status == VB_OK; p.first += p.n) {
        p.n = most < rows - p.first ? most : rows - p.first;
        status = make_rows(w, o, &p, err);
        if (status == VB_OK) status = put_bytes(w, o, p.bytes, p.n * row_bytes, err);
    }
    free(p.x);
    free(p.bytes);
    return status;
}

/* What the folder has as the file wants it. */
static vb_status put_copy(work *w, const vb_output *o, const uint8_t *bytes, vb_err *err)
{
    uint64_t all = vb_output_elements(o) * (uint64_t)o->format->bytes;
    for (uint64_t at = 0; at < all; at += PIECE) VB_TRY(put_bytes(w, o, bytes + at, all - at < PIECE ? all - at : PIECE, err));
    return VB_OK;
}

static vb_status put_tensors(work *w, vb_err *err)
{
    for (int64_t i = 0; i < w->outputs.n; i++) {
        const vb_output *o = &w->outputs.all[i];
        const uint8_t *bytes = vb_output_bytes(o);
        VB_TRY(bytes != NULL ? put_copy(w, o, bytes, err) : put_rows(w, o, err));
    }
    return VB_OK;
}

static vb_status write_file(work *w, vb_err *err)
{
    vb_gguf_writer_open(&w->writer, w->job->out);
    vb_status status = w->writer.status < 0 ? vb_fail(err, w->writer.status, "%s", w->writer.err.text) : put_head(w, err);
    if (status == VB_OK) status = put_tensors(w, err);
    if (status == VB_OK) return vb_gguf_writer_close(&w->writer, err);
    vb_gguf_writer_drop(&w->writer);
    return status;
}

static vb_status convert(work *w, vb_err *err)
{
    VB_TRY(vb_folder_open(&w->folder, w->job->folder, err));
    VB_TRY(find_family(w, err));
    VB_TRY(read_tensors(w, err));
    choose_formats(w);
    VB_TRY(vb_vocabulary_read(&w->vocabulary, w->folder.path, w->family->arch, vocabulary_rows(w), err));
    return write_file(w, err);
}

vb_status vb_convert(const vb_convert_job *job, vb_convert_result *out, vb_err *err)
{
    memset(out, 0, sizeof *out);
    work *w = calloc(1, sizeof *w);
    if (w == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", job->folder);
    w->job = job;
    vb_status status = convert(w, err);
    if (status == VB_OK) {
        snprintf(out->arch, sizeof out->arch, "%s", w->family->arch);
        snprintf(out->class_name, sizeof out->class_name, "%.63s", w->folder.class_name);
        out->tensors = w->outputs.n;
        out->tokens = (int64_t)vb_vocabulary_size(w->vocabulary);
        out->bytes = w->total;
        out->mostly = w->mostly->name;
    }
    vb_vocabulary_close(w->vocabulary);
    vb_outputs_free(&w->outputs);
    vb_folder_close(&w->folder);
    free(w);
    return status;
}
