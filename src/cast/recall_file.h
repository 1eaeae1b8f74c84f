/* recall_file.h - passages with their embeddings, as bytes: in memory, and the same bytes in a file. */
#ifndef VB_CAST_RECALL_FILE_H
#define VB_CAST_RECALL_FILE_H
#include "base/err.h"

typedef struct {
    uint64_t entity, tick;
    const char *text; /* NUL behind it */
    size_t len;
    const float *vector;
} vb_passage;

typedef struct vb_recall_file vb_recall_file;
/* `path` NULL: in memory alone. `embedder` names what makes the vectors, of `width` floats: another one is VB_E_DIFFERS. */
vb_status vb_recall_file_open(vb_recall_file **out, const char *path, const uint8_t embedder[32], int width, vb_err *err);
int64_t vb_recall_file_count(const vb_recall_file *file);
void vb_recall_file_get(const vb_recall_file *file, int64_t index, vb_passage *out); /* until the next append */
/* All of them or none. */
vb_status vb_recall_file_append(vb_recall_file *file, const vb_passage *passages, int n, vb_err *err);
vb_status vb_recall_file_close(vb_recall_file *file, vb_err *err); /* accepts NULL; tells whether all is on the disk */

#endif
