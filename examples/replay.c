/* replay.c - record a generation, then run the recording again and compare every bit.
 *
 *   ./replay smollm2 out.trace
 */
#include <string.h>
#include <verbatim.h>

enum { PROMPT_TOKENS = 64 };

static vb_status record(vb_model *model, const char *path, vb_err *err)
{
    vb_session *session = NULL;
    vb_trace *trace = NULL;
    vb_token ids[PROMPT_TOKENS];
    vb_generation how = {.sampling = {.temperature = 0.8f, .top_k = 40, .seed = 42}, .max_tokens = 16};
    vb_trace_opts opts = {.sampling = how.sampling, .prompt = "Once upon a time"};
    vb_generated done;
    vb_status status = vb_session_open(&session, model, NULL, err);
    if (status < 0) return status;

    int64_t n = vb_tokenize(model, opts.prompt, strlen(opts.prompt), VB_ADD_SPECIAL, ids, PROMPT_TOKENS, err);
    status = n < 0 ? (vb_status)n : vb_session_sync(session, ids, (int)n, err);
    if (status == VB_OK) status = vb_trace_open(&trace, path, session, &opts, err); /* the prompt is in, now record */
    how.trace = trace;
    if (status == VB_OK) status = vb_generate(session, &how, &done, err);
    vb_status closed = vb_trace_close(trace, status == VB_OK ? err : NULL);
    vb_session_close(session);
    return status == VB_OK ? closed : status;
}

int main(int argc, char **argv)
{
    vb_err err = {0};
    vb_model *model = NULL;
    vb_diff diff = {0};
    const char *name = argc > 1 ? argv[1] : "smollm2", *path = argc > 2 ? argv[2] : "replay.trace";

    vb_status status = vb_model_open(&model, name, NULL, &err);
    if (status == VB_OK) status = record(model, path, &err);
    vb_model_close(model);
    if (status == VB_OK) status = vb_trace_replay(path, name, &(vb_model_opts){.threads = 2}, &diff, &err);
    if (status == VB_OK) printf("%s: %lld records, equal\n", path, (long long)diff.records);
    if (status == VB_E_DIFFERS)
        printf("%s: record %lld: %s: %s, now %s\n", path, (long long)diff.record, diff.field, diff.a, diff.b);
    else if (status < 0) fprintf(stderr, "replay: %s\n", err.text);
    return status == VB_OK ? 0 : 1;
}
