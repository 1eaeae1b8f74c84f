/* convert.c - from the folder to the file, a few rows at a time.
 *
 * Memory: what one piece of a tensor takes as floats and encoded, besides the maps of the folder's files.
 */
#include "convert/convert.h"

#include "quantize/encode.h"
#include "convert/family_keys.h"
#include "convert/losses.h"
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
    const char *type; /* of most numbers */
    int file_type;    /* its number in GGUF files, -1: none */
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
        VB_FAIL(err, VB_E_UNSUPPORTED,
                "%.100s/config.json: architectures: expected a class of one of these families: %s; found %.60s",
                w->folder.path, vb_family_names(), w->folder.class_name);
    const char *method = json_string_value(vb_setting(w->folder.config, "quantization_config.quant_method"));
    if (method != NULL && strcmp(method, "mxfp4") != 0)
        VB_FAIL(err, VB_E_UNSUPPORTED,
                "%s/config.json: quantization_config: expected none, mxfp4 or MLX's groups, found '%.40s'",
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
    k->layers += vb_further_of(&w->folder);
    VB_TRY(vb_sizes_read(&w->sizes, k, err));
    VB_TRY(of_keys(w, vb_outputs_add_rope(&w->outputs, w->family, &w->sizes, k), err));
    VB_TRY(vb_outputs_make(&w->outputs, w->family, &w->sizes, k, err));
    snprintf(line, sizeof line, "%lld tensors of vision and audio towers are left out", (long long)w->outputs.left_out);
    if (w->outputs.left_out > 0) note(w, line);
    vb_losses(&w->folder, w->family, w->job->note, w->job->ud);
    return VB_OK;
}

static uint64_t vocabulary_rows(const work *w)
{
    for (int64_t i = 0; i < w->outputs.n; i++)
        if (strcmp(w->outputs.all[i].name, "token_embd.weight") == 0) return w->outputs.all[i].ne[1];
    return 0;
}

/* --- formats --------------------------------------------------------------------------------------------------- */

/* 1: vectors, norms, routers, positions: exact whatever is asked for. */
static int stays_f32(const vb_output *o)
{
    static const char *const exact[] = {"_norm.weight", "ffn_gate_inp.weight", "ffn_gate_inp_shexp.weight",
                                        "position_embd.weight", "token_types.weight", "ssm_conv1d.weight"};
    if (o->n_dims <= 1 || !vb_ends(o->name, ".weight")) return 1;
    for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++)
        if (vb_ends(o->name, exact[i])) return 1;
    return 0;
}

static const vb_format_info *as_kept(const vb_output *o)
{
    if (o->packed) return vb_format_of(VB_FMT_MXFP4);
    if (stays_f32(o)) return vb_format_of(VB_FMT_F32);
    if (vb_output_is_grouped(o)) return vb_format_of(VB_FMT_Q4_1);
    return vb_format_of(o->type == VB_NUM_F16 ? VB_FMT_F16 : o->type == VB_NUM_BF16 ? VB_FMT_BF16 : VB_FMT_F32);
}

/* The format of most numbers is what the file is said to be of. */
static const char *find_mostly(const work *w)
{
    uint64_t numbers[VB_FORMATS] = {0}, most = 0;
    const char *name = "F32";
    for (int64_t i = 0; i < w->outputs.n; i++) {
        const vb_output *o = &w->outputs.all[i];
        uint64_t *n = &numbers[o->format->format];
        if (!stays_f32(o)) *n += vb_output_elements(o);
        if (*n <= most) continue;
        most = *n;
        name = o->format->name;
    }
    return name;
}

static void note_fallbacks(const work *w, const vb_mix_tensor *tensors)
{
    char line[256];
    const vb_mix_tensor *first = NULL;
    int64_t n = 0;
    for (int64_t i = w->outputs.n - 1; i >= 0; i--) {
        if (!tensors[i].fallback || w->outputs.all[i].packed) continue;
        first = &tensors[i];
        n++;
    }
    if (n == 0) return;
    snprintf(line, sizeof line,
             "%lld of %lld tensors have rows of another length than whole blocks and take the nearest format "
             "that fits: %s, of %llu columns, %s", (long long)n, (long long)w->outputs.n, first->name,
             (unsigned long long)first->ne[0], first->to->name);
    note(w, line);
}

