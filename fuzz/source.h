/* source.h - any bytes as a file of tensors: what joins is read from end to end and lies inside its file. */
#ifndef VB_FUZZ_SOURCE_H
#define VB_FUZZ_SOURCE_H
#include "convert/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* One file in memory, whose contents are replaced each time. */
static inline const char *fuzz_file(const uint8_t *data, size_t size)
{
    static char path[64];
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("input", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size) abort();
    return path;
}

/* All numbers of small tensors, the first and the last row of large ones. */
static inline void fuzz_read(const vb_source_tensor *t)
{
    enum { MOST = 4096 };
    static float out[MOST];
    vb_err err;
    uint64_t n = vb_source_elements(t), row = t->n_dims > 0 ? t->dims[t->n_dims - 1] : 1;
    if (n == 0) return;
    if (n <= MOST && vb_source_floats(t, 0, n, out, &err) != VB_OK) abort();
    if (n <= MOST || row > MOST) return;
    if (vb_source_floats(t, 0, row, out, &err) != VB_OK || vb_source_floats(t, n - row, row, out, &err) != VB_OK)
        abort();
}

typedef vb_status (*fuzz_add)(vb_source *s, const char *path, vb_err *err);

static inline void fuzz_source(fuzz_add add, const uint8_t *data, size_t size)
{
    vb_source *s;
    vb_err err = {0};
    char shape[64];
    const char *path = fuzz_file(data, size);
    if (vb_source_open(&s, &err) != VB_OK) return;
    if (add(s, path, &err) != VB_OK && (err.code >= 0 || strncmp(err.text, path, strlen(path)) != 0)) abort();
    for (int64_t i = 0; err.code >= 0 && i < vb_source_count(s); i++) {
        const vb_source_tensor *t = vb_source_at(s, i);
        if (vb_source_find(s, t->name) != t || vb_source_shape(t, shape, sizeof shape) != shape) abort();
        fuzz_read(t);
    }
    vb_source_close(s);
}

#endif
