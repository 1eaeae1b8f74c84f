/* jinja.h - chat templates: data in, text out, nothing else.
 *
 * A chat template is a small program in Jinja that comes with a model, from whoever made the file. So it is run by
 * an interpreter that has nothing to escape with: no files, no imports, no attributes but the entries of its data,
 * no changes to its data (only namespaces change), and limits on steps, depth, memory and output. The dialect is
 * what Hugging Face's renderer offers: trim_blocks and lstrip_blocks on, loop controls, `generation`, tojson that
 * escapes nothing it need not, raise_exception, strftime_now, from_json.
 *
 *   source -> jinja_lex.c -> tokens -> jinja_parse.c, jinja_stmt.c -> tree -> jinja_exec.c, jinja_eval.c -> text
 *   input  -> jansson -> values (jinja_value.h)                  filters, tests, methods: jinja_filter*.c ...
 *
 * User text never becomes a control token: every byte of a string remembers whether it came from the data, through
 * cutting, joining, replacing and formatting. The result says which parts of it are data, so that a tokenizer can
 * keep control tokens out of those. Data is every string of the input, but special tokens and the `role` of a message.
 *
 * A render needs up to 640 KiB of stack, at the depth limit.
 *
 * The same job gives the same bytes: no locale, no hash order, no time but strftime_now.
 */
#ifndef VB_TEXT_JINJA_H
#define VB_TEXT_JINJA_H
#include "base/err.h"

enum {
    VB_JINJA_MAX_TEMPLATE = 1 << 20, /* bytes of a template */
    VB_JINJA_MAX_INPUT = 16 << 20,   /* bytes of the JSON */
    VB_JINJA_MAX_OUTPUT = 16 << 20,  /* bytes of any one text that a template makes */
    VB_JINJA_MAX_MEMORY = 256 << 20, /* bytes for everything together */
    VB_JINJA_MAX_NESTING = 200,      /* brackets and blocks inside each other in the source */
    VB_JINJA_MAX_DEPTH = 1000,       /* evaluations inside each other: calls, expressions, nested data */
    VB_JINJA_MAX_RANGE = 100000,     /* items of range() */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    VB_JINJA_MAX_STEPS = 1 << 18, /* a fuzzer should not wait for endless loops */
#else
    VB_JINJA_MAX_STEPS = 1 << 25, /* a step: one node evaluated, one item visited or 64 bytes copied */
#endif
};

typedef struct {
    const char *tmpl;
    size_t tmpl_len;
    /* A JSON object as vb_template_render takes it. `strftime_now` absent: the local time of the call, the only case
     * in which the clock can show in the result. */
    const char *input;
    size_t input_len;
    const char *bos, *eos; /* bos_token and eos_token where the input has none; may be NULL */
} vb_jinja_job;

typedef struct {
    size_t offset, len;
    int data; /* 1: these bytes came from the input, 0: from the template */
} vb_jinja_span;

typedef struct {
    char *text; /* len bytes of UTF-8 and a NUL */
    size_t len;
    vb_jinja_span *spans; /* in order, without gaps, neighbours differ */
    size_t n_spans;
} vb_jinja_text;

/* Renders. Errors name line and column of the template. Release *out with vb_jinja_text_free. */
vb_status vb_jinja_render(const vb_jinja_job *job, vb_jinja_text *out, vb_err *err);
void vb_jinja_text_free(vb_jinja_text *text);
/* Says whether a template is written correctly, without running it. */
vb_status vb_jinja_check(const char *tmpl, size_t tmpl_len, vb_err *err);

#endif
