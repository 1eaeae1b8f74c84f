/* probes.c - the cases on which a device is tried. Operands are the same in every process: xorshift64, a fixed seed.
 *
 * Every function of base/canon.inc and base/exact.inc is here, every operation that a shader may use on floats, what
 * compilers like to do with several of them (fuse, reorder, cancel), and integers and shared memory, so that a device
 * that passes has shown all that steps are made of.
 */
#include "gpu/probes.h"

#include "base/canon.h"

#include "base/words.inc"
#include "gpu/shaders/probes.inc"

#define ASK(name, op, domain, needs) {name, PROBE_##op, VB_PROBE_##domain, VB_PROBE_NEEDS_##needs}
const vb_probe vb_probes[] = {
    ASK("x + y", SUM, MIDDLE, NOTHING),
    ASK("x + y at edges", SUM, EDGES, NOTHING),
    ASK("x + y of subnormals", SUM, TINY, SUBNORMALS),
    ASK("x - y", DIFFERENCE, MIDDLE, NOTHING),
    ASK("x - y at edges", DIFFERENCE, EDGES, NOTHING),
    ASK("x - y of subnormals", DIFFERENCE, TINY, SUBNORMALS),
    ASK("x * y", PRODUCT, MIDDLE, NOTHING),
    ASK("x * y at edges", PRODUCT, EDGES, NOTHING),
    ASK("x * y of subnormals", PRODUCT, TINY, SUBNORMALS),
    ASK("x * y + z", PRODUCT_SUM, MIDDLE, NOTHING),
    ASK("x * y - z", PRODUCT_LESS, MIDDLE, NOTHING),
    ASK("z - x * y", LESS_PRODUCT, MIDDLE, NOTHING),
    ASK("(x + y) - x", AND_BACK, MIDDLE, NOTHING),
    ASK("a sum of products", SERIES, WORDS, NOTHING),
    ASK("int to float", FROM_INT, WORDS, NOTHING),
    ASK("bits of floats", CAST, MIDDLE, NOTHING),
    ASK("bits of floats at edges", CAST, EDGES, NOTHING),
    ASK("bits of subnormals", CAST, TINY, SUBNORMALS),
    ASK("guard", GUARD, EDGES, NOTHING),
    ASK("guard of subnormals", GUARD, TINY, NOTHING),
    ASK("from half", FROM_HALF, COUNT, NOTHING),
    ASK("to half", TO_HALF, VALUES, NOTHING),
    ASK("to half at edges", TO_HALF, EDGES, NOTHING),
    ASK("round", ROUND, VALUES, NOTHING),
    ASK("recip", RECIP, POSITIVE, NOTHING),
    ASK("exp", EXP, VALUES, NOTHING),
    ASK("sigmoid", SIGMOID, VALUES, NOTHING),
    ASK("silu", SILU, VALUES, NOTHING),
    ASK("gelu_tanh", GELU_TANH, VALUES, NOTHING),
    ASK("tanh", TANH, VALUES, NOTHING),
    ASK("softcap", SOFTCAP, VALUES, NOTHING),
    ASK("log", LOG, POSITIVE, NOTHING),
    ASK("softplus", SOFTPLUS, VALUES, NOTHING),
    ASK("erf", ERF, VALUES, NOTHING),
    ASK("division by integers", QUOTIENT, POSITIVE, NOTHING),
    ASK("division by integers at edges", QUOTIENT, EDGES, NOTHING),
    ASK("square root by integers", ROOT, POSITIVE, NOTHING),
    ASK("square root by integers at edges", ROOT, EDGES, NOTHING),
    ASK("integer product", INT_PRODUCT, WORDS, NOTHING),
    ASK("integer quotient", INT_QUOTIENT, WORDS, NOTHING),
    ASK("shifts", INT_SHIFT, WORDS, NOTHING),
    ASK("shared memory", NEIGHBOUR, WORDS, NOTHING),
    ASK("words that come with notes", LEAST, EDGES, NOTHING),
    ASK("integer dot product", DOT, WORDS, DOT),
};
const int vb_n_probes = sizeof vb_probes / sizeof vb_probes[0];

static const uint32_t edges[] = {
    0x00000000, 0x80000000, 0x00800000, 0x80800000, 0x00800001, 0x01000000, 0x217fffff, 0x21800000, 0xa1800000,
    0x33800000, 0x3f000000, 0x3f7fffff, 0x3f800000, 0xbf800000, 0x3f800001, 0x40000000, 0x42fe0000, 0x4b000000,
    0x4b7fffff, 0x4b800000, 0x477fe000, 0x477fefff, 0x477ff000, 0x387fffff, 0x38800000, 0x33000000, 0x33000001,
    0x7e800000, 0x7f000000, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000};
/* Where functions change their text (F1, F3, F4), where they round, and where they leave the middle. */
static const uint32_t bends[] = {0x42200000, 0x42700000, 0x3c800000, 0x3f600000, 0x40800000, 0x41a00000,
                                 0x3f000000, 0x3f800000, 0x3fc00000, 0x40200000, 0x3f317218, 0x3eb17218,
                                 0x42b17218, 0x21800004, 0x4a7fffff, 0x38800000};
enum { EDGES = sizeof edges / sizeof edges[0], BENDS = sizeof bends / sizeof bends[0] };

static uint32_t next_word(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 16);
}

/* A float with an exponent field of from..from+n-1. */
static uint32_t a_float(uint64_t *state, uint32_t from, uint32_t n)
{
    uint32_t field = from + next_word(state) % n;
    return (next_word(state) & 0x807fffffu) | field << 23;
}

