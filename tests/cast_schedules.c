/* cast_schedules.c - whatever a frame loop does, the lines are the same: random schedules, one digest.
 *
 *   cast_schedules MODEL [SCHEDULES] [SEED]
 *
 * A schedule asks for the same lines in an order of its own, with another number of speakers, steps of random numbers of
 * tokens and of random time, cancels and asks again, says some at once, saves and goes on in another cast, which may have
 * another number of speakers, another instruction set and other threads. Of an entity that remembers only the order of ticks
 * stays. The digest covers each line's key, text, end, attempts and tokens, in the order of keys.
 */
#include "tests/random.h"
#include "tests/tally.h"
#include "verbatim_dialogue.h"

#include <string.h>

enum { LINES = 14, MOST_TEXT = 160, STEPS = 20000, CONTEXT = 96, SHARED = 25 };

static const char *const banned[] = {"hello", "and", "llo", "l"};
static const vb_persona personas[] = {
    {.name = "man", .prompt = "A man was asked \"${text}\". He said, \"", .sampling = {.temperature = 0.9f, .top_k = 40},
     .stop = VB_STOP_LENGTH, .max_tokens = 7, .banned = banned, .n_banned = 4},
    {.name = "elder", .prompt = "${memory}\n${place}, ${text}", .sampling = {.temperature = 1, .top_p = 0.95f},
     .stop = VB_STOP_REGEX, .regex = "^(.{3,}?)[^a-z]", .max_tokens = 8, .attempts = 2, .entry = "He said ${line}.",
     .memory_tokens = 30},
    {.name = "bird", .prompt = "The bird", .sampling = {.temperature = 1.5f}, .grammar = "root ::= [a-z ]{2,6} \"!\"",
     .max_tokens = 8},
};
static const vb_fact facts[] = {{"place", "By the river"}};
static const char *const texts[] = {"Where is it?", "", "Who are you, and why?"};

typedef struct {
    char text[MOST_TEXT];
    vb_line line;
    int there;
} spoken;

typedef struct {
    vb_model *model; /* of this schedule */
    vb_cast *cast;
    rng *r;
    spoken lines[LINES];
    int order[LINES], asked; /* which line is asked for next */
} schedule;

__attribute__((noreturn)) static void fatal(const char *why)
{
    fprintf(stderr, "cast_schedules: %s\n", why);
    exit(1);
}

static int below(rng *r, int n)
{
    return (int)(rng_word(r) % (uint32_t)n);
}

static vb_line_request request_of(int i)
{
    int remembers = i % 3 == 1;
    return (vb_line_request){.key = {7, (uint64_t)(remembers ? i / 3 % 2 : i), (uint64_t)(10 + i), 0},
                             .persona = personas[i % 3].name, .text = texts[i % 3]};
}

static int number_of(const vb_line_key *key)
{
    return (int)key->tick - 10;
}

static vb_cast *open_cast(vb_model *m, int speakers)
{
    vb_err err;
    vb_cast *c;
    vb_cast_opts o = {.personas = personas, .n_personas = 3, .facts = facts, .n_facts = 1, .speakers = speakers,
                      .waiting = LINES, .context = CONTEXT};
    if (vb_cast_open(&c, m, &o, &err) < 0) fatal(err.text);
    return c;
}

static void hear(schedule *s, const vb_line *l)
{
    spoken *to = &s->lines[number_of(&l->key)];
    if (l->failed < 0 || l->len >= MOST_TEXT) fatal(l->text);
    memcpy(to->text, l->text, l->len + 1);
    to->line = *l;
    to->there = 1;
}

static void collect(schedule *s)
{
    vb_line l;
    while (vb_cast_collect(s->cast, &l)) hear(s, &l);
}

/* Any order, but that of one entity's ticks where it remembers. */
static void shuffle(schedule *s)
{
    for (int i = 0; i < LINES; i++) s->order[i] = i;
    for (int i = LINES - 1; i > 0; i--) {
        int k = below(s->r, i + 1), swap = s->order[i];
        s->order[i] = s->order[k];
        s->order[k] = swap;
    }
    for (int i = 0; i < LINES; i++)
        for (int k = i + 1; k < LINES; k++)
            if (s->order[i] % 3 == 1 && s->order[k] % 3 == 1 && s->order[k] < s->order[i]) {
                int swap = s->order[i];
                s->order[i] = s->order[k];
                s->order[k] = swap;
            }
}

/* The next line, said at once if it need not wait for others. */
static void ask(schedule *s)
{
    vb_err err;
    vb_line l;
    int i = s->order[s->asked++];
    vb_line_request q = request_of(i);
    if (i % 3 != 1 && below(s->r, 8) == 0) {
        if (vb_cast_say(s->cast, &q, &l, &err) < 0) fatal(err.text);
        hear(s, &l);
    } else if (vb_cast_request(s->cast, &q, &err) < 0) {
        fatal(err.text);
    }
}

