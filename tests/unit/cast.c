/* cast.c - lines of a cast: what they follow from, and all that may not be seen in them. */
#include "verbatim_dialogue.h"

#include "base/philox.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const char *const path = "tests/golden/gptneo/model.gguf";
enum { LINES = 24, MOST = 128 };

static vb_model *model;

static void open_model(void)
{
    vb_err err = {0};
    vb_model_opts o = {.threads = 1};
    cr_assert_eq(vb_model_open(&model, path, &o, &err), VB_OK, "%s", err.text);
}

static void close_model(void)
{
    vb_model_close(model);
}

TestSuite(cast, .init = open_model, .fini = close_model);

static const vb_persona plain = {.name = "plain", .prompt = "A man was asked \"${text}\". He said, \"",
                                 .sampling = {.temperature = 0.9f, .top_k = 40}, .stop = VB_STOP_LENGTH, .max_tokens = 12};

static vb_cast *open_cast(const vb_persona *personas, int n, int speakers)
{
    vb_err err = {0};
    vb_cast *c;
    vb_cast_opts o = {.personas = personas, .n_personas = n, .speakers = speakers, .waiting = 64, .context = MOST};
    cr_assert_eq(vb_cast_open(&c, model, &o, &err), VB_OK, "%s", err.text);
    return c;
}

static vb_line_request ask(uint64_t entity, uint64_t tick, const char *text)
{
    return (vb_line_request){.key = {1, entity, tick, 0}, .text = text};
}

typedef struct {
    char text[512];
    vb_line line;
} said;

static said say(vb_cast *c, const vb_line_request *q)
{
    vb_err err = {0};
    said s;
    cr_assert_eq(vb_cast_say(c, q, &s.line, &err), VB_OK, "%s", err.text);
    cr_assert(s.line.len < sizeof s.text);
    memcpy(s.text, s.line.text, s.line.len + 1);
    return s;
}

/* --- keys ----------------------------------------------------------------------------------------------------- */

Test(cast, a_key_is_hashed_as_published)
{
    vb_line_key key = {0x0102030405060708u, 2, 3, 4};
    uint8_t bytes[32] = {8, 7, 6, 5, 4, 3, 2, 1, 2};
    uint64_t seed, stream;
    uint32_t words[3];
    bytes[16] = 3;
    bytes[24] = 4;
    XXH128_hash_t h = XXH3_128bits(bytes, sizeof bytes);
    vb_line_stream(&key, &seed, &stream);
    cr_assert_eq(stream, h.high64);
    cr_assert_eq(seed, h.low64);
    vb_line_words(&key, words, 3);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t k[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, out[4];
        uint32_t counter[4] = {(uint32_t)stream, (uint32_t)(stream >> 32), i, 0};
        vb_philox4x32_10(k, counter, out);
        cr_assert_eq(words[i], out[0]);
    }
    cr_assert_eq(vb_entity_id("anna", 4), XXH3_64bits("anna", 4));
}

/* --- one line ------------------------------------------------------------------------------------------------- */

static int hear(void *ud, const char *text, size_t len)
{
    said *s = ud;
    memcpy(s->text + s->line.len, text, len);
    s->line.len += len;
    s->text[s->line.len] = 0;
    return 0;
}

/* The same by the public parts: tokens of the rendered prompt, and a generation with the key's seed and stream. */
static void same_as_generated(vb_cast *c, const vb_line_request *q, const char *prompt)
{
    vb_token ids[MOST];
    vb_err err = {0};
    vb_session *s;
    vb_session_opts so = {.context = MOST};
    said heard = {.text = ""}, line = say(c, q);
    vb_generation how = {.sampling = plain.sampling, .max_tokens = plain.max_tokens, .on_text = hear, .ud = &heard};
    int held;
    cr_assert_eq(vb_session_open(&s, model, &so, &err), VB_OK, "%s", err.text);
    int64_t n = vb_tokenize(model, prompt, strlen(prompt), VB_ADD_SPECIAL | VB_PARSE_SPECIAL, ids, MOST, &err);
    vb_line_stream(&q->key, &how.sampling.seed, &how.sampling.stream);
    cr_assert_eq(vb_session_sync(s, ids, (int)n, &err), VB_OK);
    cr_assert_eq(vb_generate(s, &how, NULL, &err), VB_OK, "%s", err.text);
    const char *found = strstr(heard.text, line.text);
    vb_session_tokens(s, &held);
    cr_assert_eq(line.line.prompt_tokens, (int)n);
    cr_assert_eq(line.line.tokens, held - (int)n);
    cr_assert(found != NULL && line.line.len + 4 > heard.line.len, "%s: expected \"%s\", found \"%s\"", prompt, heard.text,
              line.text);
    vb_session_close(s);
}

