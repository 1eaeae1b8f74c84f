/* replay.c - runs a trace's tokens again and compares every choice.
 *
 *   records    given given given chosen chosen chosen given given chosen ...
 *   evaluated  \_____ one piece: up to ROWS rows of logits ____/  \__ next piece
 *
 * The recorded tokens are evaluated in pieces, not one by one: batching cannot change a bit, so the logits behind every
 * recorded choice come out as if it were made again, only sooner. From each row the token is chosen anew with the
 * recorded sampling, and id, text, largest logits and digest must be equal.
 *
 * Invariant: a piece starts at token `done` and its last row is the one that the record behind the piece came from.
 */
#include "base/hash.h"
#include "traces/diff.h"
#include "traces/token.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS = 32 };

typedef struct {
    const char *path;
    vb_trace_file file;
    const vb_trace_header *header;
    vb_model *model;
    vb_session *session;
    int vocab, n;    /* n: tokens in the trace */
    vb_token *ids;   /* [n] */
    uint8_t *chosen; /* [n] */
    float *rows;     /* [ROWS][vocab] */
    char *text;      /* of the token chosen now */
    vb_diff *out;
    vb_err *err;
} replay;

/* --- finding the model ----------------------------------------------------------------------------------- */

static int is_recorded(const vb_model *model, const uint8_t digest[32])
{
    uint8_t found[32];
    return vb_model_sha256(model, found, NULL) == VB_OK && memcmp(found, digest, sizeof found) == 0;
}

/* Ollama names its files by their digest; others are read, which their store remembers. */
static int has_digest(const char *path, const uint8_t digest[32])
{
    static const char prefix[] = "sha256-";
    enum { PREFIX = sizeof prefix - 1 };
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    uint8_t named[32];
    if (strncmp(name, prefix, PREFIX) == 0 && strlen(name) == PREFIX + 64)
        return vb_unhex(named, name + PREFIX, 32) && memcmp(named, digest, 32) == 0;
    vb_model_opts vocab_only = {.vocab_only = 1};
    vb_model *model;
    if (vb_model_open(&model, path, &vocab_only, NULL) < 0) return 0;
    int same = is_recorded(model, digest);
    vb_model_close(model);
    return same;
}

typedef struct {
    const uint8_t *digest;
    char *path; /* found */
} search;

static int look_at(void *ud, const vb_store_entry *entry)
{
    search *s = ud;
    if (!has_digest(entry->path, s->digest)) return 0;
    s->path = strdup(entry->path);
    return 1;
}

static vb_status open_from_store(replay *r, const char *hint, const vb_model_opts *opts)
{
    char hex[65];
    search s = {.digest = r->header->model};
    vb_status status = vb_store_list(look_at, &s, r->err);
    if (s.path != NULL) status = vb_model_open(&r->model, s.path, opts, r->err);
    free(s.path);
    if (r->model != NULL || (status < 0 && status != VB_E_STOPPED)) return status;
    vb_hex(hex, r->header->model, 32);
    VB_FAIL(r->err, VB_E_NOT_FOUND, "%s: expected the model with SHA-256 %s at \"%.200s\" or in a store, found none",
            r->path, hex, hint);
}

/* Where the model was when the trace was made, or else in a store. What cannot be opened there for a reason that lies
 * in the machine or the options is an error; a missing or different file is not. */
static vb_status find_model(replay *r, const vb_model_opts *opts)
{
    const vb_trace_text *text = &r->header->texts[VB_TRACE_MODEL_PATH];
    char *hint = strndup(text->len > 0 ? (const char *)text->data : "", text->len);
    if (hint == NULL) VB_FAIL(r->err, VB_E_MEMORY, "%s: out of memory", r->path);
    vb_status s = hint[0] == '/' ? vb_model_open(&r->model, hint, opts, r->err) : VB_E_NOT_FOUND;
    if (s == VB_OK && !is_recorded(r->model, r->header->model)) {
        vb_model_close(r->model);
        r->model = NULL;
        s = VB_E_NOT_FOUND;
    }
    if (s == VB_E_NOT_FOUND || s == VB_E_IO || s == VB_E_FORMAT) s = open_from_store(r, hint, opts);
    free(hint);
    return s;
}

