/* gguf_write.h - GGUF files written in one pass, for all that make models: converting, quantising, the tools.
 *
 *   open, keys in any order, all tensors in order, then the bytes of each tensor in the same order, close
 *
 * Keys and the directory are kept in memory; weights go straight to the file. The file appears under its name only
 * when it is whole and on the disk: until then it is NAME.part, and vb_gguf_writer_drop removes that. A file that stood
 * under the name is replaced then, not before; who must not replace one asks first. The layout stands in gguf_file.h.
 */
#ifndef VB_FILE_GGUF_WRITE_H
#define VB_FILE_GGUF_WRITE_H
#include "file/gguf.h"

#include <stdio.h>

typedef struct {
    uint8_t *data;
    size_t len, cap;
} vb_bytes;

typedef struct {
    FILE *to;
    char path[4096], part[4104];
    vb_bytes keys, directory;
    uint64_t n_keys, n_tensors;
    uint64_t end; /* of the last declared tensor, in the data section, padding included */
    uint64_t at;  /* bytes of the data section written */
    uint64_t *ends;
    int begun; /* the head is written */
    vb_status status; /* the first failure; everything after it does nothing */
    vb_err err;
} vb_gguf_writer;

/* Failures are kept until vb_gguf_writer_close tells them, so that a list of keys reads as a list. */
void vb_gguf_writer_open(vb_gguf_writer *w, const char *path);
void vb_gguf_put_u32(vb_gguf_writer *w, const char *key, uint32_t value);
void vb_gguf_put_f32(vb_gguf_writer *w, const char *key, float value);
void vb_gguf_put_bool(vb_gguf_writer *w, const char *key, int value);
void vb_gguf_put_text(vb_gguf_writer *w, const char *key, const char *value);
/* The head of an array; its n items follow as vb_gguf_put_item_*. */
void vb_gguf_put_array(vb_gguf_writer *w, const char *key, vb_gguf_type item, uint64_t n);
void vb_gguf_put_item_text(vb_gguf_writer *w, const char *value);
void vb_gguf_put_item(vb_gguf_writer *w, const void *value, size_t bytes);
/* A key of another file, of an array the first n items. */
void vb_gguf_put_entry(vb_gguf_writer *w, const vb_gguf_entry *entry, uint64_t n);

typedef struct {
    char name[80];
    int n_dims;
    uint64_t ne[4]; /* unused ones are 1; ne[0] a whole number of blocks */
    const vb_format_info *format;
} vb_gguf_shape;
uint64_t vb_gguf_shape_bytes(const vb_gguf_shape *shape);
void vb_gguf_put_tensor(vb_gguf_writer *w, const vb_gguf_shape *shape);
/* Bytes of the tensors, one after the other; padding between them is added where it belongs. */
void vb_gguf_write(vb_gguf_writer *w, const void *bytes, size_t n);

vb_status vb_gguf_writer_close(vb_gguf_writer *w, vb_err *err);
void vb_gguf_writer_drop(vb_gguf_writer *w);

#endif
