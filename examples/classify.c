/* classify.c - which of some labels fits a text, and how sure the model is.
 *
 *   cc classify.c $(pkg-config --cflags --libs verbatim) -o classify
 *   ./classify smollm2 "The battery died after two days." praise complaint question
 */
#include <stdlib.h>
#include <verbatim_easy.h>

static int loading(void *ud, const vb_easy_status *status)
{
    (void)ud;
    if (status->state == VB_EASY_LOADING && status->progress == 1) puts("loaded");
    return 0; /* go on */
}

int main(int argc, char **argv)
{
    vb_err err = {0};
    vb_easy *e = NULL;
    vb_easy_opts opts = {.on_status = loading};
    if (argc < 5) return fprintf(stderr, "usage: classify MODEL TEXT LABEL LABEL...\n"), 2;
    vb_easy_labels labels = {.labels = (const char *const *)&argv[3], .n = argc - 3};
    vb_easy_score *scores = calloc((size_t)labels.n, sizeof *scores);
    int best = -1;

    if (scores == NULL || vb_easy_open(&e, argv[1], &opts, &err) < 0) goto out;
    if ((best = vb_easy_classify(e, argv[2], &labels, scores, &err)) < 0) goto out;
    for (int i = 0; i < labels.n; i++)
        printf("%c %5.1f %%  %s\n", i == best ? '*' : ' ', 100 * scores[i].probability, labels.labels[i]);
out:
    if (err.code) fprintf(stderr, "classify: %s\n", err.text);
    free(scores);
    vb_easy_close(e);
    return best < 0;
}
