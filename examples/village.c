/* village.c - twenty people, one day in sixty ticks, and what they say to each other. The seed decides all of it.
 *
 *   each tick   everybody goes somewhere; who meets somebody asks something, or passes on what he heard last
 *               the other answers as who he is, by what he remembers, in this weather; both remember it
 *
 *   ./village [SEED]        one seed, one digest, on any machine
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <verbatim_dialogue.h>

enum { PEOPLE = 20, TICKS = 60, PLACES = 7, QUESTIONS = 13, TEXT = 200 };

static const struct {
    const char *name, *job, *he, *does;
} people[PEOPLE] = {
    {"Anna", "baker", "She", "laughed"},         {"Otto", "miller", "He", "nodded slowly"},
    {"Hugo", "blacksmith", "He", "frowned"},     {"Martha", "innkeeper", "She", "smiled warmly"},
    {"Felix", "bard", "He", "grinned"},          {"Ruth", "healer", "She", "thought for a moment"},
    {"Walter", "guard", "He", "sighed"},         {"Greta", "witch", "She", "looked at the moon"},
    {"Milo", "boy", "He", "laughed out loud"},   {"Ivy", "girl", "She", "giggled"},
    {"Simon", "monk", "He", "looked at the sky"}, {"Clara", "weaver", "She", "smiled softly"},
    {"Boris", "fisherman", "He", "looked away"}, {"Edith", "widow", "She", "wiped away a tear"},
    {"Oscar", "merchant", "He", "chuckled"},     {"Nora", "shepherd", "She", "turned red"},
    {"Theo", "clockmaker", "He", "gasped"},      {"Olga", "milkmaid", "She", "clapped"},
    {"Arthur", "gravedigger", "He", "nodded"},   {"Lucy", "teacher", "She", "took a deep breath"}};
static const char *const places[PLACES] = {"market", "mill", "inn", "church", "harbor", "bridge", "well"};
static const char *const weather[] = {"The fog is thick.", "The morning is gray.", "The sun is warm.",
                                      "The wind comes from the north.", "It will rain before night.", "The moon is full."};
static const char *const questions[QUESTIONS] = {
    "What is the news?", "What are you doing?", "Where are you going?", "Are you happy?", "What do you fear?",
    "Will it rain?", "Do you love me?", "Tell me a secret.", "What did you dream last night?", "Where is the treasure?",
    "Are you hungry?", "Do you believe in ghosts?", "What do you want?"};
static const vb_persona villager = {
    .name = "villager",
    .prompt = "${memory} ${weather} ${name} the ${job} was asked by the ${other}, \"${text}\" ${he} ${does} and said, \"",
    .sampling = {.temperature = 0.6f, .top_k = 40},
    .entry = "${name} the ${job} said, \"${line}\"",
    .memory_tokens = 48,
};

typedef struct {
    int asks, says, place;
    char question[TEXT + 20], answer[TEXT];
} meeting;

static int width = 80, colours; /* of the terminal */

static void look_at_terminal(void)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return;
    if (size.ws_col > 20) width = size.ws_col;
    colours = getenv("NO_COLOR") == NULL;
}

/* Coloured text, and back. */
static void print_in(int colour, const char *text)
{
    if (colours) printf("\033[%dm%s\033[0m", colour, text);
    else fputs(text, stdout);
}

/* "Anna the baker: ..." in as many lines as the width makes of it. */
static void print_speech(int who, const char *text)
{
    char speaker[32];
    int at = 7 + snprintf(speaker, sizeof speaker, "%s the %s:", people[who].name, people[who].job);
    printf("%7s", "");
    print_in(31 + who % 6, speaker);
    for (size_t word; *text != '\0'; text += word + (text[word] != '\0')) {
        word = strcspn(text, " ");
        int fits = at + 1 + (int)word <= width;
        if (!fits) printf("\n%9s", "");
        at = (fits ? at : 9) + printf(" %.*s", (int)word, text);
    }
    putchar('\n');
}

