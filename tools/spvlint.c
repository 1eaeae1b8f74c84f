/* spvlint.c - is every float operation of these shaders one that all devices round alike (docs/ARITHMETIC.md A2)?
 *
 *   spvlint FILE.spv...      a line for each thing that is not; the last line is "N passed, N failed", by files
 *
 * A list of what is allowed, never of what is not: an operation that is not in spv_ops.def is refused, one that is
 * there may see floats only if it says so, and one that rounds has to forbid contraction, because a compiler may
 * otherwise fuse it with its neighbour or move it past one. Floats are of 32 bits and live in registers and a
 * function's own variables; memory that others see has words (asu and asf are its doors), so nothing can flush or
 * round on the way. Rounding and subnormal modes are put in when a device loads the file, by what it offers; here they
 * may not stand.
 *
 * Every device has room for it, too: shared memory and work items are no more than Vulkan's least limits (with the
 * values that constants have before a pipeline sets them).
 *
 * Invariant: words are read only within the file, whatever it holds.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NONE, MOVES, ROUNDS };
enum { NO_CONTRACTION = 42, MOST_COMPLAINTS = 20, MOST_IDS = 1 << 22 };
enum { SHARED = 4, LOCAL_SIZE = 17, MOST_SHARED = 16384, MOST_ITEMS = 128 }; /* a storage class, a mode; bytes, items */
/* Opcodes that have rules of their own. */
enum {
    EXT_IMPORT = 11,
    EXT_INST = 12,
    EXECUTION_MODE = 16,
    CAPABILITY = 17,
    TYPE_INT = 21,
    TYPE_FLOAT = 22,
    TYPE_VECTOR = 23,
    TYPE_ARRAY = 28,
    TYPE_RUNTIME_ARRAY = 29,
    TYPE_STRUCT = 30,
    TYPE_POINTER = 32,
    CONSTANT = 43,
    SPEC_CONSTANT = 50,
    SPEC_OP = 52,
    VARIABLE = 59,
    DECORATE = 71,
    MEMBER_DECORATE = 72,
    CONVERT_S_TO_F = 111,
    BITCAST = 124,
    MULTIPLY = 132
};

typedef struct {
    uint32_t code;
    int floats;
    const char *name, *operands;
} op;

static const op ops[] = {
#define OP(code, name, floats, operands) {code, floats, "Op" #name, operands},
#include "tools/spv_ops.def"
};

/* Shader, integers of other widths, sub-groups, integer dot products. */
static const uint32_t capabilities[] = {1, 11, 22, 39, 61, 62, 63, 64, 65, 66, 68, 6016, 6017, 6018, 6019};
static const uint32_t execution_modes[] = {17, 38, 331}; /* LocalSize, LocalSizeHint, LocalSizeId */
/* SpecId, Block, ArrayStride, BuiltIn, Restrict, Aliased, Volatile, Coherent, NonWritable, NonReadable, Binding,
 * DescriptorSet, Offset, NoContraction. */
static const uint32_t decorations[] = {1, 2, 6, 11, 19, 20, 21, 23, 24, 25, 33, 34, 35, NO_CONTRACTION};
/* GLSL.std.450: SAbs, SSign, UMin, SMin, UMax, SMax, UClamp, SClamp, FindILsb, FindSMsb, FindUMsb. */
static const uint32_t functions[] = {5, 7, 38, 39, 41, 42, 44, 45, 73, 74, 75};
static const uint32_t own_storage[] = {6, 7}; /* Private, Function */

/* What is known of an id. */
typedef struct {
    uint32_t type; /* of a value, 0: none known */
    uint8_t defined;
    uint8_t is_float_type, holds_floats; /* of a type: f32 itself; that or made of some, but no pointer */
    uint8_t bits;                        /* of a type of integers */
    uint8_t exact;                       /* NoContraction */
    uint32_t number;                     /* of a constant: its first word */
    uint64_t bytes;                      /* of a type; of a pointer: what it points to */
} id;

