/* gpu_core.h - one device by itself: memory of all kinds, tapes, ranges at any word, chains, modes of floats, refusals.
 *
 *   up:  batch | a | b | out, poisoned      --tape-->  local, the same  --add-->  --tape-->  down, the same
 */
#ifndef VB_TESTS_GPU_CORE_H
#define VB_TESTS_GPU_CORE_H
#include "gpu/inside.h"
#include "gpu/steps.h"
#include "oracle/oracle.h"
#include "tests/random.h"
#include "tests/tally.h"

#include <string.h>
#include <unistd.h>

enum { CORE_WORDS = 1 << 14, CORE_NOTES = 8, CORE_PARTS = 5 };
enum { CORE_ROWS, CORE_NOTE, CORE_A, CORE_B, CORE_OUT };

typedef struct {
    vb_gpu *g;
    rng random;
    vb_gpu_buffer up, local, down;
    vb_gpu_tape *tape;
    int width, tokens, bucket;
    int again; /* 0, or how often one tape is submitted */
    size_t at[CORE_PARTS], size[CORE_PARTS]; /* in words */
    uint32_t expected[CORE_WORDS];
} core_case;

static int core_below(core_case *c, int n)
{
    return (int)(rng_word(&c->random) % (uint32_t)n);
}

static vb_gpu_range core_part(const core_case *c, const vb_gpu_buffer *b, int part)
{
    return (vb_gpu_range){b, c->at[part] * 4, c->size[part] * 4};
}

static void core_shape(core_case *c)
{
    c->width = 1 + core_below(c, 300);
    c->bucket = 1 << core_below(c, 4);
    c->tokens = 1 + core_below(c, c->bucket);
    size_t words = (size_t)c->bucket * vb_gpu_stride(c->width), at = 0;
    c->size[CORE_ROWS] = VB_GPU_ROWS_WORDS;
    c->size[CORE_NOTE] = CORE_NOTES;
    c->size[CORE_A] = c->size[CORE_B] = c->size[CORE_OUT] = words;
    for (int i = 0; i < CORE_PARTS; i++) {
        at += (size_t)core_below(c, 70);
        c->at[i] = at;
        at += c->size[i];
    }
}

/* New numbers, and what has to become of them: poison, the sums between it, and the row of the note. */
static void core_fill(core_case *c, int note)
{
    uint32_t *w = c->expected;
    float a[300], b[300], y[300];
    for (int i = 0; i < CORE_WORDS; i++) w[i] = rng_word(&c->random) & 0xbf7fffffu; /* below 1: no sum overflows */
    w[c->at[CORE_ROWS]] = (uint32_t)c->tokens;
    for (int i = 0; i < CORE_NOTES; i++) w[c->at[CORE_NOTE] + (size_t)i] = ~0u;
    size_t sick = c->at[CORE_A] + (size_t)(c->tokens - 1) * vb_gpu_stride(c->width);
    if (note >= 0) w[sick] = 0x7f800000u;
    memcpy(c->up.host, w, CORE_WORDS * 4);
    if (note >= 0) w[c->at[CORE_NOTE] + (size_t)note] = (uint32_t)(c->tokens - 1);
    for (int r = 0; r < c->tokens; r++) {
        size_t skip = (size_t)r * vb_gpu_stride(c->width), bytes = (size_t)c->width * 4;
        memcpy(a, w + c->at[CORE_A] + skip, bytes);
        memcpy(b, w + c->at[CORE_B] + skip, bytes);
        vb_oracle_add(y, a, b, c->width);
        memcpy(w + c->at[CORE_OUT] + skip, y, bytes);
    }
}

static vb_status core_record(core_case *c, int note, vb_err *err)
{
    const vb_gpu_range up = {&c->up, 0, CORE_WORDS * 4}, local = {&c->local, 0, CORE_WORDS * 4};
    const vb_gpu_range down = {&c->down, 0, CORE_WORDS * 4};
    vb_gpu_dispatch d = {.shader = VB_SHADER_ADD, .x = ((uint32_t)c->width + 63) / 64, .y = (uint32_t)c->bucket};
    d.range[VB_GPU_ROWS] = core_part(c, &c->local, CORE_ROWS);
    d.range[VB_GPU_NOTES] = core_part(c, &c->local, CORE_NOTE);
    d.range[VB_GPU_A] = core_part(c, &c->local, CORE_A);
    d.range[VB_GPU_B] = core_part(c, &c->local, CORE_B);
    d.range[VB_GPU_OUT] = core_part(c, &c->local, CORE_OUT);
    d.c[0] = note < 0 ? 0 : (uint32_t)note;
    d.c[2] = (uint32_t)c->width;
    VB_TRY(vb_gpu_tape_open(&c->tape, c->g, err));
    VB_TRY(vb_gpu_tape_copy(c->tape, local, up, err));
    VB_TRY(vb_gpu_tape_dispatch(c->tape, &d, err));
    VB_TRY(vb_gpu_tape_copy(c->tape, down, local, err));
    return vb_gpu_tape_end(c->tape, err);
}

