/* output.c - numbers of a view, run by run.
 *
 * A run is what lies in one piece in the folder's tensor: the product of the view's last axes, as far as they follow
 * one another. Axes that do are joined while a view is put together, so that a plain copy has one axis.
 */
#include "convert/output.h"

#include "base/canon64.h"
#include "convert/mlx.h"

#include <stdlib.h>
#include <string.h>

uint64_t vb_view_step(const vb_source_tensor *t, int dim)
{
    uint64_t step = 1;
    for (int i = dim + 1; i < t->n_dims; i++) step *= t->dims[i];
    return step;
}

vb_view vb_view_begin(const vb_source_tensor *t, uint64_t base)
{
    return (vb_view){.from = t, .base = base, .count = 1};
}

void vb_view_axis(vb_view *v, uint64_t size, uint64_t step)
{
    v->count *= size;
    if (size == 1) return;
    vb_axis *last = v->n > 0 ? &v->axis[v->n - 1] : NULL;
    if (last != NULL && last->step == size * step) {
        last->size *= size;
        last->step = step;
        return;
    }
    v->axis[v->n++] = (vb_axis){size, step};
}

vb_view vb_view_all(const vb_source_tensor *t)
{
    vb_view v = vb_view_begin(t, 0);
    vb_view_axis(&v, vb_source_elements(t), 1);
    return v;
}

int vb_ends(const char *text, const char *with)
{
    size_t n = strlen(text), len = strlen(with);
    return n >= len && strcmp(text + n - len, with) == 0;
}

uint64_t vb_output_elements(const vb_output *o)
{
    return o->ne[0] * o->ne[1] * o->ne[2] * o->ne[3];
}

/* Where number i of the view lies, and how many behind it follow one another there. */
static uint64_t place_of(const vb_view *v, uint64_t i, uint64_t *run)
{
    uint64_t at = v->base;
    *run = 1;
    for (int k = v->n - 1; k >= 0; k--) {
        uint64_t digit = i % v->axis[k].size;
        if (k == v->n - 1 && v->axis[k].step == 1) *run = v->axis[k].size - digit;
        at += digit * v->axis[k].step;
        i /= v->axis[k].size;
    }
    return at;
}