typedef struct {
    const char *file;
    uint32_t *word;
    size_t words;
    id *ids;
    uint32_t bound;
    int complaints, rounding;
    uint64_t shared; /* bytes */
} shader;

#define IN(list, x) is_in(list, sizeof(list) / sizeof(list)[0], x)
static int is_in(const uint32_t *list, size_t n, uint32_t x)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == x) return 1;
    return 0;
}

__attribute__((format(printf, 2, 3))) static void complain(shader *s, const char *fmt, ...)
{
    va_list args;
    if (s->complaints++ >= MOST_COMPLAINTS) return;
    va_start(args, fmt);
    printf("%s: ", s->file);
    vprintf(fmt, args);
    printf("\n");
    va_end(args);
}

static const op *op_of(uint32_t code)
{
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (ops[i].code == code) return &ops[i];
    return NULL;
}

/* Whether a value's bits are floats: one, or an array or a structure of some. */
static int is_floats(const shader *s, uint32_t value)
{
    return value < s->bound && s->ids[s->ids[value].type].holds_floats;
}

/* What the next letter of an operand list stands for; a letter with a star stays. */
static char next_operand(const char **list)
{
    char letter = **list;
    if (letter != 0 && (*list)[1] != '*') ++*list;
    return letter;
}

/* Are there as many words as the list wants, and are ids within the bound? */
static int is_formed(const shader *s, const op *o, const uint32_t *w, uint32_t n)
{
    const char *list = o->operands;
    for (uint32_t i = 1; i < n; i++) {
        char letter = next_operand(&list);
        if (letter == 0) return 0;
        if (letter != 'n' && (w[i] == 0 || w[i] >= s->bound)) return 0;
    }
    return list[0] == 0 || list[1] == '*';
}

/* --- first reading: what each id is */

static int made_of_floats(shader *s, const uint32_t *w, uint32_t from, uint32_t n)
{
    int floats = 0;
    for (uint32_t i = from; i < n; i++) {
        if (w[i] >= s->bound || !s->ids[w[i]].defined)
            complain(s, "type %u is made of %u, which is not defined before it", w[1], w[i]);
        else
            floats |= s->ids[w[i]].holds_floats;
    }
    return floats;
}

/* 0 for what is not known; a product beyond 64 bits is as good as the largest. */
static uint64_t bytes_of(const shader *s, const uint32_t *w, uint32_t n)
{
    uint64_t bytes = 0, many = 1;
    switch (w[0] & 0xffff) {
    case TYPE_INT:
    case TYPE_FLOAT: return w[2] / 8;
    case TYPE_VECTOR: many = w[3]; break;
    case TYPE_ARRAY: many = w[3] < s->bound ? s->ids[w[3]].number : 0; break;
    case TYPE_STRUCT:
        for (uint32_t i = 2; i < n; i++) bytes += w[i] < s->bound ? s->ids[w[i]].bytes : 0;
        return bytes;
    case TYPE_POINTER: return w[3] < s->bound ? s->ids[w[3]].bytes : 0;
    default: return 0;
    }
    return __builtin_mul_overflow(w[2] < s->bound ? s->ids[w[2]].bytes : 0, many, &bytes) ? UINT32_MAX : bytes;
}

static uint32_t number_of(const shader *s, const uint32_t *w, uint32_t n)
{
    uint32_t code = w[0] & 0xffff;
    if ((code == CONSTANT || code == SPEC_CONSTANT) && n > 3) return w[3];
    return code == SPEC_OP && n == 6 && w[3] == MULTIPLY ? s->ids[w[4]].number * s->ids[w[5]].number : 0;
}

