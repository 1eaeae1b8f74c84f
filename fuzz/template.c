/* template.c - any template with any input: renders or fails, and does nothing else.
 *
 *   input: template, one byte 0x01, JSON; without that byte the whole is the template and the input a fixed one
 */
#include "fuzz/rendered.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char input[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a <b> \\u00e9\\n\"},"
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}],"
        "\"tools\":[{\"name\":\"f\",\"n\":[1,2.5,null,true]}],\"add_generation_prompt\":true,"
        "\"special_tokens\":{\"bos_token\":\"<s>\"},\"strftime_now\":\"2026-01-15T12:34:56\"}";
    vb_jinja_job job = split_job(data, size, input);
    job.eos = "</s>";
    vb_err err = {0};
    vb_jinja_text text;
    vb_status status = vb_jinja_render(&job, &text, &err);
    if (status == VB_OK) check_spans(&text);
    check_error(status, &err);
    vb_jinja_text_free(&text);
    return 0;
}