Test(cast, a_line_is_what_generate_says)
{
    vb_cast *c = open_cast(&plain, 1, 2);
    for (uint64_t tick = 0; tick < 6; tick++) {
        vb_line_request q = ask(7, tick, "Where is it?");
        same_as_generated(c, &q, "A man was asked \"Where is it?\". He said, \"");
    }
    vb_cast_close(c);
}

/* A word that goes on behind the beginning is split otherwise: what all prompts share is less than the beginning. */
Test(cast, a_beginning_ends_where_its_tokens_do)
{
    static const char *const ends[] = {"llo world", "lp!", "", "the"};
    vb_persona p = plain;
    p.prompt = "and hello he${text}";
    vb_cast *c = open_cast(&p, 1, 2);
    for (uint64_t tick = 0; tick < 4; tick++) {
        char prompt[64];
        vb_line_request q = ask(7, tick, ends[tick]);
        snprintf(prompt, sizeof prompt, "and hello he%s", ends[tick]);
        same_as_generated(c, &q, prompt);
    }
    vb_cast_close(c);
}

/* --- many lines ----------------------------------------------------------------------------------------------- */

static const char *const texts[] = {"Where is the treasure?", "Who are you?", "", "Is it far to the old mill by the river?"};

static void request_all(vb_cast *c, int from, int to)
{
    vb_err err = {0};
    for (int i = from; i < to; i++) {
        vb_line_request q = ask((uint64_t)(i % 5), (uint64_t)(i / 5), texts[i % 4]);
        cr_assert_eq(vb_cast_request(c, &q, &err), VB_OK, "%s", err.text);
    }
}

/* Each collected line is what vb_cast_say makes of its request. */
static int collect_all(vb_cast *c, vb_cast *alone)
{
    vb_line line;
    int n = 0;
    for (; vb_cast_collect(c, &line) == 1; n++) {
        char text[512];
        cr_assert(line.len < sizeof text);
        memcpy(text, line.text, line.len + 1);
        cr_assert_eq(line.failed, 0, "%s", text);
        vb_line_request q = ask(line.key.entity, line.key.tick, texts[(line.key.entity + 5 * line.key.tick) % 4]);
        said one = say(alone, &q);
        cr_assert_str_eq(text, one.text);
        cr_assert_eq(line.end, one.line.end);
        cr_assert_eq(line.attempts, one.line.attempts);
        cr_assert_eq(line.tokens, one.line.tokens);
        cr_assert_eq(line.prompt_tokens, one.line.prompt_tokens);
    }
    return n;
}

Test(cast, together_they_say_what_each_says_alone)
{
    vb_cast *alone = open_cast(&plain, 1, 1);
    for (int speakers = 1; speakers <= 9; speakers += 4) {
        vb_cast *c = open_cast(&plain, 1, speakers);
        request_all(c, 0, LINES);
        cr_assert_eq(vb_cast_step(c, 0, 0, NULL), 0);
        cr_assert_eq(collect_all(c, alone), LINES);
        request_all(c, 0, LINES);
        int left = LINES, calls = 0;
        while (left > 0) {
            left = vb_cast_step(c, 1 + calls % 7, calls % 3 == 0 ? 1 : vb_cast_now() + 20000 * (calls % 5), NULL);
            cr_assert(left >= 0 && calls++ < 100000);
        }
        cr_assert_eq(collect_all(c, alone), LINES);
        vb_cast_close(c);
    }
    vb_cast_close(alone);
}

Test(cast, a_step_stops_after_so_many_tokens)
{
    vb_cast *c = open_cast(&plain, 1, 4);
    vb_line line;
    int tokens = 0, steps = 0;
    request_all(c, 0, 8);
    while (vb_cast_step(c, 1, 0, NULL) > 0) steps++;
    while (vb_cast_collect(c, &line)) tokens += line.tokens;
    cr_assert_eq(tokens, steps + 1);
    vb_cast_close(c);
}