static void learn_type(shader *s, const uint32_t *w, uint32_t n)
{
    uint32_t code = w[0] & 0xffff;
    id *to = &s->ids[w[1]];
    switch (code) {
    case TYPE_INT: to->bits = w[2] > 64 ? 0 : (uint8_t)w[2]; break;
    case TYPE_FLOAT:
        to->is_float_type = to->holds_floats = 1;
        if (n != 3 || w[2] != 32) complain(s, "OpTypeFloat of %u bits: floats have 32", w[2]);
        break;
    case TYPE_VECTOR:
        to->holds_floats = made_of_floats(s, w, 2, 3) != 0;
        if (to->holds_floats) complain(s, "OpTypeVector of floats: they are computed one by one");
        break;
    case TYPE_ARRAY:
    case TYPE_RUNTIME_ARRAY: to->holds_floats = made_of_floats(s, w, 2, 3) != 0; break;
    case TYPE_STRUCT: to->holds_floats = made_of_floats(s, w, 2, n) != 0; break;
    case TYPE_POINTER:
        if (made_of_floats(s, w, 3, 4) && !IN(own_storage, w[2]))
            complain(s, "OpTypePointer to floats in storage class %u: memory that others see has words", w[2]);
        break;
    default: break;
    }
}

static void learn(shader *s, const op *o, const uint32_t *w, uint32_t n)
{
    if (o->code == DECORATE && w[2] == NO_CONTRACTION && w[1] < s->bound) s->ids[w[1]].exact = 1;
    if (o->operands[0] == 'r') {
        if (s->ids[w[1]].defined) complain(s, "id %u is defined twice", w[1]);
        s->ids[w[1]].defined = 1;
        learn_type(s, w, n);
        s->ids[w[1]].bytes = bytes_of(s, w, n);
    }
    if (o->operands[0] == 't') {
        if (s->ids[w[2]].defined) complain(s, "id %u is defined twice", w[2]);
        s->ids[w[2]].defined = 1;
        s->ids[w[2]].type = w[1];
        s->ids[w[2]].number = number_of(s, w, n);
    }
    if (o->code == VARIABLE && w[3] == SHARED) s->shared += s->ids[w[1]].bytes;
}

/* --- second reading: is it allowed? */

static void check_floats(shader *s, const op *o, const uint32_t *w, uint32_t n)
{
    const char *list = o->operands;
    for (uint32_t i = 1; i < n; i++) {
        char letter = next_operand(&list);
        if ((letter != 'r' && letter != 'i') || !is_floats(s, w[i])) continue;
        complain(s, "%s %s a float (id %u): it may not", o->name, letter == 'r' ? "gives" : "takes", w[i]);
        return;
    }
}

/* Sums, differences and products of single floats, and not to be fused or moved. */
static void check_rounding(shader *s, const op *o, const uint32_t *w)
{
    s->rounding++;
    for (uint32_t i = 2; i < 5; i++)
        if (!s->ids[s->ids[w[i]].type].is_float_type) complain(s, "%s (id %u) is not of single floats", o->name, w[2]);
    if (!s->ids[w[2]].exact) complain(s, "%s (id %u) without NoContraction", o->name, w[2]);
}

/* 32 bits, the same before and after; integers become floats with one rounding. */
static void check_conversion(shader *s, const op *o, const uint32_t *w)
{
    const id *from = &s->ids[s->ids[w[3]].type], *to = &s->ids[w[1]];
    if (!from->holds_floats && !to->holds_floats) return;
    if ((from->is_float_type || from->bits == 32) && (to->is_float_type || to->bits == 32)) return;
    complain(s, "%s (id %u) between a float and what is no integer of 32 bits", o->name, w[2]);
}