static uint32_t near_to(uint32_t x, uint64_t *state)
{
    return (x & 0x7f800000u) | (next_word(state) & 0x807fffffu);
}

static void fill_middle(uint32_t *x, uint32_t *y, uint32_t *z, uint32_t i, uint64_t *state)
{
    *x = a_float(state, 77, 100);
    *y = i & 1 ? a_float(state, 77, 100) : near_to(*x, state);
    *z = i & 2 ? a_float(state, 77, 100) : near_to(asu(asf(*x) * asf(*y)), state);
}

static void fill_edges(uint32_t *x, uint32_t *y, uint32_t *z, uint32_t i, uint64_t *state)
{
    *x = edges[i % EDGES];
    *y = edges[i / EDGES % EDGES];
    *z = edges[next_word(state) % EDGES];
    if (i < EDGES * EDGES) return;
    if (i & 1) *x = a_float(state, 1, 254);
    if (i & 2) *y = a_float(state, 1, 254);
}

static void fill_tiny(uint32_t *x, uint32_t *y, uint32_t *z, uint32_t i, uint64_t *state)
{
    *x = a_float(state, 0, i & 1 ? 1 : 30);
    *y = i & 2 ? a_float(state, 0, 2) : a_float(state, 100, 30);
    *z = a_float(state, 0, 2);
}

static void fill_values(uint32_t *x, uint32_t *y, uint32_t *z, uint32_t i, uint64_t *state)
{
    *x = i & 1 ? a_float(state, 67, 67) : a_float(state, 117, 16);
    if (i < 16 * BENDS) *x = (bends[i / 16] + i % 8 - 4) | (i & 8) << 28;
    *y = a_float(state, 127, 7) & 0x7fffffffu;
    *z = *x;
}

static void fill_positive(uint32_t *x, uint32_t *y, uint32_t *z, uint32_t i, uint64_t *state)
{
    *x = (i & 4 ? a_float(state, 27, 200) : a_float(state, 126, 2)) & 0x7fffffffu;
    *y = (i & 4 ? a_float(state, 27, 200) : a_float(state, 126, 2)) & 0x7fffffffu;
    *z = *x;
    if (i & 1) *x = i & 2 ? 0x3f800000u : 0x42fe0000u; /* 1 / y and 127 / y */
}

static void fill_words(uint32_t *x, uint32_t *y, uint32_t *z, uint32_t i, uint64_t *state)
{
    static const uint32_t first[] = {0, 1, 2, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0x01000001, 0x01000003};
    enum { FIRST = sizeof first / sizeof first[0] };
    uint32_t shift = i & 31;
    *x = i < FIRST * FIRST ? first[i % FIRST] : next_word(state) >> shift;
    *y = i < FIRST * FIRST ? first[i / FIRST] : next_word(state);
    *z = next_word(state);
}

static void fill_count(uint32_t *x, uint32_t *y, uint32_t *z, uint32_t i, uint64_t *state)
{
    (void)state;
    *x = *y = *z = i;
}

void vb_probe_fill(uint32_t *operands, vb_probe_domain domain)
{
    static void (*const fill[VB_PROBE_DOMAINS])(uint32_t *, uint32_t *, uint32_t *, uint32_t, uint64_t *) = {
        [VB_PROBE_MIDDLE] = fill_middle, [VB_PROBE_EDGES] = fill_edges,       [VB_PROBE_TINY] = fill_tiny,
        [VB_PROBE_VALUES] = fill_values, [VB_PROBE_POSITIVE] = fill_positive, [VB_PROBE_WORDS] = fill_words,
        [VB_PROBE_COUNT] = fill_count};
    uint32_t *x = operands, *y = x + VB_PROBE_CASES, *z = y + VB_PROBE_CASES;
    uint64_t state = 0x9e3779b97f4a7c15u + (uint64_t)domain;
    for (uint32_t i = 0; i < VB_PROBE_CASES; i++) fill[domain](&x[i], &y[i], &z[i], i, &state);
}

static uint32_t dot(uint32_t x, uint32_t y)
{
    int32_t sum = 0;
    for (int k = 0; k < 32; k += 8) sum += (int8_t)(uint8_t)(x >> k) * (int8_t)(uint8_t)(y >> k);
    return (uint32_t)sum;
}

uint32_t vb_probe_answer(const vb_probe *p, const uint32_t *operands, uint32_t i)
{
    const uint32_t *x = operands, *y = x + VB_PROBE_CASES, *z = y + VB_PROBE_CASES;
    if (p->op == PROBE_DOT) return dot(x[i], y[i]);
    if (p->op == PROBE_NEIGHBOUR || p->op == PROBE_LEAST) return x[(i & ~63u) | ((i * 7u + 3u) & 63u)];
    return probe(probe_part(p->op), p->op, x[i], y[i], z[i]);
}

uint32_t vb_probe_part(const vb_probe *p)
{
    return probe_part(p->op);
}

int vb_probe_agrees(const vb_probe *p, uint32_t found, uint32_t answer, int subnormals)
{
    int is_float = p->op < PROBE_INT_PRODUCT && p->op != PROBE_TO_HALF && p->op != PROBE_ROUND;
    uint32_t a = found & 0x7fffffffu, b = answer & 0x7fffffffu;
    if (found == answer) return 1;
    if (!is_float) return 0;
    if (a > 0x7f800000u && b > 0x7f800000u) return 1;
    return !subnormals && p->op <= PROBE_PRODUCT && b > 0 && b <= 0x00800000u;
}