/* However late it is, something is done; and no more than one step of an evaluation. */
Test(cast, a_step_that_is_late_goes_on_a_little)
{
    vb_cast *c = open_cast(&plain, 1, 4);
    vb_line line;
    int calls = 0;
    request_all(c, 0, 1);
    for (int left = 1; left > 0; calls++) {
        left = vb_cast_step(c, 0, 1, NULL);
        cr_assert(calls < 100000);
    }
    cr_assert_eq(vb_cast_collect(c, &line), 1);
    cr_assert(calls > 10 * line.tokens, "%d calls for %d tokens", calls, line.tokens);
    vb_cast_close(c);
}

Test(cast, what_is_cancelled_is_gone_and_may_be_asked_for_again)
{
    vb_cast *alone = open_cast(&plain, 1, 1), *c = open_cast(&plain, 1, 3);
    vb_err err = {0};
    request_all(c, 0, 12);
    vb_cast_step(c, 5, 0, NULL);
    for (int i = 0; i < 12; i += 2) {
        vb_line_key key = ask((uint64_t)(i % 5), (uint64_t)(i / 5), NULL).key;
        cr_assert_eq(vb_cast_cancel(c, &key), 1);
        cr_assert_eq(vb_cast_cancel(c, &key), 0);
    }
    for (int i = 0; i < 12; i += 2) request_all(c, i, i + 1);
    vb_line_request again = ask(1, 0, "x");
    cr_assert_eq(vb_cast_request(c, &again, &err), VB_E_ARGUMENT, "%s", err.text);
    cr_assert_eq(vb_cast_step(c, 0, 0, NULL), 0);
    cr_assert_eq(collect_all(c, alone), 12);
    vb_cast_close(c);
    vb_cast_close(alone);
}

Test(cast, a_saved_cast_goes_on_elsewhere)
{
    vb_cast *alone = open_cast(&plain, 1, 1), *c = open_cast(&plain, 1, 3), *d = open_cast(&plain, 1, 5);
    vb_err err = {0};
    request_all(c, 0, 12);
    for (int steps = 0; steps < 20; steps++) {
        cr_assert(vb_cast_step(c, 7, 1, &err) >= 0);
        int64_t n = vb_cast_save(c, NULL, 0, &err);
        cr_assert(n > 0, "%s", err.text);
        uint8_t *bytes = malloc((size_t)n);
        cr_assert_eq(vb_cast_save(c, bytes, (size_t)n, &err), n);
        cr_assert_eq(vb_cast_restore(d, bytes, (size_t)n, &err), VB_OK, "%s", err.text);
        vb_cast *swap = c;
        c = d;
        d = swap;
        free(bytes);
    }
    cr_assert_eq(vb_cast_step(c, 0, 0, NULL), 0);
    cr_assert_eq(collect_all(c, alone), 12);
    vb_cast_close(c);
    vb_cast_close(d);
    vb_cast_close(alone);
}

/* --- what a saved cast may not be ------------------------------------------------------------------------------- */

static uint8_t *saved(vb_cast *c, size_t *len)
{
    int64_t n = vb_cast_save(c, NULL, 0, NULL);
    uint8_t *bytes = malloc((size_t)n);
    *len = (size_t)n;
    cr_assert_eq(vb_cast_save(c, bytes, *len, NULL), n);
    return bytes;
}

/* The check fits again, so that what stands behind it is looked at. */
static void seal(uint8_t *bytes, size_t len)
{
    XXH128_canonical_t sum;
    XXH128_canonicalFromHash(&sum, XXH3_128bits(bytes, len - 16));
    memcpy(bytes + len - 16, &sum, 16);
}

Test(cast, damage_is_refused_at_every_byte)
{
    vb_cast *c = open_cast(&plain, 1, 3), *d = open_cast(&plain, 1, 3);
    vb_err err;
    size_t len, again;
    request_all(c, 0, 6);
    vb_cast_step(c, 30, 0, NULL);
    uint8_t *bytes = saved(c, &len);
    cr_assert_eq(vb_cast_restore(d, bytes, len, &err), VB_OK);
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= (uint8_t)(1 + i % 255);
        err.code = VB_OK;
        cr_assert(vb_cast_restore(d, bytes, len, &err) < 0, "byte %zu", i);
        cr_assert(strstr(err.text, "saved cast: byte ") != NULL, "byte %zu: %s", i, err.text);
        bytes[i] ^= (uint8_t)(1 + i % 255);
    }
    for (size_t n = 0; n < len; n++) cr_assert(vb_cast_restore(d, bytes, n, &err) < 0, "%zu bytes", n);
    uint8_t *same = saved(d, &again);
    cr_assert_eq(again, len, "damage must leave the cast as it was");
    cr_assert_eq(memcmp(same, bytes, len), 0);
    free(same);
    free(bytes);
    vb_cast_close(c);
    vb_cast_close(d);
}

