/* disk.h - what the files of this room know of an opened store. */
#ifndef VB_STORE_DISK_H
#define VB_STORE_DISK_H
#include "store/store.h"

struct vb_store {
    char dir[4096];
    int fd, blobs, manifests; /* directories; blobs and manifests -1 if a store that is only read lacks them */
    int writable;
};

/* The lock of all that write; given back by close. -1 and `err`. */
int vb_disk_lock(const vb_store *store, vb_err *err);
/* blobs/.new-XXXXXX, open and marked as living, its name in name; -1 and `err`. */
int vb_disk_new(vb_store *store, char name[32], vb_err *err);
/* The same in any directory of the store, for one that holds the lock. */
int vb_disk_new_in(const vb_store *store, int dir, char name[32], vb_err *err);
int vb_disk_is_new(const char *name); /* 1: such a file's name */
/* All of `len`; "no space left on device" and its like are said in err. */
vb_status vb_disk_write(const vb_store *store, int fd, const char *name, const void *data, size_t len, vb_err *err);
vb_status vb_disk_failed(const vb_store *store, const char *name, vb_err *err); /* by errno */
/* A regular file below `dir`, whole, with a NUL behind it; NULL and errno. */
char *vb_disk_read(int dir, const char *name, size_t most, size_t *len);

#endif
