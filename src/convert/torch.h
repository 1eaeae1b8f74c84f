/* torch.h - the state dict of a PyTorch file (pytorch_model.bin) joins a source; nothing in the file is ever run.
 *
 * The file is a zip archive without compression: `NAME/data.pkl` says what there is (pickle.h reads it), and
 * `NAME/data/<key>` are the storages. A tensor whose numbers lie in order points into the mapped file; the numbers of
 * another are put in order as they are read. Files older than PyTorch 1.6 are refused.
 */
#ifndef VB_CONVERT_TORCH_H
#define VB_CONVERT_TORCH_H
#include "convert/source.h"

/* Of a sharded model each file is added; it stays mapped as long as the source. Buffers of numbers that no source knows
 * (complex, quantised) are left out. */
vb_status vb_torch_add(vb_source *s, const char *path, vb_err *err);

#endif
