/* rendered.h - what holds of every rendered template: spans without gaps over all of the text, or one line of error. */
#ifndef VB_FUZZ_RENDERED_H
#define VB_FUZZ_RENDERED_H
#include "text/jinja.h"

#include <stdlib.h>
#include <string.h>

static void check_spans(const vb_jinja_text *text)
{
    size_t at = 0;
    for (size_t i = 0; i < text->n_spans; i++) {
        if (text->spans[i].offset != at || text->spans[i].len == 0) abort();
        at += text->spans[i].len;
    }
    if (at != text->len) abort();
}

static void check_error(vb_status status, const vb_err *err)
{
    if (status != VB_OK && (err->text[0] == 0 || strchr(err->text, '\n') != NULL || err->code != status)) abort();
}

/* The job that the fuzzer's bytes make: template, one byte 0x01, JSON; without that byte all is the template. */
static vb_jinja_job split_job(const uint8_t *data, size_t size, const char *input)
{
    const uint8_t *split = size > 0 ? memchr(data, 1, size) : NULL;
    size_t n = split == NULL ? size : (size_t)(split - data);
    vb_jinja_job job = {.tmpl = (const char *)data, .tmpl_len = n, .input = input, .input_len = strlen(input)};
    if (split == NULL) return job;
    job.input = (const char *)split + 1;
    job.input_len = size - n - 1;
    return job;
}

#endif