static void check_special(shader *s, const op *o, const uint32_t *w, uint32_t n)
{
    const op *inner;
    switch (o->code) {
    case EXT_IMPORT:
        if (n != 6 || memcmp(&w[2], "GLSL.std.450\0\0\0", 16) != 0)
            complain(s, "OpExtInstImport of another set than GLSL.std.450");
        break;
    case EXT_INST:
        if (!IN(functions, w[4])) complain(s, "OpExtInst: function %u of GLSL.std.450 is not one of integers", w[4]);
        break;
    case EXECUTION_MODE:
        if (w[2] == LOCAL_SIZE && n == 6 && (uint64_t)w[3] * w[4] * w[5] > MOST_ITEMS)
            complain(s, "a work group of %u x %u x %u: all devices have room for %d", w[3], w[4], w[5], MOST_ITEMS);
        if (!IN(execution_modes, w[2])) complain(s, "OpExecutionMode %u: it is not allowed", w[2]);
        break;
    case CAPABILITY:
        if (!IN(capabilities, w[1])) complain(s, "OpCapability %u: it is not allowed", w[1]);
        break;
    case DECORATE:
        if (!IN(decorations, w[2])) complain(s, "OpDecorate %u (id %u): it is not allowed", w[2], w[1]);
        break;
    case MEMBER_DECORATE:
        if (!IN(decorations, w[3])) complain(s, "OpMemberDecorate %u (id %u): it is not allowed", w[3], w[1]);
        break;
    case SPEC_OP:
        inner = op_of(w[3]);
        if (inner == NULL || inner->floats != NONE) complain(s, "OpSpecConstantOp %u: it is not allowed", w[3]);
        break;
    case CONVERT_S_TO_F:
    case BITCAST: check_conversion(s, o, w); break;
    default: break;
    }
}

static void check(shader *s, const op *o, const uint32_t *w, uint32_t n)
{
    check_special(s, o, w, n);
    if (o->floats == NONE) check_floats(s, o, w, n);
    if (o->floats == ROUNDS) check_rounding(s, o, w);
}

/* --- files */

typedef void reading(shader *s, const op *o, const uint32_t *w, uint32_t n);

static void read_all(shader *s, reading *each)
{
    for (size_t at = 5; at < s->words;) {
        const uint32_t *w = &s->word[at];
        uint32_t n = w[0] >> 16;
        const op *o = op_of(w[0] & 0xffff);
        if (n == 0 || n > s->words - at) {
            complain(s, "word %zu: an operation that does not end within the file", at);
            return;
        }
        if (o == NULL)
            complain(s, "operation %u at word %zu: not one that is allowed (spv_ops.def)", w[0] & 0xffff, at);
        else if (!is_formed(s, o, w, n))
            complain(s, "%s at word %zu: malformed", o->name, at);
        else
            each(s, o, w, n);
        at += n;
    }
}

static void lint(shader *s)
{
    s->bound = s->words >= 5 ? s->word[3] : 0;
    if (s->words < 5 || s->word[0] != 0x07230203 || s->bound == 0 || s->bound > MOST_IDS) {
        complain(s, "not SPIR-V of this machine's byte order");
        return;
    }
    s->ids = calloc(s->bound, sizeof *s->ids);
    if (s->ids == NULL) {
        complain(s, "out of memory");
        return;
    }
    read_all(s, learn);
    if (s->shared > MOST_SHARED)
        complain(s, "%llu bytes of shared memory: all devices have %d", (unsigned long long)s->shared, MOST_SHARED);
    if (s->complaints == 0) read_all(s, check);
    free(s->ids);
}

static void read_words(shader *s)
{
    FILE *f = fopen(s->file, "rb");
    long size = -1;
    if (f != NULL && fseek(f, 0, SEEK_END) == 0) size = ftell(f);
    if (size > 0 && size % 4 == 0 && fseek(f, 0, SEEK_SET) == 0) s->word = malloc((size_t)size);
    if (s->word != NULL && fread(s->word, 4, (size_t)size / 4, f) == (size_t)size / 4) s->words = (size_t)size / 4;
    if (f != NULL) fclose(f);
    if (s->words == 0) complain(s, "cannot be read as words of 32 bits");
}

int main(int argc, char **argv)
{
    int failed = 0, rounding = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: spvlint FILE.spv...\n");
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        shader s = {.file = argv[i]};
        read_words(&s);
        if (s.words > 0) lint(&s);
        free(s.word);
        failed += s.complaints > 0;
        rounding += s.rounding;
        if (s.complaints > MOST_COMPLAINTS) printf("%s: %d more\n", s.file, s.complaints - MOST_COMPLAINTS);
    }
    printf("%d operations that round, each on its own\n", rounding);
    printf("%d passed, %d failed\n", argc - 1 - failed, failed);
    return failed > 0;
}
