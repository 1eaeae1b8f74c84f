/* zip.h - the entries of a zip archive that stores without compressing, as PyTorch writes them.
 *
 *   local head, name, extra, bytes   for each entry            PK 1 2  a line of the directory, 46 bytes and texts
 *   directory                        PK 1 2 ... for each       PK 6 6  end of a directory of 64 bits
 *   end                              PK 5 6                    PK 6 7  where that one is
 *
 * Invariant: entries lie between the file's start and its directory, none overlaps another, and no name occurs twice.
 */
#ifndef VB_CONVERT_ZIP_H
#define VB_CONVERT_ZIP_H
#include "base/err.h"
#include "file/gguf.h"

typedef struct {
    vb_text name; /* in the file */
    uint64_t head, offset, size; /* of the local head; of the bytes */
} vb_zip_entry;

typedef struct {
    vb_zip_entry *entries; /* by name */
    uint64_t n;
} vb_zip;

/* `name` stands in errors; `data` must outlive the archive. */
vb_status vb_zip_read(vb_zip *z, const uint8_t *data, uint64_t size, const char *name, vb_err *err);
void vb_zip_free(vb_zip *z);
const vb_zip_entry *vb_zip_find(const vb_zip *z, const char *name, size_t len); /* NULL: none */

#endif
