/* frames.c - a game's loop in which characters speak: 2 ms of each frame belong to them, and no line depends on that.
 *
 *   frame  |#### game ####|## lines ##|   |#### game ####|## lines ##|   ...
 *                                     ^ deadline: how far beyond it did a step end?
 *
 *   ./frames [LINES [MS]]
 */
#include <stdlib.h>
#include <string.h>
#include <verbatim_dialogue.h>

enum { BUCKETS = 16, MOST = 1 << 20 }; /* bucket 0: in time; k: under 2^k us, the last one all the rest */

static const char *const questions[] = {"Where is the treasure?", "What is the news?", "Do you like dragons?",
                                        "Why are you so sad?", "What did you dream last night?", "Will it rain?"};

static const vb_persona man = {.name = "man",
                               .prompt = "A man was asked \"${text}\". He smiled and said, \"",
                               .sampling = {.temperature = 0.9f, .top_k = 40}};

static int by_size(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static void print_bucket(int k, int n, int all)
{
    static const char bar[] = "########################################";
    char label[32];
    snprintf(label, sizeof label, k == 0 ? "in time" : "< %d us", 1 << k);
    printf("%10s %7d  %.*s\n", label, n, (int)(40.0 * n / all + (n > 0)), bar);
}

static void print_histogram(double *over, int n, int64_t tokens, double seconds)
{
    int counts[BUCKETS + 1] = {0};
    for (int i = 0; i < n; i++) {
        int k = 0;
        while (k < BUCKETS && over[i] > (k == 0 ? 0 : 1 << k)) k++;
        counts[k]++;
    }
    for (int k = 0; k <= BUCKETS; k++)
        if (counts[k] > 0) print_bucket(k, counts[k], n);
    qsort(over, (size_t)n, sizeof *over, by_size);
    printf("beyond the deadline: p50 %.0f us, p99 %.0f us, p99.9 %.0f us, most %.0f us\n", over[n / 2], over[n * 99 / 100],
           over[(int)(n * 0.999)], over[n - 1]);
    printf("%lld tokens in %d frames, %.0f tokens/s\n", (long long)tokens, n, (double)tokens / seconds);
}

int main(int argc, char **argv)
{
    int lines = argc > 1 ? atoi(argv[1]) : 500, asked = 0, left = 1, n = 0, code = 1;
    double ms = argc > 2 ? atof(argv[2]) : 2.0, seconds = 0;
    double *over = calloc(MOST, sizeof *over);
    int64_t tokens = 0;
    vb_err err = {0};
    vb_model *model = NULL;
    vb_cast *cast = NULL;
    vb_line line;

    if (over == NULL || vb_model_open(&model, "tales-1m", &(vb_model_opts){.threads = 1}, &err) < 0) goto out;
    if (vb_cast_open(&cast, model, &(vb_cast_opts){.personas = &man, .n_personas = 1}, &err) < 0) goto out;
    for (; (asked < lines || left > 0) && n < MOST; n++) {
        /* The game goes on, and every now and then somebody is asked something. */
        for (int k = 0; k < 16 && asked < lines; k++, asked++) {
            vb_line_request ask = {.key = {.world = 1, .entity = (uint64_t)(asked % 256), .tick = (uint64_t)(asked / 256)},
                                   .text = questions[asked % 6]};
            vb_status status = vb_cast_request(cast, &ask, &err);
            if (status == VB_E_FULL) break;
            if (status < 0) goto out;
        }
        int64_t begin = vb_cast_now(), deadline = begin + (int64_t)(ms * 1e6);
        left = vb_cast_step(cast, 0, deadline, &err);
        int64_t end = vb_cast_now();
        if (left < 0) goto out;
        over[n] = end > deadline ? (double)(end - deadline) / 1000 : 0;
        seconds += (double)(end - begin) / 1e9;
        while (vb_cast_collect(cast, &line)) tokens += line.tokens;
    }
    printf("%d lines, %.1f ms of each frame\n", asked, ms);
    print_histogram(over, n, tokens, seconds);
    code = 0;
out:
    if (code != 0) fprintf(stderr, "frames: %s\n", err.text);
    vb_cast_close(cast), vb_model_close(model);
    free(over);
    return code;
}
