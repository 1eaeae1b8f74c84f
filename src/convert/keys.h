/* keys.h - the keys of a file to be, in the order in which they were first set; a later value replaces an earlier one.
 *
 * Names stand without the architecture ("attention.head_count"), except those that begin with "general.". The first
 * failure is kept and everything after it does nothing, so that a family's keys read as a list.
 */
#ifndef VB_CONVERT_KEYS_H
#define VB_CONVERT_KEYS_H
#include "convert/folder.h"
#include "file/gguf_write.h"

typedef struct {
    const char *name;
    vb_gguf_type type; /* VB_GGUF_U32, _F32, _BOOL, _STRING; of an array its items: _I32 or _BOOL */
    int n;             /* items of an array; -1: none */
    double number;
    const char *text;
    const int32_t *items;
} vb_key;

enum { VB_KEYS_MAX = 128 };
typedef struct {
    const vb_folder *folder;
    const char *arch;
    vb_arena *arena;
    int layers; /* all blocks of the file, those that predict further tokens among them */
    vb_key all[VB_KEYS_MAX];
    int n;
    vb_status status;
    vb_err err;
} vb_keys;

void vb_key_u32(vb_keys *k, const char *name, int64_t value);
void vb_key_f32(vb_keys *k, const char *name, double value);
void vb_key_bool(vb_keys *k, const char *name, int value);
void vb_key_text(vb_keys *k, const char *name, const char *value);
/* Arrays of 32-bit integers or booleans, copied. */
void vb_key_array(vb_keys *k, const char *name, vb_gguf_type item, const int32_t *items, int n);

/* From a setting by its names; where there is none the key is left out, or (need_*) that is a failure. */
void vb_key_take_u32(vb_keys *k, const char *name, const char *settings);
void vb_key_take_f32(vb_keys *k, const char *name, const char *settings);
void vb_key_need_u32(vb_keys *k, const char *name, const char *settings);
void vb_key_need_f32(vb_keys *k, const char *name, const char *settings);

/* A setting as a number; `otherwise` if it is not there. */
int64_t vb_key_int(vb_keys *k, const char *settings, int64_t otherwise);
double vb_key_real(vb_keys *k, const char *settings, double otherwise);

vb_status vb_keys_write(const vb_keys *k, vb_gguf_writer *w, vb_err *err);

#endif
