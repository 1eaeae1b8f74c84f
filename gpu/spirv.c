/* spirv.c - the shaders: the files in gpu/spv word for word in the program's constants, and the modes of floats that
 * the device offers, put in when a shader is loaded.
 *
 *   word 0 .. 4   header
 *   capability    a line of ours for each mode                 <- put in
 *   ...
 *   entry point   one, "main"
 *   mode          a line of ours for each mode                 <- put in
 *   ...
 *
 * Without RoundingModeRTE a result may be either neighbour of the exact one, without SignedZeroInfNanPreserve -0 may be
 * +0, without DenormPreserve subnormal numbers may be zeros; the last is rarely offered and nothing may depend on it
 * (A5).
 */
#include "gpu/inside.h"

#include <stdlib.h>
#include <string.h>

#define VB_SHADER(ID, file) ".balign 4\nvb_spv_" #ID ":\n.incbin \"gpu/spv/" file ".spv\"\n"
__asm__(".section .rodata\n"
#include "gpu/shaders.def"
        ".balign 4\n"
        "vb_spv_end:\n"
        ".previous\n");

#define VB_SHADER(ID, file) extern const uint32_t vb_spv_##ID[] __attribute__((visibility("hidden")));
#include "gpu/shaders.def"
extern const uint32_t vb_spv_end[] __attribute__((visibility("hidden")));

static const struct {
    const char *name;
    const uint32_t *words;
} shaders[VB_SHADERS + 1] = {
#define VB_SHADER(ID, file) {file, vb_spv_##ID},
#include "gpu/shaders.def"
    {NULL, vb_spv_end}};

enum { CAPABILITY = 17, ENTRY_POINT = 15, EXECUTION_MODE = 16, HEADER = 5 };
static const struct {
    int mode;
    uint32_t capability, execution_mode;
} modes_of[] = {
    {VB_GPU_RTE, 4467, 4462},
    {VB_GPU_SIGNED_ZERO, 4466, 4461},
    {VB_GPU_SUBNORMALS, 4464, 4459},
};
enum { MODES = sizeof modes_of / sizeof *modes_of };

const char *vb_gpu_shader_name(vb_gpu_shader shader)
{
    return shaders[shader].name;
}

/* The word behind the entry point; 0: this is no shader. */
static size_t behind_entry(const uint32_t *words, size_t n)
{
    size_t at = HEADER;
    while (n > HEADER && words[0] == 0x07230203u && at < n) {
        uint32_t length = words[at] >> 16, op = words[at] & 0xffffu;
        if (length == 0 || length > n - at) return 0;
        at += length;
        if (op == ENTRY_POINT) return at;
    }
    return 0;
}

vb_status vb_gpu_spirv(uint32_t **out, size_t *words, vb_gpu_shader shader, int modes, vb_err *err)
{
    const uint32_t *from = shaders[shader].words;
    size_t n = (size_t)(shaders[shader + 1].words - from), k = HEADER;
    size_t entry = behind_entry(from, n), main_id = HEADER;
    if (entry == 0) VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: %s.spv: no SPIR-V", shaders[shader].name);
    while ((from[main_id] & 0xffffu) != ENTRY_POINT) main_id += from[main_id] >> 16;
    uint32_t *w = malloc((n + MODES * 6) * sizeof *w);
    if (w == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory");
    memcpy(w, from, HEADER * sizeof *w);
    for (int i = 0; i < MODES; i++) {
        if ((modes & modes_of[i].mode) == 0) continue;
        w[k++] = 2u << 16 | CAPABILITY;
        w[k++] = modes_of[i].capability;
    }
    memcpy(w + k, from + HEADER, (entry - HEADER) * sizeof *w);
    k += entry - HEADER;
    for (int i = 0; i < MODES; i++) {
        if ((modes & modes_of[i].mode) == 0) continue;
        w[k++] = 4u << 16 | EXECUTION_MODE;
        w[k++] = from[main_id + 2];
        w[k++] = modes_of[i].execution_mode;
        w[k++] = 32;
    }
    memcpy(w + k, from + entry, (n - entry) * sizeof *w);
    *out = w;
    *words = k + n - entry;
    return VB_OK;
}