/* Who meets whom. Chance, too, is a function of the seed, the person and the tick. */
static int meet(uint64_t seed, int tick, char heard[PEOPLE][TEXT], meeting *out)
{
    int n = 0, waits[PLACES] = {-1, -1, -1, -1, -1, -1, -1};
    for (int i = 0; i < PEOPLE; i++) {
        uint32_t chance[3];
        vb_line_words(&(vb_line_key){seed, (uint64_t)i, (uint64_t)tick, UINT64_MAX}, chance, 3);
        int place = (int)(chance[0] % (3 * PLACES)), other = place < PLACES ? waits[place] : -1; /* the others are at home */
        if (place < PLACES) waits[place] = other < 0 ? i : -1;
        if (other < 0) continue;
        out[n] = (meeting){.asks = i, .says = other, .place = place};
        if (heard[i][0] == '\0' || chance[1] % 3 > 0) strcpy(out[n].question, questions[chance[2] % QUESTIONS]);
        else snprintf(out[n].question, sizeof out[n].question, "Have you heard? %.*s", TEXT - 1, heard[i]);
        n++;
    }
    return n;
}

/* All answers of a tick are spoken together; which one is finished first has no part in anything. */
static vb_status speak(vb_cast *cast, uint64_t seed, int tick, meeting *m, int n, vb_digest *digest, vb_err *err)
{
    vb_line line;
    vb_status status = VB_OK;
    for (int i = 0; i < n && status == VB_OK; i++) {
        const int who = m[i].says;
        const vb_fact facts[] = {{"weather", weather[tick / 10]}, {"name", people[who].name}, {"job", people[who].job},
                                 {"he", people[who].he}, {"does", people[who].does}, {"other", people[m[i].asks].job}};
        vb_line_request ask = {{seed, (uint64_t)who, (uint64_t)tick, 0}, NULL, m[i].question, facts, 6};
        status = vb_cast_request(cast, &ask, err);
    }
    while (status == VB_OK && (status = (vb_status)vb_cast_step(cast, 0, 0, err)) > 0) status = VB_OK;
    while (status == VB_OK && vb_cast_collect(cast, &line)) {
        int comma = line.len > 0 && line.text[line.len - 1] == ','; /* I am hungry," said the miller. */
        for (int i = 0; i < n; i++)
            if (m[i].says == (int)line.key.entity)
                snprintf(m[i].answer, TEXT, "%.*s%s", (int)line.len - comma, line.text, comma ? "." : "");
        status = line.failed;
    }
    for (int i = 0; i < n && status == VB_OK; i++) {
        char entry[TEXT + 64];
        int len = snprintf(entry, sizeof entry, "%s the %s said, \"%s\"", people[m[i].says].name, people[m[i].says].job, m[i].answer);
        vb_digest_add(digest, entry, (size_t)len);
        status = vb_cast_remember(cast, (uint64_t)m[i].asks, (uint64_t)tick, entry, (size_t)len, err);
    }
    return status;
}

int main(int argc, char **argv)
{
    static char heard[PEOPLE][TEXT];
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 7;
    uint8_t sum[16];
    vb_err err = {0};
    vb_model *model = NULL;
    vb_cast *cast = NULL;
    vb_digest *digest = NULL;
    vb_cast_opts opts = {.personas = &villager, .n_personas = 1};

    look_at_terminal();
    if (vb_model_open(&model, "tales-1m", NULL, &err) < 0 || vb_cast_open(&cast, model, &opts, &err) < 0) goto out;
    if (vb_digest_open(&digest, &err) < 0) goto out;
    for (int tick = 0; tick < TICKS; tick++) {
        meeting met[PLACES * 2];
        int n = meet(seed, tick, heard, met);
        if (tick % 10 == 0) printf("\n%7s%s\n", "", weather[tick / 10]);
        if (speak(cast, seed, tick, met, n, digest, &err) < 0) goto out;
        for (int i = 0; i < n; i++) {
            char where[32];
            snprintf(where, sizeof where, "%02d:%02d  at the %s", 6 + tick / 4, tick % 4 * 15, places[met[i].place]);
            print_in(2, where);
            putchar('\n');
            print_speech(met[i].asks, met[i].question);
            print_speech(met[i].says, met[i].answer);
            strcpy(heard[met[i].asks], met[i].answer);
        }
    }
    vb_digest_get(digest, sum);
    printf("\nthe day of seed %llu: ", (unsigned long long)seed);
    for (int i = 0; i < 16; i++) printf("%02x", sum[i]);
    putchar('\n');
out:
    if (err.code) fprintf(stderr, "village: %s\n", err.text);
    vb_digest_close(digest), vb_cast_close(cast), vb_model_close(model);
    return err.code ? 1 : 0;
}
