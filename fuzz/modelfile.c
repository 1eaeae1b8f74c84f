/* modelfile.c - any text as a Modelfile, as a manifest, as a name, as a digest: what is taken is written as it was read.
 *
 *   input: one byte that says which, then text
 */
#include "store/modelfile.h"

#include "store/gojson.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_modelfile(const char *text, size_t len)
{
    json_t *said;
    size_t n, m;
    vb_recipe recipe;
    if (vb_modelfile_parse(&said, text, len, "m", NULL) != VB_OK) return;
    vb_recipe_of(&recipe, "x", said);
    char *json = vb_gojson(said, &n);
    json_t *again = json != NULL ? json_loadb(json, n, 0, NULL) : NULL;
    char *twice = vb_gojson(again, &m);
    if (recipe.from == NULL || twice == NULL || strcmp(json, twice) != 0) abort();
    json_decref(again);
    free(twice);
    free(json);
    json_decref(said);
}

static void try_manifest(const char *text, size_t len)
{
    vb_image first, second;
    size_t n;
    if (vb_image_parse(&first, text, len, "m", NULL) != VB_OK || first.config.hex[0] == '\0') return;
    char *json = vb_image_text(&first, &n);
    if (json == NULL || vb_image_parse(&second, json, n, "m", NULL) != VB_OK) abort();
    for (int i = 0; i < first.n; i++)
        if (strcmp(first.layers[i].hex, second.layers[i].hex) != 0 || first.layers[i].bytes != second.layers[i].bytes) abort();
    if (first.n != second.n || strcmp(first.config.hex, second.config.hex) != 0) abort();
    free(json);
}

static void try_name(const char *text)
{
    vb_ref first, second;
    char name[720], hex[65];
    if (vb_digest_parse(hex, text) && (strlen(hex) != 64 || strspn(hex, "0123456789abcdef") != 64)) abort();
    if (!vb_ref_parse(&first, text)) return;
    if (strstr(text, "..") == text || strstr(text, "/..") != NULL || strstr(text, "//") != NULL) abort();
    vb_ref_text(&first, name, sizeof name);
    if (!vb_ref_parse(&second, name) || !vb_ref_same(&first, &second)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    char *text = malloc(size);
    if (text == NULL) return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] % 3 == 0) try_modelfile(text, size - 1);
    else if (data[0] % 3 == 1) try_manifest(text, size - 1);
    else try_name(text);
    free(text);
    return 0;
}
