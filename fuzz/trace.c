/* trace.c - fuzz target: any bytes as a trace of each version, as they are and with links and signatures made to fit,
 * so that the fuzzer gets behind the chain. What opens is shown both ways and compared with itself, what does not has a
 * reason.
 */
#include "base/hash.h"
#include "traces/diff.h"
#include "traces/show.h"
#include "traces/sign.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static vb_trace_key *key(void)
{
    static vb_trace_key *made;
    char path[64], beside[80];
    if (made != NULL) return made;
    snprintf(path, sizeof path, "/tmp/verbatim-fuzz-%d", (int)getpid());
    snprintf(beside, sizeof beside, "%s.pub", path);
    if (vb_trace_keygen(path, NULL) != VB_OK || vb_trace_key_open(&made, path, NULL) != VB_OK) abort();
    unlink(path);
    unlink(beside);
    return made;
}

static void make_head(uint8_t *data)
{
    int version = data[8] >= VB_TRACE_OLDEST && data[8] < VB_TRACE_FORMAT ? data[8] : VB_TRACE_FORMAT;
    vb_trace_bytes head = {0};
    vb_trace_encode_head(&head);
    if (head.failed) abort();
    memcpy(data, head.data, head.len);
    data[8] = (uint8_t)version;
    vb_trace_bytes_free(&head);
}

/* An even last byte of the signature stays as it came: not all must fit. */
static void make_seal(uint8_t *payload, const uint8_t *before, const uint8_t *info_seal)
{
    vb_trace_seal seal;
    if (info_seal == NULL || payload[95] % 2 == 0) return;
    if (vb_trace_key_seal(key(), before, info_seal, &seal, NULL) != VB_OK) abort();
    memcpy(payload, seal.key, sizeof seal.key);
    memcpy(payload + sizeof seal.key, seal.signature, sizeof seal.signature);
}

/* Checks, seals, signatures and links as an honest writer would have made them. */
static void make_whole(uint8_t *data, size_t size)
{
    const uint8_t *info_seal = NULL;
    make_head(data);
    for (size_t at = VB_TRACE_HEAD; size - at >= VB_TRACE_PREFIX + VB_TRACE_LINK;) {
        size_t n = vb_trace_u32(data + at);
        if (n > size - at - VB_TRACE_PREFIX - VB_TRACE_LINK) return;
        uint32_t check = vb_trace_check(data + at), type = vb_trace_u32(data + at + 4);
        for (int i = 0; i < 4; i++) data[at + 8 + (size_t)i] = (uint8_t)(check >> (8 * i));
        uint8_t *end = data + at + VB_TRACE_PREFIX + n, *before = data + at - VB_TRACE_LINK;
        int sealed = type == VB_TRACE_INFO && n >= VB_TRACE_LINK;
        if (sealed) memcpy(end, before, VB_TRACE_LINK);
        if (sealed) end -= VB_TRACE_LINK;
        if (sealed) info_seal = end;
        if (type == VB_TRACE_SIGNATURE && n == 96) make_seal(data + at + VB_TRACE_PREFIX, before, info_seal);
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
    vb_diff d = {0};
    vb_contrast c = {0};
    if (vb_trace_reader_start(&r, "input", data, size, &err) < 0) {
        if (err.code >= 0 || strncmp(err.text, "input: ", 7) != 0) abort();
        return;
    }
    vb_status plain = show(&r, 0), json = show(&r, 1);
    vb_trace_reader a = r, b = r;
    if (plain != json || vb_trace_diff_readers(&a, &b, &d, &err) != plain || d.differs) abort();
    vb_status taps = vb_taps_diff(r, r, &c, &err);
    if ((taps < 0 && taps != plain && taps != VB_E_NOT_FOUND) || c.differing != 0 || c.unmatched != 0) abort();
    vb_contrast_free(&c);
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