/* Lines without a past may be taken back and asked for again. */
static void cancel(schedule *s)
{
    vb_err err;
    int i = s->order[below(s->r, s->asked)];
    vb_line_request q = request_of(i);
    if (i % 3 == 1 || !vb_cast_cancel(s->cast, &q.key)) return;
    if (vb_cast_request(s->cast, &q, &err) < 0) fatal(err.text);
}

static void move(schedule *s)
{
    static uint8_t bytes[1 << 20];
    vb_err err;
    int64_t n = vb_cast_save(s->cast, bytes, sizeof bytes, &err);
    if (n < 0 || n > (int64_t)sizeof bytes) fatal(n < 0 ? err.text : "saved bytes: expected fewer");
    if (below(s->r, 2)) {
        vb_cast_close(s->cast);
        s->cast = open_cast(s->model, 1 + below(s->r, 6));
    }
    if (vb_cast_restore(s->cast, bytes, (size_t)n, &err) < 0) fatal(err.text);
}

static int step(schedule *s)
{
    vb_err err;
    int tokens = below(s->r, 3) ? 0 : 1 + below(s->r, 9), kind = below(s->r, 4);
    int64_t deadline = kind == 0 ? 0 : kind == 1 ? 1 : vb_cast_now() + below(s->r, 200) * 1000;
    int left = vb_cast_step(s->cast, tokens, deadline, &err);
    if (left < 0) fatal(err.text);
    return left;
}

static void run(schedule *s)
{
    int left = 1;
    shuffle(s);
    for (int i = 0; (left > 0 || s->asked < LINES) && i < STEPS; i++) {
        int what = below(s->r, 40);
        if (s->asked < LINES && what < 20) ask(s);
        if (what == 20 && s->asked > 0) cancel(s);
        if (what == 21) move(s);
        left = step(s);
        if (what > 30) collect(s);
    }
    collect(s);
}

static void digest_of(const schedule *s, uint8_t out[16])
{
    vb_digest *d;
    vb_err err;
    if (vb_digest_open(&d, &err) < 0) fatal(err.text);
    for (int i = 0; i < LINES; i++) {
        const vb_line *l = &s->lines[i].line;
        const int numbers[] = {s->lines[i].there, (int)l->end, l->attempts, l->tokens, l->prompt_tokens};
        vb_digest_add(d, &l->key, sizeof l->key);
        vb_digest_add(d, numbers, sizeof numbers);
        vb_digest_add(d, s->lines[i].text, l->len);
    }
    vb_digest_get(d, out);
    vb_digest_close(d);
}

/* One model serves some schedules, each with casts of its own. */
static vb_model *open_model(const char *path, rng *r)
{
    vb_err err;
    vb_model *m;
    vb_machine machine;
    vb_machine_describe(&machine);
    char *isa = machine.isas;
    for (int skip = below(r, 4); skip > 0 && strchr(isa, ' ') != NULL; skip--) isa = strchr(isa, ' ') + 1;
    if (strchr(isa, ' ') != NULL) *strchr(isa, ' ') = 0;
    vb_model_opts o = {.threads = 1 + below(r, 2), .isa = isa};
    if (vb_model_open(&m, path, &o, &err) < 0) fatal(err.text);
    return m;
}

static void show(const schedule *s)
{
    for (int i = 0; i < LINES; i++)
        printf("  %d: %s (end %d, attempts %d, tokens %d)\n", i, s->lines[i].there ? s->lines[i].text : "-- missing",
               s->lines[i].line.end, s->lines[i].line.attempts, s->lines[i].line.tokens);
}

int main(int argc, char **argv)
{
    int n = argc > 2 ? atoi(argv[2]) : 100;
    rng r = {argc > 3 ? strtoull(argv[3], NULL, 10) : 1};
    uint8_t first[16], found[16];
    vb_model *m = NULL;
    if (argc < 2) return fprintf(stderr, "usage: cast_schedules MODEL [SCHEDULES] [SEED]\n"), 2;
    for (int i = 0; i < n; i++) {
        if (i % SHARED == 0) {
            vb_model_close(m);
            m = open_model(argv[1], &r);
        }
        static schedule s;
        memset(&s, 0, sizeof s);
        s.model = m;
        s.r = &r;
        s.cast = open_cast(m, 1 + below(&r, 6));
        run(&s);
        vb_cast_close(s.cast);
        digest_of(&s, i == 0 ? first : found);
        if (i == 0) show(&s);
        if (i == 0 || memcmp(first, found, sizeof first) == 0) passed();
        else failed("schedule %d: other lines", i), show(&s);
        if (tally.failed > 2) break;
    }
    vb_model_close(m);
    return verdict();
}