/* n numbers from `at` on of a tensor that only its reader can read, by whole rows. */
static vb_status read_rows(const vb_source_tensor *t, uint64_t at, uint64_t n, float *out, vb_err *err)
{
    uint64_t width = t->n_dims > 0 ? t->dims[t->n_dims - 1] : 1, first = at / width * width;
    uint64_t end = (at + n + width - 1) / width * width;
    if (first == at && end == at + n) return vb_source_floats(t, at, n, out, err);
    float *rows = malloc((size_t)(end - first) * sizeof *rows);
    if (rows == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: tensor '%s': out of memory", t->file, t->name);
    vb_status status = vb_source_floats(t, first, end - first, rows, err);
    if (status == VB_OK) memcpy(out, rows + (at - first), (size_t)n * sizeof *out);
    free(rows);
    return status;
}

/* A view whose numbers are scattered: the whole tensor is read once, whichever of them are wanted. */
static vb_status scattered(const vb_view *v, uint64_t first, uint64_t n, float *out, vb_err *err)
{
    const vb_source_tensor *t = v->from;
    uint64_t all = vb_source_elements(t), run;
    float *numbers = malloc((size_t)all * sizeof *numbers);
    if (numbers == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: tensor '%s': out of memory", t->file, t->name);
    vb_status status = vb_source_floats(t, 0, all, numbers, err);
    for (uint64_t i = 0; status == VB_OK && i < n; i++) out[i] = numbers[place_of(v, first + i, &run)];
    free(numbers);
    return status;
}

static vb_status view_floats(const vb_view *v, uint64_t first, uint64_t n, float *out, vb_err *err)
{
    const vb_source_tensor *t = v->from;
    if (t->data == NULL && v->n > 0 && v->axis[v->n - 1].step != 1) return scattered(v, first, n, out, err);
    for (uint64_t done = 0, run; done < n; done += run) {
        uint64_t at = place_of(v, first + done, &run);
        if (run > n - done) run = n - done;
        if (t->data == NULL)
            VB_TRY(read_rows(t, at, run, out + done, err));
        else
            vb_number_floats(t->type, t->data + at * (uint64_t)vb_number_bytes(t->type), run, out + done);
    }
    return VB_OK;
}

static void change(vb_each each, float *x, uint64_t n)
{
    if (each == VB_EACH_PLUS_ONE)
        for (uint64_t i = 0; i < n; i++) x[i] += 1.0f;
    if (each == VB_EACH_MINUS_EXP)
        for (uint64_t i = 0; i < n; i++) {
            double bounded = (double)(x[i] > 80.0f ? 80.0f : x[i] < -80.0f ? -80.0f : x[i]);
            x[i] = -(float)c64_exp(bounded);
        }
}

vb_status vb_output_floats(const vb_output *o, uint64_t first, uint64_t n, float *out, vb_err *err)
{
    float *to = out;
    uint64_t left = n;
    if (o->values != NULL) memcpy(out, o->values + first, (size_t)n * sizeof *out);
    for (int i = 0; i < o->n_views && left > 0; i++) {
        const vb_view *v = &o->views[i];
        if (first >= v->count) {
            first -= v->count;
            continue;
        }
        uint64_t part = left < v->count - first ? left : v->count - first;
        VB_TRY(view_floats(v, first, part, to, err));
        to += part;
        left -= part;
        first = 0;
    }
    change(o->each, out, n);
    return VB_OK;
}

static int same_format(vb_number type, vb_format format)
{
    return (type == VB_NUM_F32 && format == VB_FMT_F32) || (type == VB_NUM_F16 && format == VB_FMT_F16) ||
           (type == VB_NUM_BF16 && format == VB_FMT_BF16);
}

const uint8_t *vb_output_bytes(const vb_output *o)
{
    const vb_view *v = o->n_views == 1 ? &o->views[0] : NULL;
    if (v == NULL || o->packed || o->each != VB_EACH_SAME || v->from->data == NULL) return NULL;
    if (v->n > 1 || (v->n == 1 && v->axis[0].step != 1) || !same_format(v->from->type, o->format->format)) return NULL;
    return v->from->data + v->base * (uint64_t)vb_number_bytes(v->from->type);
}

/* --- blocks of 32 numbers of 4 bits ---------------------------------------------------------------------------- */

/* In the folder a byte holds neighbours (2 i, 2 i + 1), in the file numbers i and i + 16; the scale comes first. */
static void repack(const uint8_t *from, uint8_t scale, uint8_t *to)
{
    to[0] = scale;
    for (int i = 0; i < 16; i++) {
        int low = from[i / 2] >> (i % 2 * 4) & 15, high = from[8 + i / 2] >> (i % 2 * 4) & 15;
        to[1 + i] = (uint8_t)(low | high << 4);
    }
}

void vb_output_packed(const vb_output *o, uint64_t first, uint64_t n, uint8_t *out)
{
    uint64_t blocks = o->ne[0] / 32, run;
    for (uint64_t i = first * blocks; i < (first + n) * blocks; i++, out += 17) {
        const uint8_t *from = o->views[0].from->data + place_of(&o->views[0], 16 * i, &run);
        repack(from, o->views[1].from->data[place_of(&o->views[1], i, &run)], out);
    }
}

/* --- MLX's groups ---------------------------------------------------------------------------------------------- */

/* Whole rows lie in one piece. */
static int has_rows(const vb_view *v, uint64_t width)
{
    const vb_axis *last = v->n > 0 ? &v->axis[v->n - 1] : NULL;
    if (last == NULL || last->step != 1 || last->size % width != 0 || v->base % width != 0) return 0;
    for (int i = 0; i < v->n - 1; i++)
        if (v->axis[i].step % width != 0) return 0;
    return 1;
}

int vb_output_is_grouped(const vb_output *o)
{
    int group = 0;
    if (o->n_views == 0 || o->each != VB_EACH_SAME || o->ne[0] % 32 != 0) return 0;
    for (int i = 0; i < o->n_views; i++) {
        const vb_source_tensor *t = o->views[i].from;
        int halves = t->type == VB_NUM_F16 || t->type == VB_NUM_BF16;
        if (!halves || vb_mlx_bits(t, &group) != 4 || group % 32 != 0 || !has_rows(&o->views[i], o->ne[0])) return 0;
    }
    return 1;
}

void vb_output_grouped(const vb_output *o, uint64_t first, uint64_t n, uint8_t *out)
{
    uint64_t width = o->ne[0], run;
    for (uint64_t row = first; row < first + n; row++, out += width / 32 * 20) {
        const vb_view *v = o->views;
        uint64_t at = row * width;
        for (; at >= v->count; v++) at -= v->count;
        vb_mlx_q4_1(v->from, place_of(v, at, &run), width, out);
    }
}
