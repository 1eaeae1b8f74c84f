/* encode.c - which encoder a format has, and rows of blocks for it. */
#include "quantize/encode.h"
#include "base/fp.h"
#include "quantize/brain.h"
#include "quantize/encode_parts.h"
#include "quantize/rows.h"

#include <stdatomic.h>
#include <stdio.h>

enum { PIECE = 16384 }; /* elements that a thread takes at a time, at least */

static vb_block_encoder *const encoders[VB_FORMATS] = {
    [VB_FMT_Q8_0] = vb_encode_Q8_0, [VB_FMT_Q4_0] = vb_encode_Q4_0,     [VB_FMT_Q4_1] = vb_encode_Q4_1,
    [VB_FMT_Q5_0] = vb_encode_Q5_0, [VB_FMT_Q5_1] = vb_encode_Q5_1,     [VB_FMT_IQ4_NL] = vb_encode_IQ4_NL,
    [VB_FMT_Q2_K] = vb_encode_Q2_K, [VB_FMT_Q3_K] = vb_encode_Q3_K,     [VB_FMT_Q4_K] = vb_encode_Q4_K,
    [VB_FMT_Q5_K] = vb_encode_Q5_K, [VB_FMT_Q6_K] = vb_encode_Q6_K,     [VB_FMT_IQ4_XS] = vb_encode_IQ4_XS,
    [VB_FMT_MXFP4] = vb_encode_MXFP4,
};

static int is_float(const vb_format_info *format)
{
    return format->format == VB_FMT_F32 || format->format == VB_FMT_F16 || format->format == VB_FMT_BF16;
}

int vb_encode_can(const vb_format_info *format)
{
    return is_float(format) || (format->format < VB_FORMATS && encoders[format->format] != NULL);
}

void vb_encode_names(char *to, size_t cap)
{
    size_t at = 0;
    for (int i = 0; i < VB_FORMATS; i++) {
        const vb_format_info *f = vb_format_of((vb_format)i);
        if (!vb_encode_can(f) || at >= cap) continue;
        at += (size_t)snprintf(to + at, cap - at, "%s%s", at > 0 ? ", " : "", f->name);
    }
}

int64_t vb_encode_bytes(const vb_format_info *format, int64_t rows, int64_t width)
{
    return width / format->block * format->bytes * rows;
}

/* --- what can be encoded --------------------------------------------------------------------------------------- */

/* The first magnitude that a format refuses, as bits of a float: all blocks but MXFP4's have halves as scales, and
 * 2^28 is above what the widest of them holds. */
static uint32_t limit_of(const vb_format_info *format)
{
    vb_format f = format->format;
    if (f == VB_FMT_F32 || f == VB_FMT_MXFP4) return 0x7f800000u;
    if (f == VB_FMT_BF16) return 0x7f7f8000u;
    return f == VB_FMT_F16 ? 0x477ff000u : 0x4d800000u;
}

/* Position of the first float from `limit` on, -1. A maximum first: it is quick, and mostly the answer. */
static int64_t first_from(const float *x, int64_t n, uint32_t limit)
{
    uint32_t most = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = asu(x[i]) & 0x7fffffffu;
        most = bits > most ? bits : most;
    }
    if (most < limit) return -1;
    for (int64_t i = 0; i < n; i++)
        if ((asu(x[i]) & 0x7fffffffu) >= limit) return i;
    return -1;
}

static int64_t largest(const float *x, int64_t n)
{
    int64_t at = 0;
    for (int64_t i = 1; i < n; i++)
        if (__builtin_fabsf(x[i]) > __builtin_fabsf(x[at])) at = i;
    return at;
}

/* A block whose scale overflowed though each number passed: its largest is to blame, or, if that happens by importance
 * alone, the largest of all. */
static int64_t block_fault(const vb_format_info *format, const float *x, int64_t n)
{
    uint8_t out[256];
    for (int64_t i = 0; i < n; i += format->block)
        if (!encoders[format->format](x + i, NULL, 0.0f, out)) return i + largest(x + i, format->block);
    return largest(x, n);
}

