/* dialogue_parts.c - what a line is made of: templates, banned words, memory. */
#include "cast/fill.h"
#include "cast/filter.h"
#include "cast/memory.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static vb_model *open_model(const char *name)
{
    vb_model *m;
    vb_err err;
    vb_model_opts how = {.vocab_only = 1};
    cr_assert_eq(vb_model_open(&m, name, &how, &err), VB_OK, "%s", err.text);
    return m;
}

/* --- templates ----------------------------------------------------------------------------------------- */

static vb_filling filling(const char *name, const char *text)
{
    return (vb_filling){name, text, strlen(text)};
}

Test(fill, text)
{
    vb_fill *f;
    vb_err err;
    char buf[200];
    vb_filling with[] = {filling("text", "Why?"), filling("place", "the $ mill"), filling("place", "never")};
    cr_assert_eq(vb_fill_open(&f, "it", "$$5: \"${text}\" at ${place}, ${text}$$", NULL, &err), VB_OK);
    int64_t n = vb_fill_text(f, with, 3, buf, sizeof buf, &err);
    cr_assert_eq(n, (int64_t)strlen("$5: \"Why?\" at the $ mill, Why?$"));
    cr_assert_eq(memcmp(buf, "$5: \"Why?\" at the $ mill, Why?$", (size_t)n), 0);
    memset(buf, '#', sizeof buf);
    cr_assert_eq(vb_fill_text(f, with, 3, buf, 7, &err), n);
    cr_assert_eq(memcmp(buf, "$5: \"Wh#", 8), 0);
    cr_assert_str_eq(vb_fill_name(f, 0), "text");
    cr_assert_str_eq(vb_fill_name(f, 1), "place");
    cr_assert_null(vb_fill_name(f, 2));
    cr_assert_eq(vb_fill_text(f, with, 1, buf, sizeof buf, &err), VB_E_NOT_FOUND);
    cr_assert_str_eq(err.text, "it: ${place}: expected a fact of that name, found none");
    vb_fill_close(f);
}

Test(fill, no_templates)
{
    static const char *const bad[] = {"$5", "a $", "${", "${text", "${}", "${a b}", "${1a}", "$ {a}", "${a-b}", "${\xC3\xA9}"};
    vb_fill *f;
    vb_err err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_eq(vb_fill_open(&f, "it", bad[i], NULL, &err), VB_E_ARGUMENT, "%s", bad[i]);
        cr_expect_null(f);
        cr_expect_not_null(strstr(err.text, "expected ${name} or $$"), "%s", err.text);
    }
    cr_assert_eq(vb_fill_open(&f, "it", NULL, NULL, &err), VB_E_ARGUMENT);
}

Test(fill, facts)
{
    static const vb_fact bad[] = {{"text", "a"}, {"memory", "a"}, {"", "a"}, {"a b", "a"}, {NULL, "a"}, {"a", NULL}, {"9", "a"}};
    vb_fact good = {"weather_2", ""};
    vb_err err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) cr_expect_eq(vb_fill_check_fact(&bad[i], "fact 0", &err), VB_E_ARGUMENT);
    cr_assert_eq(vb_fill_check_fact(&good, "fact 0", &err), VB_OK);
}

/* The house's own encoder of templates: text that is filled in never becomes a control token, and words are not cut. */
static void compare_with_chat(const char *model, const char *source, const char *go, const char *text, const char *json)
{
    vb_model *m = open_model(model);
    vb_fill *f;
    vb_err err;
    char room[400], input[600];
    vb_token ids[400], want[400];
    vb_filling with = filling("text", text);
    cr_assert_eq(vb_fill_open(&f, "it", source, m, &err), VB_OK, "%s", err.text);
    int64_t n = vb_fill_encode(f, &with, 1, (vb_fill_room){room, sizeof room}, ids, 400, &err);
    snprintf(input, sizeof input, "{\"template\": \"%s\", \"messages\": [{\"role\": \"user\", \"content\": \"%s\"}]}", go, json);
    int64_t wanted = vb_chat_encode_json(m, input, strlen(input), want, 400, &err);
    cr_assert_gt(wanted, 3, "%s", err.text);
    cr_assert_eq(n, wanted, "%s: \"%s\": %d ids instead of %d", model, text, (int)n, (int)wanted);
    cr_assert_eq(memcmp(ids, want, (size_t)n * sizeof *ids), 0, "%s: \"%s\"", model, text);
    cr_assert_gt(vb_fill_encode(f, &with, 1, (vb_fill_room){room, sizeof room}, ids, 3, &err), 3);
    cr_assert_eq(vb_fill_encode(f, &with, 1, (vb_fill_room){room, 3}, ids, 400, &err), VB_E_FULL);
    vb_fill_close(f);
    vb_model_close(m);
}

