/* cmd_parity.c - `verbatim parity`: the certificate of a model beside another engine, from recordings or asked now.
 *
 *   recordings, or questions to an engine --> answers --> vb_certify --> lines, JSON, one HTML page
 *
 * Exit code 0: every difference is explained, 1: not.
 */
#include "commands.h"
#include "gpu.h"
#include "out.h"
#include "parity/parity.h"
#include "parity_page.h"
#include "partners.h"
#include "questions.h"

#include <unistd.h>

typedef struct {
    const vb_args *args;
    vb_model *model;
    vb_model_opts opts;
    vb_answers answers;
    vb_err err;
} certificate;

static int ask(certificate *c)
{
    const vb_args *args = c->args;
    vb_questions questions = {0};
    const char *name = args->other_model ? args->other_model : args->rest[0];
    int code = vb_partner_live(args) ? vb_questions_read(&questions, args->prompts, args->raw) : 0;
    if (code == 0) code = vb_partners_ask(&c->answers, args, name, questions.item, questions.n);
    vb_questions_free(&questions);
    return code;
}

static int progress(void *ud, int done, int all)
{
    (void)ud;
    if (isatty(STDERR_FILENO)) fprintf(stderr, "\rcomparing %d of %d%s", done, all, done == all ? "\r\033[K" : "");
    return vb_interrupted();
}

/* The digest takes a while, so it is made only if theirs is there to compare it with. NULL: not needed. */
static const uint8_t *digest_of(certificate *c, uint8_t sha256[32])
{
    for (int i = 0; i < c->answers.n; i++)
        if (c->answers.item[i].has_sha256) return vb_model_sha256(c->model, sha256, &c->err) == VB_OK ? sha256 : NULL;
    return NULL;
}

static int tell(certificate *c, const vb_certificate *found)
{
    vb_report_colours colours = {vb_colour(stdout, "32"), vb_colour(stdout, "31"), vb_colour(stdout, "0")};
    int code = 0;
    vb_contribution parts[VB_CONTRIBUTIONS];
    int n = c->args->contributions ? vb_contributions(parts, found, c->model, &c->opts, &c->err) : 0;
    if (n < 0) return vb_report((vb_status)n, &c->err);
    json_t *json = c->args->json ? vb_certificate_json(found, c->model) : NULL;
    if (json != NULL && n > 0) json_object_set_new(json, "contributions", vb_contributions_json(parts, n));
    if (c->args->json) code = vb_print_json(json);
    else vb_certificate_print(stdout, found, &colours);
    if (!c->args->json && n > 0) vb_contributions_print(stdout, parts, n);
    if (code == 0 && c->args->html != NULL) {
        vb_status status = vb_parity_page(c->args->html, found, c->model, &c->err);
        if (status < 0) code = vb_report(status, &c->err);
    }
    return code ? code : found->explained ? VB_EXIT_OK : VB_EXIT_DIFFERS;
}

static int certify(certificate *c)
{
    uint8_t sha256[32];
    vb_certificate found;
    vb_certify_opts opts = {.progress = progress};
    if (c->answers.n == 0) {
        vb_say("parity: expected an answer to compare with, found none");
        return VB_EXIT_INPUT;
    }
    vb_status status = vb_certify(&found, c->model, digest_of(c, sha256), &c->answers, &opts, &c->err);
    if (status == VB_E_STOPPED) return VB_EXIT_INTERRUPTED;
    if (status < 0) return vb_report(status, &c->err);
    int code = tell(c, &found);
    vb_certificate_free(&found);
    return code;
}

int vb_cmd_parity(const vb_args *args)
{
    certificate c = {.args = args, .opts = args->model};
    if (vb_partners_named(args) == 0)
        return vb_wrong("parity", "expected --recording, --ollama or --llama-server, found none of them");
    if (args->llama_server == NULL) c.opts.template_as = "ollama";
    vb_status status = vb_open_with_bar(&c.model, args->rest[0], &c.opts, args->json, &c.err);
    if (status < 0) return vb_report(status, &c.err);
    vb_interrupt_catch();
    int code = vb_need_logits_of(c.model);
    if (code == 0) code = ask(&c);
    if (code == 0) code = certify(&c);
    vb_answers_free(&c.answers);
    vb_model_close(c.model);
    return code;
}
