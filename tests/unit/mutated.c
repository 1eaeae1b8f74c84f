/* mutated.c - every hyper-parameter of every golden model as 0, 1, -1, the largest number and a few more: an error or a
 * working run, never a crash.
 */
#include "tests/mutated.h"

#include <criterion/criterion.h>
#include <glob.h>

static int is_hyper_parameter(const mutated *m, const vb_gguf_entry *e)
{
    size_t n = strlen(m->params.arch);
    return e->key.len > n && memcmp(e->key.ptr, m->params.arch, n) == 0 && e->key.ptr[n] == '.';
}

/* All changes to one key; the first and the last item of an array. */
static int change_entry(const char *path, char *bytes, size_t size, const vb_gguf_entry *e)
{
    char why[1200];
    int tried = 0;
    for (int which = 0; which < MUTATIONS; which++)
        for (uint64_t i = 0; i < e->n; i += e->n > 1 ? e->n - 1 : 1) {
            uint8_t old[8], *at = (uint8_t *)(uintptr_t)e->data + i * mutated_bytes(e->item);
            memcpy(old, at, mutated_bytes(e->item));
            if (!mutate(e, i, which)) break;
            cr_expect(mutated_judge(bytes, size, &vb_oracle_player, why, sizeof why), "%s: %.*s[%llu] by %d: %s", path, (int)e->key.len,
                      e->key.ptr, (unsigned long long)i, which, why);
            memcpy(at, old, mutated_bytes(e->item));
            tried++;
        }
    return tried;
}

Test(mutated, hyper_parameters_are_checked, .timeout = 600)
{
    glob_t all;
    int tried = 0;
    cr_assert_eq(glob("tests/golden/*/model.gguf", 0, NULL, &all), 0);
    for (size_t i = 0; i < all.gl_pathc; i++) {
        char *bytes = NULL;
        size_t size = 0;
        mutated whole;
        vb_err err = {0};
        cr_assert_eq(vb_file_read(all.gl_pathv[i], 1 << 24, &bytes, &size, &err), VB_OK, "%s", err.text);
        cr_assert_eq(mutated_open(&whole, bytes, size, &err), VB_OK, "%s: %s", all.gl_pathv[i], err.text);
        for (int64_t k = 0; k < vb_gguf_n_entries(whole.g); k++)
            if (is_hyper_parameter(&whole, vb_gguf_entry_at(whole.g, k)))
                tried += change_entry(all.gl_pathv[i], bytes, size, vb_gguf_entry_at(whole.g, k));
        mutated_close(&whole);
        free(bytes);
    }
    cr_assert(tried > 500, "%d", tried);
    globfree(&all);
}