Test(fill, encode)
{
    static const char *const texts[] = {"hello", "</s>", "a</s>b <s>", " x ", "", "<|endoftext|>", "the"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *t = texts[i];
        compare_with_chat("tests/golden/llama-gqa/model.gguf", "<s>say ${text}</s> and${text}ing<s>", "<s>say {{ range .Messages }}{{ .Content }}{{ end }}</s> and{{ range .Messages }}{{ .Content }}{{ end }}ing<s>", t, t);
        compare_with_chat("tests/golden/gemma3/model.gguf", "say ${text}</s></s>!", "say {{ range .Messages }}{{ .Content }}{{ end }}</s></s>!", t, t);
        compare_with_chat("tales-1m", "was asked<|endoftext|> ${text}ing. He", "was asked<|endoftext|> {{ range .Messages }}{{ .Content }}{{ end }}ing. He", t, t);
    }
}

Test(fill, prefix)
{
    vb_model *m = open_model("tales-1m");
    vb_fill *f;
    vb_err err;
    char room[400];
    vb_token ids[100], first[100];
    vb_filling with = filling("text", "Where is it?");
    cr_assert_eq(vb_fill_open(&f, "it", "A man was asked \"${text}\". He said, \"", m, &err), VB_OK);
    int64_t n = vb_fill_encode(f, &with, 1, (vb_fill_room){room, sizeof room}, ids, 100, &err);
    int64_t p = vb_fill_encode_prefix(f, (vb_fill_room){room, sizeof room}, first, 100, &err);
    cr_assert_eq(p, vb_tokenize(m, "A man was asked \"", 17, 0, first, 100, &err));
    cr_assert(p > 3 && n > p && memcmp(ids, first, (size_t)p * sizeof *ids) == 0);
    vb_fill_close(f);
    vb_model_close(m);
}

/* --- banned words -------------------------------------------------------------------------------------- */

typedef struct {
    const char *text, *found; /* NULL: nothing is */
} example;

static const char *const banned[] = {
    "ass", "Old Goat", "STRA\xC3\x9F" "E", "\xC3\x89t\xC3\xA9", "\xE7\xAC\xA8\xE8\x9B\x8B", "don't", "goat milk cheese", "goat",
    "\xD0\x94\xD0\xA3\xD0\xA0\xD0\x90\xD0\x9A", "x2", "\xCE\xA3\xCE\xB1\xCF\x82",
};
static const example words[] = {
    {"You are an ass.", "ass"}, {"A class of asses.", NULL}, {"ASS!", "ass"}, {"the ass's ear", "ass"}, {"as s", NULL},
    {"ass", "ass"}, {"an_ass_", NULL}, {"ass2", NULL}, {"an old\n GOAT", "Old Goat"}, {"an old-goat", "Old Goat"},
    {"He is old. Goats came.", NULL}, {"an old, goat", "goat"}, {"an older goa", NULL}, {"strasse", "STRA\xC3\x9F" "E"},
    {"e\xCC\x81t\xC3\x89", "\xC3\x89t\xC3\xA9"}, {"ete", NULL}, {"\xE4\xBD\xA0\xE7\xAC\xA8\xE8\x9B\x8B\xE5\x95\x8A", "\xE7\xAC\xA8\xE8\x9B\x8B"},
    {"\xE7\xAC\xA8\xE5\x95\x8A\xE8\x9B\x8B", NULL}, {"I don\xE2\x80\x99t", "don't"}, {"dont", NULL}, {"goat milk", "goat"},
    {"goat milk cheese", "goat milk cheese"}, {"\xD0\xB4\xD1\x83\xD1\x80\xD0\xB0\xD0\xBA!", "\xD0\x94\xD0\xA3\xD0\xA0\xD0\x90\xD0\x9A"},
    {"\xEF\xBC\xA1\xEF\xBD\x93\xEF\xBD\x93", "ass"}, {"x2", "x2"}, {"x 2", NULL}, {"\xCF\x83\xCE\xB1\xCF\x83", "\xCE\xA3\xCE\xB1\xCF\x82"},
    {"", NULL}, {"...", NULL}, {"a\xFFss ass", "ass"}, {"old old goat", "Old Goat"}, {"as\xC2\xADs", "ass"},
};

