/* trace.c - fuzz target: any bytes as a trace, as they are and with links made to fit, so that the fuzzer gets behind the
 * chain. What opens is shown both ways and compared with itself, what does not has a reason.
 */
#include "base/hash.h"
#include "traces/diff.h"
#include "traces/show.h"

#include <stdlib.h>
#include <string.h>

/* Checks, seals and links as an honest writer would have made them. */
static void make_whole(uint8_t *data, size_t size)
{
    vb_trace_bytes head = {0};
    vb_trace_encode_head(&head);
    if (head.failed || size < VB_TRACE_HEAD) abort();
    memcpy(data, head.data, head.len);
    vb_trace_bytes_free(&head);
    for (size_t at = VB_TRACE_HEAD; size - at >= VB_TRACE_PREFIX + VB_TRACE_LINK;) {
        size_t n = vb_trace_u32(data + at);
        if (n > size - at - VB_TRACE_PREFIX - VB_TRACE_LINK) return;
        uint32_t check = vb_trace_check(data + at), type = vb_trace_u32(data + at + 4);
        for (int i = 0; i < 4; i++) data[at + 8 + (size_t)i] = (uint8_t)(check >> (8 * i));
        uint8_t *end = data + at + VB_TRACE_PREFIX + n, *before = data + at - VB_TRACE_LINK;
        int sealed = type == VB_TRACE_INFO && n >= VB_TRACE_LINK;
        if (sealed) memcpy(end, before, VB_TRACE_LINK);
        if (sealed) end -= VB_TRACE_LINK;
        vb_sha256_of(before, (size_t)(end - before), end);
        at += VB_TRACE_PREFIX + n + VB_TRACE_LINK;
    }
}

static vb_status show(const vb_trace_reader *start, int json)
{
    char *text = NULL;
    size_t len;
    vb_err err = {0};
    vb_trace_reader r = *start;
    FILE *to = open_memstream(&text, &len);
    if (to == NULL) abort();
    vb_status s = vb_trace_show_reader(&r, to, json, &err);
    fclose(to);
    if (s != err.code || len == 0) abort();
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 && text[i] != '\n') abort();
    free(text);
    return s;
}

static void read_trace(const uint8_t *data, size_t size)
{
    vb_err err = {0};
    vb_trace_reader r;
    vb_diff d;
    if (vb_trace_reader_start(&r, "input", data, size, &err) < 0) {
        if (err.code >= 0 || strncmp(err.text, "input: ", 7) != 0) abort();
        return;
    }
    vb_status plain = show(&r, 0), json = show(&r, 1);
    vb_trace_reader a = r, b = r;
    if (plain != json || vb_trace_diff_readers(&a, &b, &d, &err) != plain || d.differs) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_trace(data, size);
    if (size < VB_TRACE_HEAD) return 0;
    uint8_t *copy = malloc(size);
    if (copy == NULL) return 0;
    memcpy(copy, data, size);
    make_whole(copy, size);
    read_trace(copy, size);
    free(copy);
    return 0;
}
