/* page.c - the page's frame: head, verdict, facts, then the cases.
 *
 *   head      policy, style         |  main     title and verdict, facts, distribution, table of cases, cases
 *   aside     the token looked at   |  data, script
 *
 * Invariant: the policy allows what carries one of two digests and nothing else, so a text that got past the escapes
 * would still be no program.
 */
#include "page/parts.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { OPEN_MOST = 4, FACTS_OPEN = 12 }; /* more cases than these are folded unless they differ; more facts */

static void put_head(FILE *to, const vb_page *page)
{
    vb_page_asset style, script;
    vb_page_style(&style);
    vb_page_script(&script);
    fprintf(to,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-%s'; "
            "script-src 'sha256-%s'; img-src data:; base-uri 'none'; form-action 'none'\">\n",
            style.sha256, script.sha256);
    fputs("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n"
          "<meta name=\"generator\" content=\"verbatim " VB_VERSION "\">\n<link rel=\"icon\" href=\"data:,\">\n<title>",
          to);
    vb_page_words(to, page->title);
    fputs("</title>\n<style>", to);
    fwrite(style.text, 1, style.len, to);
    fputs("</style>\n</head>\n<body>\n", to);
}

static void put_verdict(FILE *to, const char *verdict, const char *reason, vb_page_tone tone)
{
    if (verdict == NULL) return;
    fputs("<p class=\"verdict\">", to);
    vb_page_chip(to, verdict, tone);
    fputs(reason != NULL ? " " : "", to);
    vb_page_words(to, reason);
    fputs("</p>\n", to);
}

static void put_fact(FILE *to, const vb_page_fact *f)
{
    fprintf(to, "<tr%s><th>", f->differs ? " class=\"differs\"" : "");
    vb_page_words(to, f->key);
    fputs(f->b != NULL ? "</th><td>" : "</th><td colspan=\"2\">", to);
    vb_page_words(to, f->a);
    if (f->b != NULL) fputs("</td><td>", to);
    vb_page_words(to, f->b);
    fputs("</td></tr>\n", to);
}

static int count_differing(const vb_page *page)
{
    int n = 0;
    for (int i = 0; i < page->n_facts; i++) n += page->facts[i].differs != 0;
    return n;
}

static void put_facts_table(FILE *to, const vb_page *page, int differing)
{
    fputs("<div class=\"wide\"><table class=\"facts\"><tbody>\n", to);
    for (int i = 0; i < page->n_facts; i++)
        if ((page->facts[i].differs != 0) == differing) put_fact(to, &page->facts[i]);
    fputs("</tbody></table></div>\n", to);
}

/* What differs is in the open, the rest behind a click. */
static void put_facts(FILE *to, const vb_page *page)
{
    int differing = count_differing(page);
    if (page->n_facts == 0) return;
    fputs("<section>\n", to);
    if (differing > 0) put_facts_table(to, page, 1);
    if (differing < page->n_facts) {
        fprintf(to, "<details%s><summary>%d %s%s</summary>",
                differing == 0 && page->n_facts <= FACTS_OPEN ? " open" : "", page->n_facts - differing,
                differing > 0 ? "other fact" : "fact", page->n_facts - differing == 1 ? "" : "s");
        put_facts_table(to, page, 0);
        fputs("</details>\n", to);
    }
    fputs("</section>\n", to);
}

static vb_status put_case(FILE *to, const vb_page *page, int number)
{
    const vb_page_case *c = &page->cases[number];
    int single = page->n_cases == 1, open = page->n_cases <= OPEN_MOST || c->divergence >= 0 || c->tone == VB_PAGE_BAD;
    fprintf(to,
            single ? "<article class=\"case\" id=\"case%d\">\n" : "<details class=\"case\" id=\"case%d\"%s><summary>",
            number, open ? " open" : "");
    if (!single) {
        fprintf(to, "<h2><small>%d</small> ", number + 1);
        vb_page_words(to, c->title);
        fputs("</h2>", to);
        vb_page_chip(to, c->verdict, c->tone);
        fputs("</summary>\n<p class=\"verdict\">", to);
        vb_page_words(to, c->reason);
        fputs("</p>\n", to);
    } else if (page->verdict == NULL) put_verdict(to, c->verdict, c->reason, c->tone);
    vb_page_streams(to, c);
    vb_status s = vb_page_plots(to, page, c);
    vb_page_heat(to, c);
    if (single && s == VB_OK) s = vb_page_distribution(to, page);
    fputs(single ? "</article>\n" : "</details>\n", to);
    return s;
}

static vb_status put_main(FILE *to, const vb_page *page)
{
    fputs("<main>\n<header><p class=\"kind\">", to);
    vb_page_words(to, page->kind);
    fputs("</p><h1>", to);
    vb_page_words(to, page->title);
    fputs("</h1>\n", to);
    put_verdict(to, page->verdict, page->reason, page->tone);
    fputs("</header>\n", to);
    put_facts(to, page);
    vb_status s = page->n_cases > 1 ? vb_page_distribution(to, page) : VB_OK;
    if (page->n_cases > 1) vb_page_overview(to, page);
    for (int i = 0; i < page->n_cases && s == VB_OK; i++) s = put_case(to, page, i);
    fputs("</main>\n", to);
    return s;
}

static void put_tail(FILE *to, const vb_page *page)
{
    vb_page_asset script;
    vb_page_script(&script);
    fputs(
        "<aside id=\"detail\" aria-live=\"polite\"><p>Point at a token, or walk with the arrow keys, to see what else "
        "could have been said.</p></aside>\n",
        to);
    vb_page_data(to, page);
    fputs("<script>", to);
    fwrite(script.text, 1, script.len, to);
    fputs("</script>\n</body>\n</html>\n", to);
}

static vb_status fail(vb_err *err, vb_status code, const char *path, const char *why)
{
    if (err == NULL) return code;
    err->code = code;
    snprintf(err->text, sizeof err->text, "%.200s: %.290s", path, why);
    return code;
}

vb_status vb_page_write(FILE *to, const vb_page *page, vb_err *err)
{
    put_head(to, page);
    vb_status s = put_main(to, page);
    put_tail(to, page);
    if (s < 0) return fail(err, s, "page", "out of memory");
    if (fflush(to) != 0 || ferror(to)) return fail(err, VB_E_IO, "page: cannot write", strerror(errno));
    return VB_OK;
}

vb_status vb_page_save(const char *path, const vb_page *page, vb_err *err)
{
    if (strcmp(path, "-") == 0) return vb_page_write(stdout, page, err);
    FILE *to = fopen(path, "w");
    if (to == NULL) return fail(err, VB_E_IO, path, strerror(errno));
    vb_err why = {0};
    vb_status s = vb_page_write(to, page, &why);
    if (fclose(to) != 0 && s == VB_OK) s = fail(&why, VB_E_IO, "cannot write", strerror(errno));
    return s < 0 ? fail(err, s, path, why.text) : VB_OK;
}
