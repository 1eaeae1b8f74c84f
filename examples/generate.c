/* generate.c - load a model, read a prompt, stream the answer.
 *
 *   cc generate.c $(pkg-config --cflags --libs verbatim) -o generate && ./generate smollm2 "Why is the sky blue?"
 */
#include <stdlib.h>
#include <verbatim.h>

static int print(void *ud, const char *text, size_t len)
{
    (void)ud;
    fwrite(text, 1, len, stdout);
    return fflush(stdout); /* not 0: stop */
}

int main(int argc, char **argv)
{
    vb_err err = {0};
    vb_model *model = NULL;
    vb_session *session = NULL;
    vb_token *ids = NULL;
    vb_message messages[] = {{"user", argc > 2 ? argv[2] : "Hello!"}};
    vb_model_opts opts = {.template_as = "ollama"}; /* a model without a chat template gets ChatML */
    vb_generation how = {.max_tokens = 64, .on_text = print};
    vb_generated done = {0};
    int64_t n;

    if (vb_model_open(&model, argc > 1 ? argv[1] : "smollm2", &opts, &err) < 0) goto out;
    if (vb_session_open(&session, model, NULL, &err) < 0) goto out;

    /* A call that counts says how much room it needs when it is given none. */
    if ((n = vb_chat_encode(model, messages, 1, NULL, 0, &err)) < 0) goto out;
    if ((ids = malloc((size_t)n * sizeof *ids)) == NULL) goto out;
    if (vb_chat_encode(model, messages, 1, ids, (size_t)n, &err) < 0) goto out;

    if (vb_session_sync(session, ids, (int)n, &err) < 0) goto out;
    if (vb_generate(session, &how, &done, &err) < 0) goto out;
    putchar('\n');
out:
    if (err.code) fprintf(stderr, "generate: %s\n", err.text);
    free(ids);
    vb_session_close(session);
    vb_model_close(model);
    return done.tokens > 0 ? 0 : 1;
}
