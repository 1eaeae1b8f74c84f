/* gotmpl.c - any template of Go's language with any input: renders or fails, and does nothing else.
 *
 *   input: template, one byte 0x01, JSON; without that byte the whole is the template and the input a fixed one
 */
#include "fuzz/rendered.h"
#include "text/go.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What can be run has been read without fault. */
static void check_facts(const vb_jinja_job *job, vb_status rendered)
{
    vb_err err = {0};
    vb_go_facts facts;
    vb_status status = vb_go_look(job->tmpl, job->tmpl_len, &facts, &err);
    check_error(status, &err);
    if (rendered == VB_OK && status != VB_OK) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char input[] =
        "{\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"a <b> \\u00e9\\n\"},"
        "{\"role\":\"assistant\",\"thinking\":\"t\","
        "\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"n\":[1,2.5,null,true]}}}]},"
        "{\"role\":\"tool\",\"tool_name\":\"f\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}],"
        "\"tools\":[{\"type\":\"function\","
        "\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"n\":{\"type\":[\"array\",\"null\"]}}}}}],"
        "\"think\":\"low\",\"strftime_now\":\"2026-01-15T12:34:56\"}";
    vb_jinja_job job = split_job(data, size, input);
    vb_err err = {0};
    vb_jinja_text text;
    vb_status status = vb_go_render(&job, &text, &err);
    if (status == VB_OK) check_spans(&text);
    check_error(status, &err);
    check_facts(&job, status);
    vb_jinja_text_free(&text);
    return 0;
}
