/* logits.c - what a model thinks comes next: the ten best tokens after a text, with their probabilities.
 *
 *   ./logits smollm2 "The capital of France is"
 */
#include <math.h>
#include <string.h>
#include <verbatim.h>

enum { TEXT_TOKENS = 256, BEST = 10 };

static void print(const vb_model *model, const vb_choice *choice)
{
    char text[64];
    int64_t len = vb_token_bytes(model, choice->id, text, sizeof text);
    if (len > (int64_t)sizeof text) len = sizeof text;
    printf("%8d  %9.4f  %7.3f %%  \"%.*s\"\n", choice->id, (double)choice->logit,
           100 * exp((double)choice->logprob), (int)len, text);
}

int main(int argc, char **argv)
{
    vb_err err = {0};
    vb_model *model = NULL;
    vb_session *session = NULL;
    vb_token ids[TEXT_TOKENS];
    vb_choice best[BEST];
    const char *text = argc > 2 ? argv[2] : "The capital of France is";
    int found = 0;

    if (vb_model_open(&model, argc > 1 ? argv[1] : "smollm2", NULL, &err) < 0) goto out;
    if (vb_session_open(&session, model, NULL, &err) < 0) goto out;
    int64_t n = vb_tokenize(model, text, strlen(text), VB_ADD_SPECIAL, ids, TEXT_TOKENS, &err);
    if (n < 0) goto out;
    if (vb_session_sync(session, ids, (int)(n < TEXT_TOKENS ? n : TEXT_TOKENS), &err) < 0) goto out;
    found = vb_top(session, best, BEST);
    for (int i = 0; i < found; i++) print(model, &best[i]);
out:
    if (err.code) fprintf(stderr, "logits: %s\n", err.text);
    vb_session_close(session);
    vb_model_close(model);
    return found == BEST ? 0 : 1;
}
