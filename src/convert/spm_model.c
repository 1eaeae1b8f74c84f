/* spm_model.c - just enough of protobuf: tags, varints, and four kinds of fields, all inside bounds.
 *
 *   field   tag = number << 3 | wire, then   0 varint   1 eight bytes   2 length, bytes   5 four bytes
 */
#include "convert/spm_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PIECES = 1 << 22 };

typedef struct {
    const uint8_t *at, *end;
} cursor;

typedef struct {
    unsigned number, wire;
    uint64_t value; /* of a varint and of fixed bytes */
    cursor bytes;   /* of a length */
} field;

static int varint(cursor *c, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && c->at < c->end; shift += 7) {
        uint8_t byte = *c->at++;
        *value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return 1;
    }
    return 0;
}

static int fixed(cursor *c, size_t n, uint64_t *value)
{
    if ((size_t)(c->end - c->at) < n) return 0;
    *value = 0;
    for (size_t i = 0; i < n; i++) *value |= (uint64_t)c->at[i] << 8 * i;
    c->at += n;
    return 1;
}

static int next(cursor *c, field *f)
{
    uint64_t tag;
    if (!varint(c, &tag) || tag >> 3 == 0 || tag >> 32 != 0) return 0;
    *f = (field){(unsigned)(tag >> 3), (unsigned)(tag & 7), 0, {NULL, NULL}};
    if (f->wire == 0) return varint(c, &f->value);
    if (f->wire == 1) return fixed(c, 8, &f->value);
    if (f->wire == 5) return fixed(c, 4, &f->value);
    if (f->wire != 2 || !varint(c, &f->value) || f->value > (uint64_t)(c->end - c->at)) return 0;
    f->bytes = (cursor){c->at, c->at + f->value};
    c->at += f->value;
    return 1;
}

static vb_text text_of(const field *f)
{
    return (vb_text){(const char *)f->bytes.at, (size_t)(f->bytes.end - f->bytes.at)};
}

static int read_piece(vb_spm_model *m, cursor c)
{
    vb_spm_piece p = {{"", 0}, 0, VB_SPM_NORMAL};
    field f;
    while (c.at < c.end) {
        if (!next(&c, &f)) return 0;
        uint32_t bits = (uint32_t)f.value;
        if (f.number == 1 && f.wire == 2) p.text = text_of(&f);
        if (f.number == 2 && f.wire == 5) memcpy(&p.score, &bits, sizeof p.score);
        if (f.number == 3 && f.wire == 0)
            p.kind = f.value >= 1 && f.value <= VB_SPM_BYTE ? (vb_spm_kind)f.value : VB_SPM_NORMAL;
    }
    if (!isfinite(p.score) || p.text.len == 0) return 0;
    m->pieces[m->n++] = p;
    return 1;
}

static int read_trainer(vb_spm_model *m, cursor c)
{
    field f;
    while (c.at < c.end) {
        if (!next(&c, &f)) return 0;
        if (f.number == 3 && f.wire == 0) m->unigram = f.value == 1;
    }
    return 1;
}

static int read_normalizer(vb_spm_model *m, cursor c)
{
    field f;
    while (c.at < c.end) {
        if (!next(&c, &f)) return 0;
        if (f.number == 2 && f.wire == 2) m->charsmap = text_of(&f);
        if (f.number == 3 && f.wire == 0) m->space_prefix = f.value != 0;
        if (f.number == 4 && f.wire == 0) m->shrinks_spaces = f.value != 0;
    }
    return 1;
}

/* How many pieces there are; 0 also where the file is no message. */
static uint64_t count(cursor c)
{
    uint64_t n = 0;
    field f;
    while (c.at < c.end) {
        if (!next(&c, &f)) return 0;
        n += f.number == 1 && f.wire == 2;
    }
    return n;
}

static int read_field(vb_spm_model *m, const field *f)
{
    if (f->wire != 2) return 1;
    if (f->number == 1) return read_piece(m, f->bytes);
    if (f->number == 2) return read_trainer(m, f->bytes);
    return f->number != 3 || read_normalizer(m, f->bytes);
}

vb_status vb_spm_model_read(vb_spm_model *m, const uint8_t *data, size_t size, const char *name, vb_err *err)
{
    cursor c = {data, size > 0 ? data + size : data};
    *m = (vb_spm_model){.unigram = 1, .space_prefix = 1, .shrinks_spaces = 1};
    uint64_t n = size > 0 ? count(c) : 0;
    if (n == 0 || n > MOST_PIECES)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected a SentencePiece model with 1 to %d pieces, found %llu", name,
                MOST_PIECES, (unsigned long long)n);
    m->pieces = malloc(n * sizeof *m->pieces);
    if (m->pieces == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: no memory for %llu pieces", name, (unsigned long long)n);
    for (field f; c.at < c.end;) {
        const uint8_t *from = c.at;
        if (!next(&c, &f) || !read_field(m, &f))
            VB_FAIL(err, VB_E_FORMAT, "%s: byte %zu: expected a field of a SentencePiece model", name,
                    (size_t)(from - data));
    }
    return VB_OK;
}

void vb_spm_model_free(vb_spm_model *m)
{
    free(m->pieces);
    *m = (vb_spm_model){0};
}