/* One tape, played for three lots of numbers. */
static vb_status core_play(core_case *c, vb_err *err)
{
    int note = core_below(c, 3) == 0 ? core_below(c, CORE_NOTES) : -1;
    core_shape(c);
    VB_TRY(core_record(c, note, err));
    for (int i = 0; i < 3; i++) {
        core_fill(c, note);
        memset(c->down.host, 0, CORE_WORDS * 4);
        VB_TRY(vb_gpu_play(c->g, c->tape, CORE_WORDS * 4, err));
        VB_TRY(vb_gpu_wait(c->g, err));
        if (memcmp(c->down.host, c->expected, CORE_WORDS * 4) == 0)
            passed();
        else
            failed("core: width %d, %d of %d tokens, play %d: other words", c->width, c->tokens, c->bucket, i);
    }
    return VB_OK;
}

/* One tape, submitted over and over with the same numbers: what it leaves is the same each time. */
static vb_status core_again(core_case *c, vb_err *err)
{
    int wrong = 0;
    core_shape(c);
    core_fill(c, -1);
    VB_TRY(core_record(c, -1, err));
    for (int i = 0; i < c->again; i++) {
        memset(c->down.host, 0, CORE_WORDS * 4);
        VB_TRY(vb_gpu_play(c->g, c->tape, CORE_WORDS * 4, err));
        VB_TRY(vb_gpu_wait(c->g, err));
        wrong += memcmp(c->down.host, c->expected, CORE_WORDS * 4) != 0;
    }
    if (wrong == 0)
        passed();
    else
        failed("core: %d of %d plays of one tape left other words", wrong, c->again);
    return VB_OK;
}

static void core_buffers(core_case *c)
{
    vb_err err = {0};
    vb_status s = VB_OK;
    VB_TRY_OUT(s, vb_gpu_alloc(&c->up, c->g, VB_GPU_UP, CORE_WORDS * 4, &err));
    VB_TRY_OUT(s, vb_gpu_alloc(&c->local, c->g, VB_GPU_LOCAL, CORE_WORDS * 4, &err));
    VB_TRY_OUT(s, vb_gpu_alloc(&c->down, c->g, VB_GPU_DOWN, CORE_WORDS * 4, &err));
    VB_TRY_OUT(s, c->again > 0 ? core_again(c, &err) : core_play(c, &err));
out:
    if (s < 0) failed("core: %s", err.text);
    vb_gpu_tape_close(c->tape);
    vb_gpu_free(c->g, &c->up);
    vb_gpu_free(c->g, &c->local);
    vb_gpu_free(c->g, &c->down);
}

static void core_expect(vb_status found, vb_status expected, const char *what)
{
    if (found == expected)
        passed();
    else
        failed("core: %s: expected %d, found %d", what, expected, found);
}

/* What a caller may not ask for, and that the device is as good as before. */
static void core_refusals(vb_gpu *g)
{
    const vb_gpu_facts *f = vb_gpu_facts_of(g);
    vb_gpu_tape *t = NULL;
    vb_gpu_buffer b, big;
    vb_err err;
    uint64_t before = vb_gpu_in_use(g);
    core_expect(vb_gpu_alloc(&big, g, VB_GPU_LOCAL, f->most_alloc + 1, &err), VB_E_MEMORY, "too much memory");
    core_expect(vb_gpu_alloc(&b, g, VB_GPU_LOCAL, 256, &err), VB_OK, "a buffer");
    core_expect(vb_gpu_tape_open(&t, g, &err), VB_OK, "a tape");
    if (b.inside == NULL || t == NULL) {
        vb_gpu_tape_close(t);
        vb_gpu_free(g, &b);
        return;
    }
    vb_gpu_dispatch d = {.shader = VB_SHADER_ADD, .range = {[VB_GPU_A] = {&b, 252, 8}}};
    core_expect(vb_gpu_tape_dispatch(t, &d, &err), VB_E_ARGUMENT, "a range beyond its buffer");
    d.range[VB_GPU_A] = (vb_gpu_range){&b, 2, 8};
    core_expect(vb_gpu_tape_dispatch(t, &d, &err), VB_E_ARGUMENT, "a range between words");
    d.range[VB_GPU_A] = (vb_gpu_range){&b, 0, 8};
    d.y = ~0u;
    core_expect(vb_gpu_tape_dispatch(t, &d, &err), VB_E_ARGUMENT, "too many work groups");
    core_expect(vb_gpu_play(g, t, 0, &err), VB_E_ARGUMENT, "a tape that was not ended");
    vb_gpu_range whole = {&b, 0, 256}, beyond = {&b, 4, 256};
    core_expect(vb_gpu_tape_copy(t, whole, beyond, &err), VB_E_ARGUMENT, "a copy beyond its buffer");
    vb_gpu_tape_close(t);
    vb_gpu_free(g, &b);
    core_expect(vb_gpu_lost(g), 0, "a device that was asked for too much");
    core_expect(vb_gpu_in_use(g) == before, 1, "memory given back");
}