static vb_status open_model(replay *r, const char *given, const vb_model_opts *opts)
{
    vb_model_opts o = {0};
    if (opts != NULL) o = *opts;
    o.arith = (vb_arith)r->header->arith;
    o.vocab_only = 0;
    return given != NULL ? vb_model_open(&r->model, given, &o, r->err) : find_model(r, &o);
}

/* The header as it would be now. The template stays: a replay renders nothing. */
static vb_status check_header(replay *r)
{
    vb_trace_header now = *r->header;
    vb_model_info info;
    vb_model_describe(r->model, &info);
    VB_TRY(vb_model_sha256(r->model, now.model, r->err));
    memcpy(now.plan, info.plan_digest, sizeof now.plan);
    memcpy(now.tokenizer, info.tokenizer_digest, sizeof now.tokenizer);
    r->vocab = info.vocab;
    vb_trace_diff_header(r->out, r->header, &now);
    return VB_OK;
}

/* --- the tokens ------------------------------------------------------------------------------------------ */

/* Proves the whole file before anything is computed, and takes the ids out of it. */
static vb_status read_ids(replay *r)
{
    vb_trace_reader reader = r->file.reader;
    vb_trace_record record;
    int more = 1;
    while (more) VB_TRY(vb_trace_next(&reader, &record, &more, r->err));
    vb_trace_say_cut(&reader);
    r->n = reader.tokens;
    r->ids = malloc(((size_t)r->n + 1) * sizeof *r->ids);
    r->chosen = malloc((size_t)r->n + 1);
    if (r->ids == NULL || r->chosen == NULL)
        VB_FAIL(r->err, VB_E_MEMORY, "%s: out of memory for %d tokens", r->path, r->n);
    reader = r->file.reader;
    for (int i = 0; i < r->n; i++) {
        VB_TRY(vb_trace_next(&reader, &record, &more, r->err));
        r->ids[i] = record.as.token.id;
        r->chosen[i] = (uint8_t)record.as.token.chosen;
    }
    return VB_OK;
}

static vb_status check_ids(const replay *r)
{
    if (r->n > r->header->context)
        VB_FAIL(r->err, VB_E_FORMAT, "%s: expected at most %d tokens (its context), found %d", r->path,
                r->header->context, r->n);
    for (int i = 0; i < r->n; i++)
        if (r->ids[i] >= r->vocab)
            VB_FAIL(r->err, VB_E_FORMAT, "%s: position %d: expected an id from 0 to %d, found %d", r->path, i,
                    r->vocab - 1, r->ids[i]);
    return VB_OK;
}

/* A given token has nothing to compute, but its text must be what the model's tokenizer says now. */
static void compare_given(replay *r, const vb_trace_token *was)
{
    vb_trace_token now = *was;
    vb_trace_token_name(&now, r->model, was->id, r->text);
    vb_trace_diff_token(r->out, was->position + 1, was, &now);
}

static vb_status compare_chosen(replay *r, const vb_trace_token *was, const float *logits)
{
    vb_trace_token now = *was;
    vb_token id;
    VB_TRY(vb_sample_logits(logits, r->vocab, r->ids, was->position, &r->header->sampling, &id, r->err));
    vb_trace_token_name(&now, r->model, id, r->text);
    vb_trace_token_logits(&now, logits, r->vocab, r->header->top);
    vb_trace_diff_token(r->out, was->position + 1, was, &now);
    return VB_OK;
}