Test(filter, words)
{
    vb_filter *f;
    vb_err err;
    cr_assert_eq(vb_filter_open(&f, banned, sizeof banned / sizeof *banned, &err), VB_OK, "%s", err.text);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *text = words[i].text, *want = words[i].found, *found = vb_filter_find(f, text, strlen(text), 0, NULL);
        cr_expect((want == NULL) == (found == NULL), "\"%s\": %s", text, found ? found : "nothing");
        if (want != NULL && found != NULL) cr_expect_str_eq(found, want, "\"%s\"", text);
        for (size_t step = 1; step < 4; step++) { /* as it grows: the same in the end, and what was certain stays */
            size_t clean = 0;
            const char *grown = NULL;
            for (size_t cut = 0; cut < strlen(text) && grown == NULL; cut += step) grown = vb_filter_find(f, text, cut, 1, &clean);
            cr_expect(grown == NULL || want != NULL, "\"%s\": %s", text, grown);
            if (grown == NULL) grown = vb_filter_find(f, text, strlen(text), 0, &clean);
            cr_expect((want == NULL) == (grown == NULL), "\"%s\" in steps of %zu: %s", text, step, grown ? grown : "nothing");
        }
    }
    vb_filter_close(f);
}

Test(filter, many_words)
{
    enum { MANY = 2000 };
    static char names[MANY][8];
    const char *list[MANY];
    char text[40];
    vb_filter *f;
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "w%dx", i * 7919 % MANY);
        list[i] = names[i];
    }
    cr_assert_eq(vb_filter_open(&f, list, MANY, NULL), VB_OK);
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "the w%d W%dX", i, i);
        const char *found = vb_filter_find(f, text, strlen(text), 0, NULL);
        cr_assert(found != NULL && atoi(found + 1) == i, "%s: %s", text, found ? found : "nothing");
    }
    cr_assert_null(vb_filter_find(f, "w2000x", 6, 0, NULL));
    vb_filter_close(f);
}

Test(filter, no_words)
{
    static const char *const bad[] = {"", "!", "a, b", "a\xFF", NULL};
    vb_filter *f;
    vb_err err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) cr_expect_eq(vb_filter_open(&f, &bad[i], 1, &err), VB_E_ARGUMENT, "%zu", i);
    cr_assert_eq(vb_filter_open(&f, NULL, 0, &err), VB_OK);
    cr_assert_null(vb_filter_find(f, "ass", 3, 0, NULL));
    cr_assert_null(vb_filter_find(NULL, "ass", 3, 0, NULL));
    vb_filter_close(f);
}

/* --- memory -------------------------------------------------------------------------------------------- */

static void add(vb_memory *m, uint64_t entity, uint64_t tick, uint64_t draw, const char *text)
{
    vb_line_key key = {.entity = entity, .tick = tick, .draw = draw};
    vb_err err;
    cr_assert_eq(vb_memory_add(m, &key, text, strlen(text), &err), VB_OK, "%s", err.text);
}

static const char *seen(const vb_memory *m, uint64_t entity, uint64_t tick, int tokens)
{
    static char buf[40000];
    vb_err err;
    int64_t n = vb_memory_render(m, entity, tick, tokens, buf, sizeof buf, &err);
    return n < 0 ? "error" : (buf[n] = 0, buf);
}

Test(memory, what_a_line_sees)
{
    vb_model *model = open_model("tales-1m");
    vb_memory *m;
    cr_assert_eq(vb_memory_open(&m, model, 2, 3, NULL), VB_OK);
    add(m, 7, 10, 0, " The sun\nrose. ");
    add(m, 7, 12, 0, "It rained.");
    add(m, 7, 11, 1, "A dog.");
    add(m, 7, 11, 0, "A cat.");
    add(m, 7, 13, 0, "  ");
    add(m, 8, 1, 0, "Other.");
    cr_assert_str_eq(seen(m, 7, 99, 100), "A cat.\nA dog.\nIt rained.");
    cr_assert_str_eq(seen(m, 7, 12, 100), "The sun rose.\nA cat.\nA dog.");
    cr_assert_str_eq(seen(m, 7, 11, 100), "The sun rose.");
    cr_assert_str_eq(seen(m, 7, 10, 100), "");
    cr_assert_str_eq(seen(m, 9, 10, 100), "");
    cr_assert_str_eq(seen(m, 7, 99, 0), "");
    int64_t two = vb_tokenize(model, "A dog.\n", 7, 0, NULL, 0, NULL) + vb_tokenize(model, "It rained.\n", 11, 0, NULL, 0, NULL);
    cr_assert_str_eq(seen(m, 7, 99, (int)two), "A dog.\nIt rained.");
    cr_assert_str_eq(seen(m, 7, 99, (int)two - 1), "It rained.");
    vb_line_key third = {.entity = 9};
    cr_assert_eq(vb_memory_add(m, &third, "x", 1, NULL), VB_E_FULL);
    vb_memory_forget(m, 7);
    cr_assert_str_eq(seen(m, 7, 99, 100), "");
    add(m, 9, 1, 0, "New.");
    cr_assert_str_eq(seen(m, 9, 2, 100), "New.");
    cr_assert_str_eq(seen(m, 8, 2, 100), "Other.");
    vb_memory_close(m);
    vb_model_close(model);
}

