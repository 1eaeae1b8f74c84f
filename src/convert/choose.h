/* choose.h - which format a tensor gets: what is asked for, unless it is a tensor that stays exact or a row does not
 * divide into blocks. The same for converting and for quantising.
 */
#ifndef VB_CONVERT_CHOOSE_H
#define VB_CONVERT_CHOOSE_H
#include "base/quant.h"

#include <stdint.h>

/* 1: vectors, norms, routers, positions: F32 whatever is asked for. `name` as in the file. */
int vb_stays_f32(const char *name, int n_dims);
/* `wanted`, or what takes its place where `width` numbers are no whole number of its blocks: another of blocks of 32,
 * else F16. */
const vb_format_info *vb_fitting_format(const vb_format_info *wanted, uint64_t width);
/* general.file_type of a file whose matrices are mostly of a format; -1: it has no number there. */
int vb_file_type_of(const vb_format_info *format);

#endif
