/* rerun.c - see rerun.h: the file is read and proved, the model found and compared with the header.
 *
 * Invariant: whoever holds an opened vb_rerun holds a whole chain of records; ids are valid for the model as soon as
 * vb_rerun_model has succeeded without a difference.
 */
#include "traces/rerun.h"

#include "traces/diff.h"
#include "traces/find.h"

#include <stdlib.h>
#include <string.h>

static int is_token(const vb_trace_record *record)
{
    return record->type == VB_TRACE_GIVEN || record->type == VB_TRACE_CHOSEN;
}

static vb_rerun_token *add_token(vb_rerun *r, int *cap)
{
    if (r->n == *cap) {
        int more = *cap > 0 ? *cap * 2 : 256;
        vb_rerun_token *grown = realloc(r->tokens, (size_t)more * sizeof *grown);
        if (grown == NULL) return NULL;
        r->tokens = grown;
        *cap = more;
    }
    return &r->tokens[r->n++];
}

static vb_status note(vb_rerun *r, const vb_trace_record *record, size_t before, int *cap, vb_err *err)
{
    if (record->type == VB_TRACE_END) r->end = record->as.end;
    if (record->type == VB_TRACE_TAP) {
        vb_rerun_token *token = &r->tokens[r->n - 1];
        if (token->n_taps++ == 0) token->taps = before;
    }
    if (!is_token(record)) return VB_OK;
    vb_rerun_token *token = add_token(r, cap);
    if (token == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory for %d tokens", r->file.reader.name, r->n);
    *token = (vb_rerun_token){.id = record->as.token.id,
                              .chosen = record->as.token.chosen,
                              .check = record->as.token.chosen,
                              .link = before - VB_TRACE_LINK};
    return VB_OK;
}

static vb_status read_all(vb_rerun *r, vb_err *err)
{
    vb_trace_reader *reader = &r->file.reader;
    vb_trace_record record;
    int cap = 0;
    for (int more = 1; more;) {
        size_t before = reader->at;
        VB_TRY(vb_trace_next_any(reader, &record, &more, err));
        if (more) VB_TRY(note(r, &record, before, &cap, err));
    }
    vb_trace_say_cut(reader);
    return VB_OK;
}

/* What nobody could have recorded: settings out of range are the file's fault, not the caller's. */
static vb_status check_settings(const vb_rerun *r, vb_err *err)
{
    vb_err reason;
    const char *name = r->file.reader.name;
    if (r->header->arithmetic_version != VB_ARITHMETIC_VERSION)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s: arithmetic version: expected %d, found %d", name, VB_ARITHMETIC_VERSION,
                r->header->arithmetic_version);
    if (vb_sampling_check(&r->header->sampling, &reason) < 0) VB_FAIL(err, VB_E_FORMAT, "%s: %s", name, reason.text);
    if (r->n > r->header->context)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected at most %d tokens (its context), found %d", name, r->header->context,
                r->n);
    return VB_OK;
}

vb_status vb_rerun_open(vb_rerun *r, const char *path, vb_diff *out, vb_err *err)
{
    memset(r, 0, sizeof *r);
    r->out = out;
    *out = (vb_diff){.record = -1, .position = -1};
    VB_TRY(vb_trace_file_open(&r->file, path, err));
    r->header = &r->file.reader.header;
    VB_TRY(read_all(r, err));
    return check_settings(r, err);
}

/* --- the model ------------------------------------------------------------------------------------------- */

/* The header as it would be now. The template stays: nothing is rendered here. */
static vb_status check_header(vb_rerun *r, const vb_model_info *info, vb_err *err)
{
    vb_trace_header now = *r->header;
    now.arith = (int32_t)info->arith;
    VB_TRY(vb_model_sha256(r->model, now.model, err));
    memcpy(now.plan, info->plan_digest, sizeof now.plan);
    memcpy(now.tokenizer, info->tokenizer_digest, sizeof now.tokenizer);
    vb_trace_diff_header(r->out, r->header, &now);
    return VB_OK;
}