Test(memory, long_entries)
{
    vb_model *model = open_model("tales-1m");
    vb_memory *m;
    char text[600] = "x";
    for (size_t i = 1; i + 2 < sizeof text; i += 2) memcpy(text + i, "\xC3\xA9", 2);
    text[599] = 0;
    cr_assert_eq(vb_memory_open(&m, model, 1, 1, NULL), VB_OK);
    add(m, 1, 1, 0, text);
    cr_assert_eq(strlen(seen(m, 1, 2, 1000)), (size_t)VB_MEMORY_TEXT - 1, "%zu", strlen(seen(m, 1, 2, 1000)));
    vb_memory_close(m);
    vb_model_close(model);
}

/* The same entries in any order; what a line sees or that it cannot see it; saved and restored. */
Test(memory, any_order)
{
    enum { N = 40 };
    vb_model *model = open_model("tales-1m");
    char first[20000], bytes[20000], text[20];
    int64_t size = 0;
    for (int round = 0; round < 30; round++) {
        vb_memory *m;
        cr_assert_eq(vb_memory_open(&m, model, 4, 6, NULL), VB_OK);
        for (int i = 0; i < N; i++) {
            int k = (i * (2 * round + 3) + round) % N;
            if ((2 * round + 3) % 5 == 0) k = (i + round) % N;
            snprintf(text, sizeof text, "entry %d", k);
            add(m, (uint64_t)(k % 3), (uint64_t)(k / 6), (uint64_t)(k % 2), text);
        }
        int64_t n = vb_memory_save(m, bytes, sizeof bytes);
        cr_assert_gt(n, 500);
        if (round == 0) memcpy(first, bytes, (size_t)(size = n));
        cr_assert(n == size && memcmp(first, bytes, (size_t)n) == 0, "round %d", round);
        cr_assert_str_eq(seen(m, 0, 1, 100), "error"); /* of 14 entries 12 are kept, 10 of them later */
        cr_assert_str_neq(seen(m, 0, 4, 1000), "error");
        cr_assert_str_eq(seen(m, 0, 7, 1000), "entry 24\nentry 27\nentry 30\nentry 33\nentry 36\nentry 39");
        vb_memory_close(m);
    }
    vb_model_close(model);
}

Test(memory, saved)
{
    vb_model *model = open_model("tales-1m");
    vb_memory *a, *b;
    vb_err err;
    char bytes[20000], again[20000], before[200];
    cr_assert_eq(vb_memory_open(&a, model, 4, 6, NULL), VB_OK);
    cr_assert_eq(vb_memory_open(&b, model, 3, 6, NULL), VB_OK);
    for (uint64_t i = 0; i < 30; i++) add(a, i % 3, i, 0, i % 2 ? "Rain." : "Sun.");
    add(b, 77, 5, 0, "Old.");
    strcpy(before, seen(b, 77, 6, 100));
    int64_t n = vb_memory_save(a, bytes, sizeof bytes);
    for (int64_t cut = 0; cut < n; cut++) {
        cr_assert_eq(vb_memory_restore(b, bytes, (size_t)cut, &err), VB_E_FORMAT);
        cr_assert_str_eq(seen(b, 77, 6, 100), before);
    }
    for (int64_t i = 0; i < n; i++) { /* what is taken for good is what would be written */
        bytes[i] ^= 0x41;
        if (vb_memory_restore(b, bytes, (size_t)n, &err) == VB_OK)
            cr_assert(vb_memory_save(b, again, sizeof again) == n && memcmp(bytes, again, (size_t)n) == 0, "byte %d", (int)i);
        bytes[i] ^= 0x41;
    }
    cr_assert_eq(vb_memory_restore(b, bytes, (size_t)n, &err), VB_OK, "%s", err.text);
    cr_assert_eq(vb_memory_save(b, again, sizeof again), n);
    cr_assert_eq(memcmp(bytes, again, (size_t)n), 0);
    cr_assert_str_eq(seen(b, 77, 6, 100), "");
    cr_assert_eq(vb_memory_save(b, NULL, 0), n);
    vb_memory_close(a);
    vb_memory_close(b);
    vb_model_close(model);
}
