/* contributions.c - what each documented difference to ggml moves, alone: the oracle computes a sample with one of them
 * switched on, and the numbers stand beside those of the envelope.
 *
 * The player's bits are the oracle's, so the first side of every comparison is the model at hand. Slow: the oracle is the
 * definition and not in a hurry.
 */
#include "parity/parity.h"

enum { POSITIONS = 8, WHOLE_MAX = 16 };

/* The first answer whose prompt is short, cut behind a few tokens. 0: there is none. */
static int sample_of(const vb_certificate *c, vb_envelope_text *text)
{
    for (int i = 0; i < c->n; i++) {
        const vb_aligned *a = &c->aligned[i];
        if (!a->readable || a->n_fed - a->n_prompt < 2 || a->n_prompt + 2 > WHOLE_MAX) continue;
        int n = a->n_prompt + POSITIONS < a->n_fed ? a->n_prompt + POSITIONS : a->n_fed;
        *text = (vb_envelope_text){a->fed, n < WHOLE_MAX ? n : WHOLE_MAX, a->n_prompt};
        return 1;
    }
    return 0;
}

static vb_status one(vb_contribution *out, vb_model *model, const vb_model_opts *opts, const vb_envelope_text *text, vb_err *err)
{
    vb_model *other;
    vb_model_info info;
    vb_model_opts as = *opts;
    vb_model_describe(model, &info);
    as.player = "oracle";
    as.isa = NULL;
    as.like_ggml = out->difference;
    vb_status status = vb_model_open(&other, info.path, &as, err);
    if (status < 0) return status;
    status = vb_envelope_between(&out->found, model, other, text, 1, err);
    vb_model_close(other);
    return status;
}

int vb_contributions(vb_contribution out[VB_CONTRIBUTIONS], const vb_certificate *certificate, vb_model *model,
                     const vb_model_opts *opts, vb_err *err)
{
    static const int all[VB_CONTRIBUTIONS] = {VB_GGML_ATTENTION, VB_GGML_SCALES, VB_GGML_GELU, VB_GGML_ACTIVATIONS,
                                              VB_GGML_ROPE, VB_GGML_ALL};
    vb_envelope_text text;
    vb_status status = VB_OK;
    int n = 0;
    if (!sample_of(certificate, &text)) return 0;
    for (; n < VB_CONTRIBUTIONS && status == VB_OK; n++) {
        const char *name = vb_ggml_name(all[n]);
        out[n] = (vb_contribution){.difference = all[n], .name = name ? name : "all of them"};
        status = one(&out[n], model, opts, &text, err);
    }
    return status < 0 ? (int)status : n;
}