static vb_status check_ids(const vb_rerun *r, vb_err *err)
{
    for (int i = 0; i < r->n; i++)
        if (r->tokens[i].id >= r->vocab)
            VB_FAIL(err, VB_E_FORMAT, "%s: position %d: expected an id from 0 to %d, found %d", r->file.reader.name, i,
                    r->vocab - 1, r->tokens[i].id);
    return VB_OK;
}

vb_status vb_rerun_model(vb_rerun *r, vb_model *opened, const char *given, const vb_model_opts *opts, vb_err *err)
{
    vb_model_info info;
    r->model = opened;
    r->owns_model = opened == NULL;
    if (r->owns_model) VB_TRY(vb_trace_find_model(&r->model, &r->file.reader, given, opts, err));
    vb_model_describe(r->model, &info);
    r->vocab = info.vocab;
    r->threads = info.threads;
    r->out->records = 1;
    VB_TRY(check_header(r, &info, err));
    return r->out->differs ? VB_OK : check_ids(r, err);
}

vb_status vb_rerun_session(vb_session **out, const vb_rerun *r, const vb_session_opts *opts, vb_err *err)
{
    vb_session_opts o = {0};
    if (opts != NULL) o = *opts;
    if (o.context == 0) o.context = r->header->context;
    o.kv = (vb_kv)r->header->kv;
    if (vb_session_bytes(r->model, &o) > 0) return vb_session_open(out, r->model, &o, err);
    *out = NULL;
    VB_FAIL(err, VB_E_FORMAT, "%s: expected a context and a KV type that its model can have, found %d tokens, type %d",
            r->file.reader.name, o.context, (int)o.kv);
}

vb_status vb_rerun_grammar(vb_grammar **out, const vb_rerun *r, vb_err *err)
{
    vb_err reason;
    const vb_trace_rules *rules = &r->file.reader.rules;
    const char *text = (const char *)rules->text.data;
    *out = NULL;
    if (rules->kind == VB_TRACE_FREE) return VB_OK;
    vb_status s = rules->kind == VB_TRACE_GBNF ? vb_grammar_open_gbnf(out, r->model, text, rules->text.len, &reason)
                                               : vb_grammar_open_schema(out, r->model, text, rules->text.len, &reason);
    if (s < 0) VB_FAIL(err, s == VB_E_ARGUMENT ? VB_E_FORMAT : s, "%s: rules: %s", r->file.reader.name, reason.text);
    return VB_OK;
}

vb_status vb_rerun_biases(vb_bias **out, const vb_rerun *r, vb_err *err)
{
    const vb_trace_rules *rules = &r->file.reader.rules;
    *out = NULL;
    if (rules->n_biases == 0) return VB_OK;
    *out = malloc((size_t)rules->n_biases * sizeof **out);
    if (*out == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", r->file.reader.name);
    for (int i = 0; i < rules->n_biases; i++) {
        (*out)[i] = vb_trace_bias(rules, i);
        if ((*out)[i].id < r->vocab && (*out)[i].add >= -100.0f && (*out)[i].add <= 100.0f) continue;
        free(*out);
        *out = NULL;
        VB_FAIL(err, VB_E_FORMAT, "%s: rules: bias %d: expected a token below %d and -100 to 100", r->file.reader.name, i,
                r->vocab);
    }
    return VB_OK;
}

vb_status vb_rerun_verdict(const vb_rerun *r, vb_err *err)
{
    const vb_diff *d = r->out;
    if (!d->differs) return VB_OK;
    VB_FAIL(err, VB_E_DIFFERS, "%s: record %lld: %s: recorded %s, now %s", r->file.reader.name, (long long)d->record,
            d->field, d->a, d->b);
}

void vb_rerun_close(vb_rerun *r)
{
    if (r->owns_model) vb_model_close(r->model);
    free(r->tokens);
    if (r->header != NULL) vb_trace_file_close(&r->file);
}
