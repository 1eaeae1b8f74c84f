/* template.c - any template with any input: renders or fails, and does nothing else.
 *
 *   input: template, one byte 0x01, JSON; without that byte the whole is the template and the input a fixed one
 */
#include "text/jinja.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_spans(const vb_jinja_text *text)
{
    size_t at = 0;
    for (size_t i = 0; i < text->n_spans; i++) {
        if (text->spans[i].offset != at || text->spans[i].len == 0) abort();
        at += text->spans[i].len;
    }
    if (at != text->len) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char input[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a <b> \\u00e9\\n\"},"
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}],"
        "\"tools\":[{\"name\":\"f\",\"n\":[1,2.5,null,true]}],\"add_generation_prompt\":true,"
        "\"special_tokens\":{\"bos_token\":\"<s>\"},\"strftime_now\":\"2026-01-15T12:34:56\"}";
    const uint8_t *split = size > 0 ? memchr(data, 1, size) : NULL;
    size_t n = split == NULL ? size : (size_t)(split - data);
    vb_jinja_job job = {(const char *)data, n, input, sizeof input - 1, NULL, "</s>"};
    if (split != NULL) {
        job.input = (const char *)split + 1;
        job.input_len = size - n - 1;
    }
    vb_err err = {0};
    vb_jinja_text text;
    vb_status status = vb_jinja_render(&job, &text, &err);
    if (status == VB_OK)
        check_spans(&text);
    else if (err.text[0] == 0 || strchr(err.text, '\n') != NULL || err.code != status)
        abort();
    vb_jinja_text_free(&text);
    return 0;
}