static vb_status choose_mix(work *w, vb_err *err)
{
    const vb_sizes *s = &w->sizes;
    vb_mix_model model = {w->family->arch, w->keys.layers, (int)s->of['e'], (int)s->of['n'],
                          (int)(s->of['k'] / s->of['H']), 0, w->job->pure};
    vb_mix_tensor *tensors = calloc((size_t)w->outputs.n + 1, sizeof *tensors);
    if (tensors == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", w->job->folder);
    for (int64_t i = 0; i < w->outputs.n; i++) {
        tensors[i] = (vb_mix_tensor){.name = w->outputs.all[i].name, .from = w->outputs.all[i].format};
        memcpy(tensors[i].ne, w->outputs.all[i].ne, sizeof tensors[i].ne);
    }
    vb_status status = vb_mix_choose(w->job->mix, &model, tensors, w->outputs.n, err);
    for (int64_t i = 0; i < w->outputs.n && status == VB_OK; i++) {
        vb_output *o = &w->outputs.all[i];
        if (!o->packed && !stays_f32(o)) o->format = tensors[i].to;
    }
    if (status == VB_OK) note_fallbacks(w, tensors);
    free(tensors);
    return status;
}

static vb_status choose_formats(work *w, vb_err *err)
{
    for (int64_t i = 0; i < w->outputs.n; i++) w->outputs.all[i].format = as_kept(&w->outputs.all[i]);
    if (w->job->mix != NULL) VB_TRY(choose_mix(w, err));
    const char *mostly = find_mostly(w);
    if (strcmp(mostly, "MXFP4") == 0) mostly = "MXFP4_MOE";
    const vb_mixture *mix = w->job->mix != NULL ? w->job->mix : vb_mix_find(mostly);
    w->type = mix != NULL ? mix->name : mostly;
    w->file_type = mix != NULL ? mix->file_type : -1;
    return VB_OK;
}

/* --- writing --------------------------------------------------------------------------------------------------- */

static vb_status put_head(work *w, vb_err *err)
{
    vb_keys general = {.folder = &w->folder, .arch = w->family->arch, .arena = w->keys.arena};
    vb_key_text(&general, "general.architecture", w->family->arch);
    vb_key_text(&general, "general.type", "model");
    vb_key_text(&general, "general.name", w->folder.name);
    w->family->keys(&w->keys);
    VB_TRY(vb_keys_write(&general, &w->writer, err));
    VB_TRY(vb_keys_write(&w->keys, &w->writer, err));
    vb_vocabulary_put(w->vocabulary, &w->writer);
    vb_gguf_put_u32(&w->writer, "general.quantization_version", QUANTIZATION_VERSION);
    if (w->file_type >= 0) vb_gguf_put_u32(&w->writer, "general.file_type", (uint32_t)w->file_type);
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
    if (o->format->format == VB_FMT_Q4_1 && vb_output_is_grouped(o)) {
        vb_output_grouped(o, p->first, p->n, p->bytes);
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
    for (uint64_t at = 0; at < all; at += PIECE)
        VB_TRY(put_bytes(w, o, bytes + at, all - at < PIECE ? all - at : PIECE, err));
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
    vb_status status = w->writer.status;
    status = status < 0 ? vb_fail(err, status, "%s", w->writer.err.text) : put_head(w, err);
    if (status == VB_OK) status = put_tensors(w, err);
    if (status == VB_OK) status = vb_source_check(w->folder.source, err);
    if (status == VB_OK) return vb_gguf_writer_close(&w->writer, err);
    vb_gguf_writer_drop(&w->writer);
    return status;
}

static vb_status convert(work *w, vb_err *err)
{
    VB_TRY(vb_folder_open(&w->folder, w->job->folder, err));
    VB_TRY(find_family(w, err));
    VB_TRY(read_tensors(w, err));
    VB_TRY(choose_formats(w, err));
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
        out->type = w->type;
    }
    vb_vocabulary_close(w->vocabulary);
    vb_outputs_free(&w->outputs);
    vb_folder_close(&w->folder);
    free(w);
    return status;
}
