/* gguf_write.c - what the writer of GGUF files promises: what stands under the name is whole, or what stood there. */
#include "file/gguf_write.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/verbatim-write-XXXXXX", path[64], part[80];

static void begin(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model.gguf", folder);
    snprintf(part, sizeof part, "%s.part", path);
}

static void end(void)
{
    unlink(path);
    cr_assert_eq(rmdir(folder), 0, "something is left in %s", folder);
}
TestSuite(gguf_write, .init = begin, .fini = end);

static const vb_gguf_shape three = {"three", 2, {3, 5, 1, 1}, NULL}, one = {"one", 1, {1, 1, 1, 1}, NULL};

static void declare(vb_gguf_writer *w, const vb_gguf_shape *shape)
{
    vb_gguf_shape s = *shape;
    s.format = vb_format_by_name("F32");
    vb_gguf_put_tensor(w, &s);
}

static vb_gguf *opened(void)
{
    vb_gguf *g;
    vb_err err = {0};
    cr_assert_eq(vb_gguf_open(&g, path, &err), VB_OK, "%s", err.text);
    cr_assert_neq(access(part, F_OK), 0);
    return g;
}

Test(gguf_write, keys_alone_are_a_file)
{
    vb_gguf_writer w;
    vb_gguf_writer_open(&w, path);
    vb_gguf_put_text(&w, "general.architecture", "none");
    vb_gguf_put_bool(&w, "none.right", 2);
    cr_assert_eq(vb_gguf_writer_close(&w, NULL), VB_OK);
    vb_gguf *g = opened();
    int right = 0;
    cr_assert_eq(vb_gguf_bool(g, "none.right", &right, NULL), VB_OK);
    cr_assert(right == 1 && vb_gguf_n_entries(g) == 2 && vb_gguf_n_tensors(g) == 0);
    vb_gguf_close(g);
}

Test(gguf_write, bytes_in_any_pieces)
{
    float x[16];
    for (int i = 0; i < 16; i++) x[i] = (float)i;
    for (size_t piece = 1; piece < 70; piece += 4) {
        vb_gguf_writer w;
        vb_gguf_writer_open(&w, path);
        declare(&w, &three);
        declare(&w, &one);
        for (size_t at = 0; at < sizeof x; at += piece)
            vb_gguf_write(&w, (const char *)x + at, sizeof x - at < piece ? sizeof x - at : piece);
        cr_assert_eq(vb_gguf_writer_close(&w, NULL), VB_OK);
        vb_gguf *g = opened();
        cr_assert_eq(memcmp(vb_gguf_tensor_find(g, "three")->data, x, 60), 0);
        cr_assert_eq(memcmp(vb_gguf_tensor_find(g, "one")->data, x + 15, 4), 0);
        vb_gguf_close(g);
    }
}

Test(gguf_write, what_is_not_whole_replaces_nothing)
{
    static const float x[17];
    for (int tried = 0; tried < 3; tried++) {
        vb_gguf_writer w;
        vb_err err = {0};
        FILE *old = fopen(path, "w");
        fputs("old", old);
        fclose(old);
        vb_gguf_writer_open(&w, path);
        declare(&w, &three);
        vb_gguf_write(&w, x, tried == 0 ? 56 : tried == 1 ? 64 : 60);
        if (tried == 2) vb_gguf_writer_drop(&w);
        else cr_assert_lt(vb_gguf_writer_close(&w, &err), 0);
        cr_assert(tried == 2 || strstr(err.text, "bytes") != NULL, "%s", err.text);
        char found[4] = "";
        old = fopen(path, "r");
        cr_assert_eq(fread(found, 1, 3, old), 3);
        fclose(old);
        cr_assert_str_eq(found, "old");
        cr_assert_neq(access(part, F_OK), 0, "%s is left", part);
    }
}

Test(gguf_write, places_that_cannot_be)
{
    vb_gguf_writer w;
    vb_err err = {0};
    vb_gguf_writer_open(&w, folder);
    cr_assert_eq(vb_gguf_writer_close(&w, &err), VB_E_ARGUMENT, "%s", err.text);
    char nowhere[96];
    snprintf(nowhere, sizeof nowhere, "%s/none/x", folder);
    vb_gguf_writer_open(&w, nowhere);
    vb_gguf_put_u32(&w, "k", 1);
    declare(&w, &one);
    vb_gguf_write(&w, "abcd", 4);
    cr_assert_eq(vb_gguf_writer_close(&w, &err), VB_E_IO);
    cr_assert_not_null(strstr(err.text, nowhere), "%s", err.text);
}