/* Host memory that the device reads where it lies. */
static void core_import(vb_gpu *g)
{
    const vb_gpu_facts *f = vb_gpu_facts_of(g);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint32_t *host = aligned_alloc(page, page);
    vb_gpu_buffer b, down = {0};
    vb_gpu_tape *t = NULL;
    uint64_t at = 0;
    vb_err err;
    vb_status s = vb_gpu_import(&b, &at, g, host + 3, 64, &err);
    if (!f->imports || !f->unified) {
        core_expect(s, VB_E_UNSUPPORTED, "an import that is not offered");
        free(host);
        return;
    }
    for (uint32_t i = 0; i < page / 4; i++) host[i] = i * 2654435761u;
    VB_TRY_OUT(s, s);
    VB_TRY_OUT(s, vb_gpu_alloc(&down, g, VB_GPU_DOWN, 64, &err));
    VB_TRY_OUT(s, vb_gpu_tape_open(&t, g, &err));
    VB_TRY_OUT(s, vb_gpu_tape_copy(t, (vb_gpu_range){&down, 0, 64}, (vb_gpu_range){&b, at, 64}, &err));
    VB_TRY_OUT(s, vb_gpu_tape_end(t, &err));
    VB_TRY_OUT(s, vb_gpu_play(g, t, 64, &err));
    VB_TRY_OUT(s, vb_gpu_wait(g, &err));
    core_expect(memcmp(down.host, host + 3, 64), 0, "imported words");
out:
    if (s < 0) failed("core: import: %s", err.text);
    vb_gpu_tape_close(t);
    vb_gpu_free(g, &down);
    vb_gpu_free(g, &b);
    free(host);
}

/* Tapes that depend on each other, more than may be in flight, played without a wait: x and y take turns to be the
 * other plus b, whole numbers all of them. */
enum { CHAIN = 40, CHAIN_WORDS = 64 };

static vb_status core_link(vb_gpu_tape **t, vb_gpu *g, const vb_gpu_buffer *all, int turn, vb_err *err)
{
    const uint64_t bytes = CHAIN_WORDS * 4, x = 64 + bytes * (uint64_t)turn, y = 64 + bytes * (uint64_t)(1 - turn);
    vb_gpu_dispatch d = {.shader = VB_SHADER_ADD, .c = {[2] = CHAIN_WORDS}};
    d.range[VB_GPU_ROWS] = (vb_gpu_range){all, 0, 16};
    d.range[VB_GPU_NOTES] = (vb_gpu_range){all, 16, 4};
    d.range[VB_GPU_A] = (vb_gpu_range){all, x, bytes};
    d.range[VB_GPU_B] = (vb_gpu_range){all, 64 + 2 * bytes, bytes};
    d.range[VB_GPU_OUT] = (vb_gpu_range){all, y, bytes};
    VB_TRY(vb_gpu_tape_open(t, g, err));
    VB_TRY(vb_gpu_tape_dispatch(*t, &d, err));
    return vb_gpu_tape_end(*t, err);
}

static vb_status core_copy_all(vb_gpu_tape **t, vb_gpu *g, const vb_gpu_buffer *to, const vb_gpu_buffer *from,
                               vb_err *err)
{
    VB_TRY(vb_gpu_tape_open(t, g, err));
    VB_TRY(vb_gpu_tape_copy(*t, (vb_gpu_range){to, 0, to->bytes}, (vb_gpu_range){from, 0, to->bytes}, err));
    return vb_gpu_tape_end(*t, err);
}

