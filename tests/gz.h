/* gz.h - reads goldens that are kept compressed. */
#ifndef VB_TESTS_GZ_H
#define VB_TESTS_GZ_H
#include <jansson.h>
#include <stdlib.h>
#include <zlib.h>

/* The text of a .gz file, to be freed; NULL: it cannot be read. */
static inline char *gz_read(const char *path, size_t *len)
{
    enum { MOST = 16 << 20 };
    gzFile file = gzopen(path, "rb");
    char *text = malloc(MOST);
    int n = file != NULL && text != NULL ? gzread(file, text, MOST) : -1;
    if (file != NULL && gzclose(file) != Z_OK) n = -1;
    *len = n < 0 ? 0 : (size_t)n;
    if (n >= 0) return text;
    free(text);
    return NULL;
}

/* NULL: no JSON, which `err` says. */
static inline json_t *gz_read_json(const char *path, json_error_t *err)
{
    size_t len;
    char *text = gz_read(path, &len);
    json_t *json = json_loadb(text != NULL ? text : "", len, 0, err);
    free(text);
    return json;
}

#endif