/* Whoever makes a check that fits gets an error or a cast that speaks, never a crash. Not every byte where all is slow. */
#ifdef __SANITIZE_ADDRESS__
enum { FORGED_EVERY = 7 };
#else
enum { FORGED_EVERY = 1 };
#endif

Test(cast, forged_bytes_do_no_harm)
{
    vb_cast *c = open_cast(&plain, 1, 3), *d = open_cast(&plain, 1, 3);
    vb_line line;
    size_t len;
    int refused = 0;
    request_all(c, 0, 6);
    vb_cast_step(c, 30, 0, NULL);
    uint8_t *bytes = saved(c, &len);
    for (size_t i = 8; i + 16 < len; i += FORGED_EVERY) {
        uint8_t was = bytes[i];
        bytes[i] = i % 3 == 0 ? 0xff : (uint8_t)(was + 1);
        seal(bytes, len);
        if (vb_cast_restore(d, bytes, len, NULL) < 0) refused++;
        cr_assert_eq(vb_cast_step(d, 0, 0, NULL), 0);
        while (vb_cast_collect(d, &line)) continue;
        bytes[i] = was;
    }
    cr_assert(refused > 50 / FORGED_EVERY);
    free(bytes);
    vb_cast_close(c);
    vb_cast_close(d);
}

Test(cast, another_cast_is_refused)
{
    vb_persona other = plain;
    vb_err err;
    size_t len;
    other.sampling.top_k = 41;
    vb_cast *c = open_cast(&plain, 1, 3), *d = open_cast(&other, 1, 3);
    uint8_t *bytes = saved(c, &len);
    cr_assert_eq(vb_cast_restore(d, bytes, len, &err), VB_E_DIFFERS);
    free(bytes);
    vb_cast_close(c);
    vb_cast_close(d);
}

/* --- what does not fit ------------------------------------------------------------------------------------------ */

Test(cast, a_banned_word_costs_an_attempt_with_a_stream_of_its_own)
{
    vb_persona p = plain;
    vb_cast *free_ = open_cast(&plain, 1, 1);
    vb_line_request q = ask(3, 4, "Who?");
    said first = say(free_, &q);
    char word[64] = "";
    sscanf(first.text, "%*[^a-zA-Z]%63[a-zA-Z]", word);
    if (word[0] == 0) sscanf(first.text, "%63[a-zA-Z]", word);
    cr_assert(word[0] != 0, "\"%s\"", first.text);
    const char *banned[] = {word};
    p.banned = banned;
    p.n_banned = 1;
    p.attempts = 9;
    vb_cast *c = open_cast(&p, 1, 1);
    said next = say(c, &q);
    cr_assert(next.line.attempts > 1);
    q.key.draw = (uint64_t)(next.line.attempts - 1) << 32;
    cr_assert_str_eq(say(free_, &q).text, next.text);
    vb_cast_close(c);
    vb_cast_close(free_);
}

Test(cast, when_nothing_fits_the_fallback_is_said)
{
    vb_persona p = plain;
    p.stop = VB_STOP_REGEX;
    p.regex = "never, ever";
    p.fallback = "Hm.";
    p.attempts = 2;
    vb_cast *c = open_cast(&p, 1, 1);
    vb_line_request q = ask(3, 4, "Who?");
    said s = say(c, &q);
    cr_assert_str_eq(s.text, "Hm.");
    cr_assert_eq(s.line.end, VB_LINE_FALLBACK);
    cr_assert_eq(s.line.attempts, 2);
    vb_cast_close(c);
}

Test(cast, a_grammar_holds_the_whole_line)
{
    vb_persona p = plain;
    p.grammar = "root ::= \"yes\" | \"no\" | \"\\\"maybe\\\"\"";
    vb_cast *c = open_cast(&p, 1, 2);
    for (uint64_t tick = 0; tick < 20; tick++) {
        vb_line_request q = ask(3, tick, "Is it?");
        said s = say(c, &q);
        cr_assert(strcmp(s.text, "yes") == 0 || strcmp(s.text, "no") == 0 || strcmp(s.text, "\"maybe\"") == 0, "%s", s.text);
        cr_assert_eq(s.line.end, VB_LINE_HELD);
    }
    vb_cast_close(c);
}

