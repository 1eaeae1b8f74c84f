#version 450
/* kv_write.comp - keys and values of the batch's tokens, as they are stored (docs/ARITHMETIC.md J5), into their pages
 * and one behind the other into `out`, the host's mirror.
 *
 *   a   keys, b values     out   a row for each token: keys of all heads, then values
 *   x   work items: some words of a row each, of all heads' keys, then of their values     y   tokens
 *
 * c[2] heads of keys and values; then two for keys and two for values: elements of a head, words of its row.
 */
#include "step.glsl"
#include "kv.glsl"
layout(local_size_x = 64) in;

/* One head of the token's keys or values. */
struct place {
    bool value;
    uint from, page, mirror, dim, token; /* words in a or b, in k_words or v_words, in out */
};

F32 element(place p, uint i)
{
    return asf(p.value ? b_at(p.from + i) : a_at(p.from + i));
}

void put(place p, uint i, uint word)
{
    if (p.value) v_words[at[7] + p.page + i] = word;
    else k_words[at[6] + p.page + i] = word;
    out_words[at[2] + p.mirror + i] = word;
}

/* A half that is infinite is an error (A3). */
uint half_of(place p, F32 x)
{
    uint h = c_f2h(x);
    if ((h & 0x7c00u) == 0x7c00u) note(p.token, 0x7f800000u);
    return h;
}

#if defined(FORMAT_f32)
const uint EACH = 1u; /* elements of a work item */
void write(place p, uint i) { put(p, i, asu(element(p, i))); }
#elif defined(FORMAT_f16)
const uint EACH = 2u;
void write(place p, uint i)
{
    put(p, i, half_of(p, element(p, 2u * i)) | half_of(p, element(p, 2u * i + 1u)) << 16);
}
#else
const uint EACH = 64u; /* two blocks, because one alone ends within a word */
struct block {
    uint scale;
    F32 inverse;
};

/* B1 to B3 */
block measure(place p, uint from)
{
    uint amax = 0u;
    for (uint i = 0u; i < 32u && from < p.dim; i++) amax = max(amax, asu(element(p, from + i)) & 0x7fffffffu);
    block b = block(0u, asf(0u));
    if (amax < 0x21800000u) return b;
    F32 d = asf(amax) * asf(0x3c010204u);
    b.scale = half_of(p, d);
    b.inverse = c_div_exact(asf(0x42fe0000u), asf(amax));
    return b;
}

/* B4 */
uint integer(place p, F32 inverse, uint i)
{
    F32 x = element(p, i) * inverse;
    return I2U(c_rint(x)) & 0xffu;
}

void write(place p, uint i)
{
    uint from = 64u * i, n = p.dim - from < 64u ? 17u : 34u, half_word = 0u, below = 0u;
    block b[2] = block[2](measure(p, from), measure(p, from + 32u));
    for (uint h = 0u; h < n; h++) {
        uint k = h / 17u, j = from + 32u * k + 2u * (h % 17u) - 2u;
        if (h % 17u == 0u) half_word = b[k].scale;
        else half_word = integer(p, b[k].inverse, j) | integer(p, b[k].inverse, j + 1u) << 8;
        if ((h & 1u) == 1u) put(p, 17u * i + (h >> 1), below | half_word << 16);
        below = half_word;
    }
    if (n == 17u) put(p, 17u * i + 8u, below);
}
#endif

void main()
{
    uint token = gl_WorkGroupID.y, i = gl_GlobalInvocationID.x, heads = c[2];
    uint keys = heads * ((c[3] + EACH - 1u) / EACH), values = heads * ((c[5] + EACH - 1u) / EACH);
    if (i >= keys + values || token >= row_count()) return;
    place p;
    p.value = i >= keys;
    if (p.value) i -= keys;
    p.token = token;
    p.dim = p.value ? c[5] : c[3];
    uint row = p.value ? c[6] : c[4], position = row_position(token);
    uint of_head = (p.dim + EACH - 1u) / EACH, head = i / of_head;
    p.from = token * stride(heads * p.dim) + head * p.dim;
    p.page = ((page_of(token, position >> 6) * heads + head) * 64u + (position & 63u)) * row;
    p.mirror = token * heads * (c[4] + c[6]) + (p.value ? heads * c[4] : 0u) + head * row;
    write(p, i % of_head);
}
