/* mlx.h - MLX's groups of 4 or 8 bits as tensors that read as floats.
 *
 *   NAME.weight  u32 [rows, columns * bits / 32]   quants, the first in the lowest bits
 *   NAME.scales  f16, bf16 or f32 [rows, columns / group_size]
 *   NAME.biases  the same                          weight = scale * q + bias
 *
 * The three become one NAME.weight [rows, columns] with a reader.
 */
#ifndef VB_CONVERT_MLX_H
#define VB_CONVERT_MLX_H
#include "convert/source.h"

#include <jansson.h>

/* `quantization`: that object of config.json, {"group_size": 64, "bits": 4}, with entries of the same form (or false)
 * for single modules. NULL or null: nothing to join. */
vb_status vb_mlx_join(vb_source *s, const json_t *quantization, vb_err *err);

/* Numbers [first, first + n) of a joined tensor of 4 bits, whole blocks of 32, as Q4_1 with the same quants: scale and
 * bias become halves. That is exact for parts of F16, and for parts of BF16 whose scales are at least 2^-14. */
void vb_mlx_q4_1(const vb_source_tensor *t, uint64_t first, uint64_t n, uint8_t *out);

/* Bits of a joined tensor's quants (4 or 8), 0 if it is none; `group` their number that share a scale. */
int vb_mlx_bits(const vb_source_tensor *t, int *group);

#endif