/* Tokens from `done` on that are evaluated together; the last *rows of them are followed by a recorded choice. */
static int piece(const replay *r, int done, int *rows)
{
    int end = done + 1;
    while (end < r->n && !r->chosen[end]) end++;
    *rows = end < r->n;
    while (end + 1 < r->n && r->chosen[end + 1] && *rows < ROWS) {
        end++;
        ++*rows;
    }
    return end - done;
}

static vb_status compare_next(replay *r, const float *logits)
{
    vb_trace_record record;
    int more;
    VB_TRY(vb_trace_next(&r->file.reader, &record, &more, r->err));
    r->out->records++;
    if (logits != NULL) return compare_chosen(r, &record.as.token, logits);
    compare_given(r, &record.as.token);
    return VB_OK;
}

/* Records done+1 .. done+n are compared; those without logits were given. */
static vb_status run_piece(replay *r, int done, int n, int rows)
{
    vb_work work = {.session = r->session, .ids = r->ids + done, .n = n, .logits = r->rows, .want = rows};
    if (rows > 0) VB_TRY(vb_eval(&work, 1, r->err));
    for (int i = 1; i <= n && done + i < r->n && !r->out->differs; i++) {
        int row = i - 1 - (n - rows);
        VB_TRY(compare_next(r, row < 0 ? NULL : r->rows + (size_t)row * (size_t)r->vocab));
    }
    return VB_OK;
}

static vb_status run(replay *r)
{
    vb_session_opts opts = {.context = r->header->context, .kv = (vb_kv)r->header->kv};
    size_t bytes;
    if (__builtin_mul_overflow((size_t)ROWS * sizeof(float), (size_t)r->vocab, &bytes)) bytes = 0;
    r->rows = bytes > 0 ? malloc(bytes) : NULL;
    r->text = malloc(VB_TRACE_TOKEN_TEXT_MOST);
    if (r->rows == NULL || r->text == NULL) VB_FAIL(r->err, VB_E_MEMORY, "%s: out of memory", r->path);
    VB_TRY(vb_session_open(&r->session, r->model, &opts, r->err));
    if (r->n > 0) VB_TRY(compare_next(r, NULL));
    for (int done = 0, rows; done < r->n && !r->out->differs;) {
        int n = piece(r, done, &rows);
        VB_TRY(run_piece(r, done, n, rows));
        done += n;
    }
    return VB_OK;
}

static vb_status replay_file(replay *r, const char *model, const vb_model_opts *opts)
{
    if (r->header->arithmetic_version != VB_ARITHMETIC_VERSION)
        VB_FAIL(r->err, VB_E_UNSUPPORTED, "%s: arithmetic version: expected %d, found %d", r->path,
                VB_ARITHMETIC_VERSION, r->header->arithmetic_version);
    VB_TRY(vb_sampling_check(&r->header->sampling, r->err));
    VB_TRY(read_ids(r));
    VB_TRY(open_model(r, model, opts));
    r->out->records = 1;
    VB_TRY(check_header(r));
    if (!r->out->differs) {
        VB_TRY(check_ids(r));
        VB_TRY(run(r));
    }
    if (!r->out->differs) return VB_OK;
    VB_FAIL(r->err, VB_E_DIFFERS, "%s: record %lld: %s: recorded %s, now %s", r->path, (long long)r->out->record,
            r->out->field, r->out->a, r->out->b);
}

VB_API vb_status vb_trace_replay(const char *path, const char *model, const vb_model_opts *opts, vb_diff *out,
                                 vb_err *err)
{
    vb_diff ignored;
    replay r = {.path = path, .out = out != NULL ? out : &ignored, .err = err};
    *r.out = (vb_diff){.record = -1, .position = -1};
    VB_TRY(vb_trace_file_open(&r.file, path, err));
    r.header = &r.file.reader.header;
    vb_status s = replay_file(&r, model, opts);
    vb_session_close(r.session);
    vb_model_close(r.model);
    free(r.ids);
    free(r.chosen);
    free(r.rows);
    free(r.text);
    vb_trace_file_close(&r.file);
    return s;
}
