/* os.h - everything this project asks of the operating system; the only place that may know which one it is. */
#ifndef VB_BASE_OS_H
#define VB_BASE_OS_H
#include "base/err.h"

#include <stdatomic.h>

/* A file mapped read-only, private, and held open. size may be 0 (then data is NULL). Zero bytes: no map. */
typedef struct {
    const uint8_t *data;
    uint64_t size;
    int64_t mtime_ns;
    int held; /* its descriptor + 1; 0: none */
} vb_map;
vb_status vb_map_open(vb_map *out, const char *path, vb_err *err); /* names path and reason on failure */
void vb_map_close(vb_map *map);
/* Bytes [from, from + n) of an open map, without touching its pages; VB_E_IO if they are there no more. */
vb_status vb_map_read(const vb_map *map, uint64_t from, void *buf, size_t n, const char *path, vb_err *err);
/* VB_E_IO if the file was written or cut since; one that was deleted, or replaced by another, is still there for us.
 * `path` stands in the message. */
vb_status vb_map_check(const vb_map *map, const char *path, vb_err *err);

/* A small file read whole into malloc'd memory with a NUL behind it; more than `limit` bytes is an error. At any error
 * *data is NULL and *size 0. */
vb_status vb_file_read(const char *path, size_t limit, char **data, size_t *size, vb_err *err);

uint64_t vb_clock_ns(void); /* monotonic */
uint64_t vb_clock_cpu_ns(void); /* of the calling thread; stands still while others have its core */
/* Sleeps while *word is `value`; may return for no reason. Wakes up to n threads that sleep on the word. */
void vb_sleep_while(atomic_uint *word, unsigned value);
void vb_wake(atomic_uint *word, int n);
void vb_memory_read(uint64_t *bytes, uint64_t *available); /* of the machine */

/* Directories after the XDG rules, with "/verbatim" behind; written to buf, 0 if it does not fit or HOME is unset.
 * VB_DIR_CACHE: $XDG_CACHE_HOME, ~/.cache. VB_DIR_DATA: $XDG_DATA_HOME, ~/.local/share. */
enum { VB_DIR_CACHE, VB_DIR_DATA };
int vb_dir(int which, char *buf, size_t cap);
vb_status vb_dir_make(const char *path, vb_err *err); /* with parents */

/* Address space whose pages cost memory only once touched; zero on first read. NULL: none. */
void *vb_pages_reserve(size_t bytes);
void vb_pages_release(void *pages, size_t bytes);

/* Pages of a mapping, of a file too, that are not in memory yet come in large ones, if they are many and the kernel
 * can: a core reads up to a third faster where it looks up fewer addresses. Less than 8 MiB stay as they are. */
void vb_pages_large(const void *pages, size_t bytes);

#endif
