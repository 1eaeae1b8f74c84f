/* text.h - text that only grows: answers are written by appending, never by building a tree. */
#ifndef VB_SERVE_TEXT_H
#define VB_SERVE_TEXT_H
#include <stddef.h>
#include <stdint.h>

/* After a failed allocation `failed` stays set and nothing more is added. Free `data`. */
typedef struct {
    char *data; /* a NUL follows */
    size_t len, cap;
    int failed;
} vb_out;

void vb_out_free(vb_out *out);
void vb_out_bytes(vb_out *out, const char *data, size_t len);
void vb_out_text(vb_out *out, const char *text);
void vb_out_format(vb_out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* JSON. Keys are written as they are; values are escaped, bytes that are no UTF-8 become U+FFFD. A comma is put before
 * a key or value that follows another one. */
void vb_js_open(vb_out *out, char bracket);  /* { or [, as a value */
void vb_js_close(vb_out *out, char bracket); /* } or ] */
void vb_js_key(vb_out *out, const char *key);
void vb_js_string(vb_out *out, const char *text, size_t len);
void vb_js_int(vb_out *out, int64_t value);
void vb_js_uint(vb_out *out, uint64_t value);
void vb_js_float(vb_out *out, float value);   /* the shortest digits that give the same float */
void vb_js_double(vb_out *out, double value);
void vb_js_bool(vb_out *out, int value);
void vb_js_null(vb_out *out);
void vb_js_raw(vb_out *out, const char *json, size_t len); /* a value that is JSON already */
/* key and value at once */
void vb_js_put_string(vb_out *out, const char *key, const char *text); /* NULL: null */
void vb_js_put_int(vb_out *out, const char *key, int64_t value);
void vb_js_put_bool(vb_out *out, const char *key, int value);

#endif
