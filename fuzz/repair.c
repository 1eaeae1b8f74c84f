/* repair.c - any text as an answer that holds JSON: what is taken out of it is JSON that fits, and has nothing left to repair.
 *
 *   input: a schema, a NUL (none: no schema), the text
 */
#include "verbatim_easy.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Its own bytes where nothing was done; the same again from itself. */
static void look(const char *text, const char *schema, const char *json, size_t len, int repairs)
{
    char *again = malloc(len + 1);
    int none = -1;
    if (again == NULL) abort();
    json_t *value = json_loadb(json, len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    if (value == NULL) abort();
    json_decref(value);
    if (repairs == 0 && strstr(text, json) == NULL) abort();
    if (vb_easy_json(json, schema, again, len, &none, NULL) != (int64_t)len || none != 0) abort();
    if (memcmp(json, again, len) != 0) abort();
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *all = malloc(size + 1);
    vb_err err = {0};
    int repairs = -1;
    if (all == NULL) abort();
    if (size > 0) memcpy(all, data, size);
    all[size] = '\0';
    size_t first = strlen(all);
    const char *schema = first < size ? all : NULL, *text = first < size ? all + first + 1 : all;
    int64_t n = vb_easy_json(text, schema, NULL, 0, &repairs, &err);
    if (n < 0 && err.text[0] == '\0') abort();
    char *json = n > 0 ? malloc((size_t)n + 1) : NULL;
    if (json != NULL) {
        if (vb_easy_json(text, schema, json, (size_t)n, &repairs, &err) != n) abort();
        json[n] = '\0';
        look(text, schema, json, (size_t)n, repairs);
    }
    free(json);
    free(all);
    return 0;
}
