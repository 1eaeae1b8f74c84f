/* branch.c - go back to a point of a recording, put the second best token there, and record what comes of it.
 *
 *   ./branch in.trace 12 out.trace
 */
#include <stdlib.h>
#include <verbatim.h>

/* The session stands where token `at` was chosen; the new trace names its parent by the link before it. */
static vb_status go_on(const vb_resumed *from, const char *path, vb_err *err)
{
    vb_choice best[2];
    vb_trace *trace = NULL;
    vb_trace_opts opts = {.top = from->top, .sampling = from->sampling, .parent_at = from->parent_at};
    vb_generation how = {.sampling = from->sampling, .max_tokens = 16};
    for (int i = 0; i < 32; i++) opts.parent[i] = from->parent[i];
    if (vb_top(from->session, best, 2) < 2) return VB_E_NOT_FOUND;

    vb_work work = {.session = from->session, .ids = &best[1].id, .n = 1};
    vb_status status = vb_eval(&work, 1, err);
    if (status == VB_OK) status = vb_trace_open(&trace, path, from->session, &opts, err);
    how.trace = trace;
    if (status == VB_OK) status = vb_generate(from->session, &how, NULL, err);
    vb_status closed = vb_trace_close(trace, status == VB_OK ? err : NULL);
    return status == VB_OK ? closed : status;
}

static int print(void *ud, const vb_trace_node *node)
{
    (void)ud;
    printf("%*s%s: %d tokens, %d shared\n", 2 * node->depth, "", node->path, node->tokens, node->at);
    return 0;
}

int main(int argc, char **argv)
{
    vb_err err = {0};
    vb_resumed from;
    if (argc != 4) {
        fprintf(stderr, "usage: branch in.trace POSITION out.trace\n");
        return 2;
    }
    vb_status status = vb_trace_resume(&from, argv[1], atoi(argv[2]), NULL, &err);
    if (status == VB_OK) status = go_on(&from, argv[3], &err);
    vb_session_close(from.session);
    vb_model_close(from.model);
    const char *family[] = {argv[1], argv[3]};
    if (status == VB_OK) status = vb_trace_verify(argv[3], NULL, NULL, NULL, &err);
    if (status == VB_OK) status = vb_trace_tree(family, 2, print, NULL, &err);
    if (status < 0) fprintf(stderr, "branch: %s\n", err.text);
    return status == VB_OK ? 0 : 1;
}
