/* gojson.h - JSON as Go's encoder writes it, so that equal content has the digest that Ollama would give it. */
#ifndef VB_STORE_GOJSON_H
#define VB_STORE_GOJSON_H
#include <jansson.h>

/* Compact, in the objects' own order, a newline behind it; to be freed. NULL: out of memory. */
char *vb_gojson(json_t *value, size_t *len);
/* The same value with its keys in alphabetical order, as Go writes a map. Takes over `value`; NULL: out of memory. */
json_t *vb_gojson_sorted(json_t *value);

#endif
