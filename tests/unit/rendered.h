/* rendered.h - what a template is expected to make of an input; each file that includes it says with `render` by which
 * interpreter.
 */
#ifndef VB_TESTS_UNIT_RENDERED_H
#define VB_TESTS_UNIT_RENDERED_H
#include "text/jinja.h"

#include <criterion/criterion.h>
#include <string.h>

static vb_status render(const char *tmpl, const char *input, vb_jinja_text *out, vb_err *err);

static void expect_text(const char *tmpl, const char *input, const char *expected)
{
    vb_err err;
    vb_jinja_text text;
    cr_assert_eq(render(tmpl, input, &text, &err), VB_OK, "%s: %s", tmpl, err.text);
    cr_expect_str_eq(text.text, expected, "%s: expected %s, found %s", tmpl, expected, text.text);
    vb_jinja_text_free(&text);
}

static void expect_error(const char *tmpl, const char *input, vb_status code, const char *part)
{
    vb_err err;
    vb_jinja_text text;
    cr_assert_eq(render(tmpl, input, &text, &err), code, "%.80s: %s", tmpl, err.text);
    cr_expect(err.code == code && strstr(err.text, part) != NULL, "%.80s: expected %s, found %s", tmpl, part, err.text);
    cr_expect(text.text == NULL && text.spans == NULL);
}

#endif