int64_t vb_encode_fault(const vb_format_info *format, const float *x, int64_t n)
{
    int64_t at = first_from(x, n, limit_of(format));
    return at >= 0 || is_float(format) ? at : block_fault(format, x, n);
}

/* --- rows ------------------------------------------------------------------------------------------------------ */

static void encode_floats(vb_format format, const float *x, int64_t n, uint8_t *out)
{
    if (format == VB_FMT_F32) {
        memcpy(out, x, (size_t)n * sizeof *x);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        uint16_t y = format == VB_FMT_F16 ? (uint16_t)c_f2h(x[i]) : brain_of(x[i]);
        memcpy(out + 2 * i, &y, sizeof y);
    }
}

static float mean_square(const float *x, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return (float)(sum / (double)n);
}

static int encode_row(const vb_format_info *format, const float *x, int64_t width, const float *importance,
                      uint8_t *out)
{
    vb_block_encoder *encode = encoders[format->format];
    float power = importance != NULL ? mean_square(x, width) : 0.0f;
    int fits = 1;
    for (int64_t i = 0; i < width; i += format->block) {
        fits &= encode(x + i, importance != NULL ? importance + i : NULL, power, out);
        out += format->bytes;
    }
    return fits;
}

vb_status vb_encode_rows(const vb_format_info *format, const float *x, int64_t rows, int64_t width,
                         const float *importance, void *out)
{
    uint64_t modes = vb_fp_enter();
    int fits = vb_encode_can(format) && width % format->block == 0;
    for (int64_t r = 0; r < rows && fits; r++) {
        const float *row = x + r * width;
        uint8_t *to = (uint8_t *)out + vb_encode_bytes(format, r, width);
        fits = first_from(row, width, limit_of(format)) < 0;
        if (!fits) break;
        if (is_float(format)) encode_floats(format->format, row, width, to);
        else fits = encode_row(format, row, width, importance, to);
    }
    vb_fp_leave(modes);
    return fits ? VB_OK : VB_E_FORMAT;
}

/* --- whole tensors --------------------------------------------------------------------------------------------- */

typedef struct {
    const vb_encode_job *job;
    const float *x;
    uint8_t *out;
    atomic_int failed;
} encoding;

static void encode_piece(void *ud, int64_t from, int64_t to)
{
    encoding *e = ud;
    const vb_encode_job *j = e->job;
    uint8_t *out = e->out + vb_encode_bytes(j->format, from, j->width);
    if (vb_encode_rows(j->format, e->x + from * j->width, to - from, j->width, j->importance, out) < 0)
        atomic_store(&e->failed, 1);
}

vb_status vb_encode_refuse(const vb_format_info *format, const char *name, int64_t at, float value, vb_err *err)
{
    if (value - value != 0.0f)
        VB_FAIL(err, VB_E_FORMAT, "%s: element %lld: expected a finite number, found %g", name, (long long)at,
                (double)value);
    VB_FAIL(err, VB_E_FORMAT, "%s: element %lld: expected a number that %s can hold, found %g", name, (long long)at,
            format->name, (double)value);
}

vb_status vb_encode_tensor(const vb_encode_job *job, const float *x, void *out, vb_err *err)
{
    if (!vb_encode_can(job->format)) {
        char names[256];
        vb_encode_names(names, sizeof names);
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s: expected a format that can be written (%s), found %s", job->name, names,
                job->format->name);
    }
    if (job->width % job->format->block != 0)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: expected rows of whole blocks of %d for %s, found %lld", job->name,
                job->format->block, job->format->name, (long long)job->width);
    if (job->rows <= 0 || job->width <= 0) return VB_OK;
    encoding e = {.job = job, .x = x, .out = out};
    vb_rows rows = {job->rows, (PIECE + job->width - 1) / job->width, job->threads, encode_piece, &e};
    vb_rows_share(&rows);
    if (!atomic_load(&e.failed)) return VB_OK;
    int64_t at = vb_encode_fault(job->format, x, job->rows * job->width);
    return vb_encode_refuse(job->format, job->name, at, x[at], err);
}
