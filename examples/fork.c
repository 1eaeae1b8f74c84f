/* fork.c - going another way gives the same bits: a forked session and a rewound one end with equal logits.
 *
 *   main  ──A──B──C──D      evaluated in one go
 *   fork  ──A──B──┘  C──D   split off after B, then one token at a time
 *   main  ──A──B  C──D      rewound to B, then again
 */
#include <stdlib.h>
#include <string.h>
#include <verbatim.h>

static const vb_token ids[] = {1, 17, 42, 99, 7, 256, 33, 80};
enum { N = sizeof ids / sizeof ids[0], HALF = N / 2 };

static int copy_logits(const vb_session *session, float **out, size_t *bytes)
{
    int n = 0;
    const float *logits = vb_session_logits(session, &n);
    *bytes = (size_t)n * sizeof **out;
    if (logits == NULL || (*out = malloc(*bytes)) == NULL) return 0;
    memcpy(*out, logits, *bytes);
    return 1;
}

int main(int argc, char **argv)
{
    vb_err err = {0};
    vb_model *model = NULL;
    vb_session *session = NULL, *branch = NULL;
    float *direct = NULL, *forked = NULL, *rewound = NULL;
    size_t bytes = 0;
    int equal = 0;

    if (vb_model_open(&model, argc > 1 ? argv[1] : "smollm2", NULL, &err) < 0) goto out;
    if (vb_session_open(&session, model, NULL, &err) < 0) goto out;
    if (vb_session_sync(session, ids, N, &err) < 0 || !copy_logits(session, &direct, &bytes)) goto out;

    if (vb_session_rewind(session, HALF, &err) < 0 || vb_session_fork(&branch, session, &err) < 0) goto out;
    for (int i = HALF; i < N; i++)
        if (vb_eval(&(vb_work){.session = branch, .ids = &ids[i], .n = 1}, 1, &err) < 0) goto out;
    if (vb_session_sync(session, ids, N, &err) < 0) goto out;
    if (!copy_logits(branch, &forked, &bytes) || !copy_logits(session, &rewound, &bytes)) goto out;
    equal = memcmp(direct, forked, bytes) == 0 && memcmp(direct, rewound, bytes) == 0;
    printf("%zu bytes of logits: %s\n", bytes, equal ? "equal" : "they differ");
out:
    if (err.code) fprintf(stderr, "fork: %s\n", err.text);
    free(direct), free(forked), free(rewound);
    vb_session_close(branch), vb_session_close(session), vb_model_close(model);
    return equal ? 0 : 1;
}