/* --- memory ------------------------------------------------------------------------------------------------------ */

static const vb_persona rememberer = {.name = "elder", .prompt = "${memory}\nQ: ${text}\nA:", .stop = VB_STOP_LENGTH,
                                      .sampling = {.temperature = 0.9f, .top_k = 40}, .max_tokens = 6,
                                      .entry = "I said ${line}.", .memory_tokens = 40};

/* Lines of later ticks wait, whatever there is room for; a say that would have to wait is refused. */
Test(cast, who_remembers_waits_for_what_it_said)
{
    vb_cast *c = open_cast(&rememberer, 1, 4), *alone = open_cast(&rememberer, 1, 4);
    vb_err err;
    vb_line line;
    char texts_said[4][128];
    for (uint64_t tick = 0; tick < 4; tick++) {
        vb_line_request q = ask(1, tick, "What?");
        said s = say(alone, &q);
        memcpy(texts_said[tick], s.text, s.line.len + 1);
        cr_assert_eq(vb_cast_request(c, &q, &err), VB_OK, "%s", err.text);
    }
    vb_line_request late = ask(1, 5, "What?"), early = ask(1, 1, "?");
    cr_assert_eq(vb_cast_say(c, &late, &line, &err), VB_E_ARGUMENT);
    cr_assert(strstr(err.text, "finished") != NULL, "%s", err.text);
    early.key.draw = 1;
    cr_assert_eq(vb_cast_request(c, &early, &err), VB_E_ARGUMENT, "an earlier tick");
    cr_assert_eq(vb_cast_remember(c, 1, 2, "x", 1, &err), VB_E_ARGUMENT, "an earlier tick");
    while (vb_cast_step(c, 3, 0, &err) > 0) continue;
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(vb_cast_collect(c, &line), 1);
        cr_assert_eq((int)line.key.tick, i);
        cr_assert_eq(line.failed, 0, "%s", line.text);
        cr_assert_str_eq(line.text, texts_said[i]);
    }
    vb_cast_close(c);
    vb_cast_close(alone);
}

Test(cast, what_is_heard_is_seen_until_it_is_forgotten)
{
    vb_cast *c = open_cast(&rememberer, 1, 1);
    vb_err err;
    vb_line_request q = ask(9, 5, "What?");
    int without = say(c, &q).line.prompt_tokens;
    vb_cast_forget(c, 9);
    cr_assert_eq(vb_cast_remember(c, 9, 3, "The bell rang.", 14, &err), VB_OK, "%s", err.text);
    cr_assert(say(c, &q).line.prompt_tokens > without);
    vb_cast_forget(c, 9);
    cr_assert_eq(say(c, &q).line.prompt_tokens, without);
    vb_cast_close(c);
}

/* Nothing is remembered at first, so that there is nothing to evaluate; later there is. */
Test(cast, a_prompt_may_be_memory_alone)
{
    vb_persona p = rememberer;
    p.prompt = "${memory}";
    vb_cast *c = open_cast(&p, 1, 1);
    vb_err err;
    vb_line line;
    vb_line_request q = ask(9, 5, "What?");
    cr_assert_eq(vb_cast_say(c, &q, &line, &err), VB_E_ARGUMENT);
    cr_assert(strstr(err.text, "expected tokens") != NULL, "%s", err.text);
    cr_assert_eq(vb_cast_remember(c, 9, 5, "The bell rang.", 14, &err), VB_OK, "%s", err.text);
    q.key.tick = 6;
    cr_assert(say(c, &q).line.prompt_tokens > 0);
    vb_cast_close(c);
}

/* --- what is asked for wrongly ------------------------------------------------------------------------------------ */

static void refused(vb_cast *c, const vb_line_request *q, vb_status expected)
{
    vb_err err = {0};
    cr_assert_eq(vb_cast_request(c, q, &err), expected, "%s", err.text);
    cr_assert(err.text[0] != 0);
}

Test(cast, requests_that_cannot_be_spoken)
{
    static char much[8192];
    vb_cast *c = open_cast(&plain, 1, 2);
    vb_line_request q = ask(1, 1, "x");
    vb_fact fact = {"text", "y"};
    memset(much, 'q', sizeof much - 1);
    q.persona = "nobody";
    refused(c, &q, VB_E_NOT_FOUND);
    q.persona = NULL;
    q.text = much;
    refused(c, &q, VB_E_FULL);
    much[1500] = 0;
    refused(c, &q, VB_E_FULL);
    q.text = "x";
    q.facts = &fact;
    q.n_facts = 1;
    refused(c, &q, VB_E_ARGUMENT);
    q.n_facts = 0;
    for (uint64_t i = 0; i < 64; i++) {
        q.key.tick = i;
        cr_assert_eq(vb_cast_request(c, &q, NULL), VB_OK);
    }
    q.key.tick = 64;
    refused(c, &q, VB_E_FULL);
    vb_cast_close(c);
}

