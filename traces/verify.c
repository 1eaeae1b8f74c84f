/* verify.c - everything that a trace claims is computed again.
 *
 *   chain, seal, signature   by the reader, before anything else (traces/read.c)
 *   header                   against the model: its SHA-256, plan, tokenizer, template
 *   tokens, taps             traces/compare.c, all of them or a sample
 *   end                      its reason follows from the last token, the context and the model
 *
 * A proof is a digest of all logits that begins with the link before its record, so it depends on every field before
 * it, and can be made only by who has the logits. Therefore the last chosen token belongs to every sample: with it all
 * that was recorded before is proved to be what the recorder saw.
 *
 * Invariant: no byte is left that a forger may change, but those of the information (docs/TRACES.md).
 */
#include "traces/diff.h"
#include "traces/rerun.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    vb_rerun rerun;
    const vb_trace_verify_opts *how;
    vb_verified *out;
    vb_err *err;
} verification;

static void differ(vb_diff *d, int64_t record, int64_t position, const char *field)
{
    d->differs = 1;
    d->record = record;
    d->position = position;
    snprintf(d->field, sizeof d->field, "%s", field);
}

/* --- who and which --------------------------------------------------------------------------------------- */

static void check_signer(const verification *v)
{
    const vb_trace_reader *reader = &v->rerun.file.reader;
    vb_diff *d = &v->out->diff;
    const uint8_t *expected = v->how->signer;
    if (expected == NULL || (reader->is_signed && memcmp(expected, reader->signer, 32) == 0)) return;
    differ(d, reader->records, -1, "signer");
    snprintf(d->a, sizeof d->a, "none");
    if (reader->is_signed) vb_hex(d->a, reader->signer, 32);
    vb_hex(d->b, expected, 32);
}

typedef struct {
    const char *weights;
    const uint8_t *wanted;
    int found;
} other_template;

static int has_template(other_template *o, const char *model)
{
    vb_model_opts opts = {.vocab_only = 1, .template_as = "ollama"};
    vb_model_info info;
    vb_model *opened;
    if (vb_model_open(&opened, model, &opts, NULL) < 0) return 0;
    vb_model_describe(opened, &info);
    o->found = memcmp(info.template_digest, o->wanted, sizeof info.template_digest) == 0;
    vb_model_close(opened);
    return o->found;
}

/* Whatever links lead there. */
static int same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int try_stored(void *ud, const vb_store_entry *entry)
{
    other_template *o = ud;
    return same_file(entry->path, o->weights) && has_template(o, entry->name);
}

/* A recorder may have opened the model as Ollama does, who renders one without a template as ChatML, or by a name in a
 * store that has a template for it. */
static void check_template(const verification *v)
{
    const vb_trace_header *was = v->rerun.header;
    vb_trace_header now = *was;
    vb_model_info info;
    vb_model_describe(v->rerun.model, &info);
    memcpy(now.template_, info.template_digest, sizeof now.template_);
    if (memcmp(now.template_, was->template_, sizeof now.template_) == 0) return;
    other_template other = {.weights = info.path, .wanted = was->template_};
    if (!has_template(&other, info.path)) vb_store_list(try_stored, &other, NULL);
    if (other.found) memcpy(now.template_, was->template_, sizeof now.template_);
    vb_trace_diff_header(&v->out->diff, was, &now);
}

/* --- the end --------------------------------------------------------------------------------------------- */

static void check_end(const verification *v)
{
    const vb_rerun *r = &v->rerun;
    const vb_rerun_token *last = &r->tokens[r->n - 1];
    vb_trace_reason now = r->n >= r->header->context ? VB_TRACE_FULL : VB_TRACE_CLOSED;
    vb_diff *d = &v->out->diff;
    if (!r->file.reader.ended) return;
    if (!last->chosen) {
        differ(d, r->n, r->n - 1, "type");
        snprintf(d->a, sizeof d->a, "given");
        snprintf(d->b, sizeof d->b, "chosen, as nothing is recorded behind the last choice");
        return;
    }
    d->records++;
    if (vb_token_ends(r->model, last->id)) now = VB_TRACE_ENDS;
    if (r->end.reason == now) return;
    differ(d, r->n + 1, r->n, "end");
    snprintf(d->a, sizeof d->a, "%s", vb_trace_reason_name(r->end.reason));
    snprintf(d->b, sizeof d->b, "%s", vb_trace_reason_name(now));
}

/* --- the sample ------------------------------------------------------------------------------------------ */

/* Steele, Lea, Flood: Fast splittable pseudorandom number generators. */
static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Of the chosen tokens the last one and sample-1 others stay marked: one after the other is taken with the probability
 * that makes all samples equally likely. */
static void choose_sample(verification *v)
{
    uint64_t state = v->how->seed;
    int64_t left = v->out->chosen, take = v->how->sample;
    if (take == 0 || take >= left) take = left;
    v->out->checked = take;
    for (int i = v->rerun.n - 1, first = 1; i >= 0; i--) {
        vb_rerun_token *token = &v->rerun.tokens[i];
        if (!token->chosen) continue;
        token->check = first || splitmix64(&state) % (uint64_t)left < (uint64_t)take;
        take -= token->check;
        left--;
        first = 0;
    }
}

/* --- all of it ------------------------------------------------------------------------------------------- */

static vb_status describe(const verification *v)
{
    const vb_trace_reader *reader = &v->rerun.file.reader;
    vb_verified *out = v->out;
    for (int i = 0; i < v->rerun.n; i++) {
        if (v->rerun.tokens[i].chosen) out->chosen++;
        else out->given++;
    }
    out->taps = reader->taps;
    out->version = reader->version;
    out->ended = reader->ended;
    out->is_signed = reader->is_signed;
    memcpy(out->signer, reader->signer, sizeof out->signer);
    memcpy(out->digest, reader->data + reader->link, sizeof out->digest);
    if (out->chosen > 0) return VB_OK;
    VB_FAIL(v->err, VB_E_UNSUPPORTED, "%s: expected a chosen token, found none: there is nothing to compute", reader->name);
}

static vb_status verify(verification *v, const vb_model_opts *opts)
{
    vb_rerun *r = &v->rerun;
    VB_TRY(describe(v));
    check_signer(v);
    if (v->out->diff.differs) return VB_OK;
    VB_TRY(vb_rerun_model(r, v->how->opened, v->how->model, opts, v->err));
    if (!v->out->diff.differs) check_template(v);
    if (v->out->diff.differs) return VB_OK;
    choose_sample(v);
    VB_TRY(vb_rerun_compare(r, r->n, v->err));
    if (!v->out->diff.differs) check_end(v);
    return VB_OK;
}

VB_API vb_status vb_trace_verify(const char *path, const vb_trace_verify_opts *how, const vb_model_opts *opts,
                                 vb_verified *out, vb_err *err)
{
    static const vb_trace_verify_opts defaults;
    vb_verified ignored;
    if (out == NULL) out = &ignored;
    memset(out, 0, sizeof *out);
    verification v = {.how = how != NULL ? how : &defaults, .out = out, .err = err};
    if (v.how->sample < 0) VB_FAIL(err, VB_E_ARGUMENT, "sample: expected 0 or more, found %d", v.how->sample);
    vb_status s = vb_rerun_open(&v.rerun, path, &out->diff, err);
    if (s == VB_OK) s = verify(&v, opts);
    if (s == VB_OK) s = vb_rerun_verdict(&v.rerun, err);
    vb_rerun_close(&v.rerun);
    return s;
}