static void core_chain(vb_gpu *g, uint64_t work)
{
    const uint64_t bytes = 64 + 3 * CHAIN_WORDS * 4;
    vb_gpu_buffer up = {0}, local = {0}, down = {0};
    vb_gpu_tape *tapes[CHAIN + 2] = {NULL};
    vb_err err;
    vb_status s = VB_OK;
    VB_TRY_OUT(s, vb_gpu_alloc(&up, g, VB_GPU_UP, bytes, &err));
    VB_TRY_OUT(s, vb_gpu_alloc(&local, g, VB_GPU_LOCAL, bytes, &err));
    VB_TRY_OUT(s, vb_gpu_alloc(&down, g, VB_GPU_DOWN, bytes, &err));
    float x[3 * CHAIN_WORDS];
    for (int i = 0; i < CHAIN_WORDS; i++) {
        x[i] = (float)(100 + i);
        x[2 * CHAIN_WORDS + i] = (float)(1 + i);
    }
    memset(up.host, 0, bytes);
    up.host[0] = 1; /* one token */
    memcpy(up.host + 64, x, sizeof x);
    VB_TRY_OUT(s, core_copy_all(&tapes[0], g, &local, &up, &err));
    for (int i = 0; i < CHAIN; i++) VB_TRY_OUT(s, core_link(&tapes[1 + i], g, &local, i % 2, &err));
    VB_TRY_OUT(s, core_copy_all(&tapes[CHAIN + 1], g, &down, &local, &err));
    for (int i = 0; i < CHAIN + 2; i++) VB_TRY_OUT(s, vb_gpu_play(g, tapes[i], work, &err));
    VB_TRY_OUT(s, vb_gpu_wait(g, &err));
    memcpy(x, down.host + 64, sizeof x);
    int wrong = 0;
    for (int i = 0; i < CHAIN_WORDS; i++) wrong += x[i] != (float)(100 + i + CHAIN * (1 + i));
    core_expect(wrong, 0, "a chain of tapes");
out:
    if (s < 0) failed("core: a chain: %s", err.text);
    for (int i = 0; i < CHAIN + 2; i++) vb_gpu_tape_close(tapes[i]);
    vb_gpu_free(g, &up);
    vb_gpu_free(g, &local);
    vb_gpu_free(g, &down);
}

/* A shader with these modes says so once each, in its place, and is word for word the other shader besides. */
static int core_modes_differ(vb_gpu_shader shader, int modes)
{
    static const struct {
        int mode;
        uint32_t capability, execution;
    } known[] = {{VB_GPU_RTE, 4467, 4462}, {VB_GPU_SIGNED_ZERO, 4466, 4461}, {VB_GPU_SUBNORMALS, 4464, 4459}};
    uint32_t *with = NULL, *without = NULL;
    size_t n = 0, m = 0, i = 5, k = 5, added = 0;
    int wrong = vb_gpu_spirv(&with, &n, shader, modes, NULL) < 0 || vb_gpu_spirv(&without, &m, shader, 0, NULL) < 0;
    uint32_t main_id = 0;
    int entries = 0, expected = 0;
    wrong = wrong || memcmp(with, without, 20) != 0;
    for (int j = 0; j < 3; j++) expected += (modes & known[j].mode) != 0 ? 6 : 0;
    while (!wrong && i < n) {
        size_t length = with[i] >> 16, same = 0;
        for (size_t j = 0; j < 3; j++) {
            int is_on = (modes & known[j].mode) != 0;
            same |= is_on && length == 2 && with[i] == (2u << 16 | 17u) && with[i + 1] == known[j].capability;
            same |= is_on && entries == 1 && with[i] == (4u << 16 | 16u) && with[i + 2] == known[j].execution &&
                    with[i + 1] == main_id && with[i + 3] == 32;
        }
        entries += (with[i] & 0xffffu) == 15;
        if ((with[i] & 0xffffu) == 15) main_id = with[i + 2];
        wrong = length == 0 || length > n - i;
        if (same) added += length;
        else if (!wrong) wrong = k + length > m || memcmp(with + i, without + k, length * 4) != 0;
        if (!same) k += length;
        i += length;
    }
    free(with);
    free(without);
    return wrong || added != (size_t)expected || n != m + added;
}

static void core_modes(void)
{
    for (int i = 0; i < VB_SHADERS; i++) {
        int wrong = 0;
        for (int modes = 0; modes < 8; modes++) wrong += core_modes_differ((vb_gpu_shader)i, modes);
        core_expect(wrong, 0, vb_gpu_shader_name((vb_gpu_shader)i));
    }
}

static void check_gpu_core(vb_gpu *g, uint64_t seed, int rounds)
{
    static core_case c;
    rng r = {seed};
    core_refusals(g);
    core_import(g);
    core_modes();
    core_chain(g, 0);
    core_chain(g, 1 << 30);
    for (int i = 0; i < rounds; i++) {
        c = (core_case){.g = g, .random = {(uint64_t)rng_word(&r) << 32 | rng_word(&r) | 1}};
        core_buffers(&c);
    }
}

static void check_gpu_again(vb_gpu *g, uint64_t seed, int rounds)
{
    static core_case c;
    c = (core_case){.g = g, .random = {seed}, .again = rounds};
    core_buffers(&c);
}

#endif