Test(cast, casts_that_cannot_be_opened)
{
    vb_persona p[2] = {plain, plain};
    vb_err err;
    vb_cast *c;
    vb_cast_opts o = {.personas = p, .n_personas = 2, .context = MOST};
    cr_assert_eq(vb_cast_open(&c, model, &o, &err), VB_E_ARGUMENT);
    cr_assert_null(c);
    cr_assert(strstr(err.text, "twice") != NULL, "%s", err.text);
    o.n_personas = 1;
    p[0].prompt = "${nobody}";
    cr_assert_eq(vb_cast_open(&c, model, &o, &err), VB_OK, "facts of requests may fill it");
    vb_line_request q = ask(1, 1, "x");
    refused(c, &q, VB_E_NOT_FOUND);
    vb_cast_close(c);
    p[0].prompt = "${recalled}";
    cr_assert_eq(vb_cast_open(&c, model, &o, &err), VB_E_ARGUMENT);
    p[0] = plain;
    p[0].sampling.top_p = 2;
    cr_assert_eq(vb_cast_open(&c, model, &o, &err), VB_E_ARGUMENT);
    p[0] = plain;
    p[0].max_tokens = MOST;
    cr_assert_eq(vb_cast_open(&c, model, &o, &err), VB_E_ARGUMENT);
    p[0] = rememberer;
    p[0].memory_tokens = MOST - p[0].max_tokens;
    cr_assert_eq(vb_cast_open(&c, model, &o, &err), VB_E_ARGUMENT, "a memory that leaves no room");
    cr_assert(strstr(err.text, "memory_tokens") != NULL, "%s", err.text);
    p[0] = plain;
    o.context = 1 << 25;
    cr_assert_eq(vb_cast_bytes(model, &o, &err), 0);
}

/* --- tables ------------------------------------------------------------------------------------------------------- */

/* What was baked is answered from the table, and nothing else is; half of it may be asked for in a saved game. */
Test(cast, what_was_baked_is_not_spoken_again)
{
    char name[] = "/tmp/vb-cast-XXXXXX", said_first[6][128];
    vb_persona both[2] = {plain, rememberer};
    vb_cast_opts o = {.personas = both, .n_personas = 2, .speakers = 2, .waiting = 64, .context = MOST, .table = name};
    vb_err err = {0};
    vb_line line;
    size_t len;
    cr_assert(mkstemp(name) >= 0);
    vb_cast *c = open_cast(both, 2, 2);
    cr_assert_eq(vb_cast_bake(c, &err), VB_OK, "%s", err.text);
    for (uint64_t i = 0; i < 6; i++) {
        vb_line_request q = ask(1, i, "Why?");
        q.persona = both[i % 2].name;
        said s = say(c, &q);
        memcpy(said_first[i], s.text, s.line.len + 1);
    }
    cr_assert_eq(vb_cast_bake_end(c, name, &err), VB_OK, "%s", err.text);
    vb_cast_close(c);
    cr_assert_eq(vb_cast_open(&c, model, &o, &err), VB_OK, "%s", err.text);
    for (uint64_t i = 0; i < 7; i++) {
        vb_line_request q = ask(1, i, "Why?");
        q.persona = both[i % 2].name;
        cr_assert_eq(vb_cast_request(c, &q, &err), VB_OK, "%s", err.text);
    }
    vb_cast_step(c, 2, 0, &err);
    uint8_t *bytes = saved(c, &len);
    cr_assert_eq(vb_cast_restore(c, bytes, len, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_cast_step(c, 0, 0, &err), 0);
    for (int n = 0; n < 7; n++) {
        cr_assert_eq(vb_cast_collect(c, &line), 1);
        cr_assert_eq(line.baked, line.key.tick < 6, "tick %d", (int)line.key.tick);
        if (line.key.tick < 6) cr_assert_str_eq(line.text, said_first[line.key.tick]);
    }
    free(bytes);
    vb_cast_close(c);
    remove(name);
}
