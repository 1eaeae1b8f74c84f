/* table.c - tables of lines: what was put in is found, in any order the same file, and damage is never believed; and casts
 * that answer from one. */
#include "base/os.h"
#include "cast/table.h"
#include "cast/table_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINES = 300 };

static char work[] = "/tmp/verbatim-table-XXXXXX";

static const char *file(const char *name)
{
    static char path[2][128];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", work, name);
    return path[turn];
}

static void begin(void)
{
    strcpy(work, "/tmp/verbatim-table-XXXXXX");
    cr_assert(mkdtemp(work) != NULL);
}

static void end(void)
{
    char command[160];
    snprintf(command, sizeof command, "rm -r %s", work);
    cr_assert(system(command) == 0);
}

TestSuite(table, .init = begin, .fini = end);

static void name_of(int i, uint8_t name[32])
{
    static const vb_token ids[] = {5, 6, 7};
    vb_namer *namer;
    uint8_t cast[32] = {9};
    vb_line_key key = {1, (uint64_t)i, 2, 3};
    cr_assert(vb_namer_open(&namer, cast, NULL) == VB_OK);
    vb_namer_begin(namer, &key, "villager", 3);
    vb_namer_add(namer, ids, 3);
    vb_namer_end(namer, name);
    vb_namer_close(namer);
}

static vb_said said_of(int i, char text[64])
{
    int len = snprintf(text, 64, "line %d%.*s", i, i % 40, "........................................");
    if (i == 7) len = 0, text[0] = 0;
    return (vb_said){text, (size_t)len, (vb_line_end)(i % 7), 1 + i % 3, 20 + i, 30 + i};
}

static void add(vb_bake *bake, int i)
{
    char text[64];
    uint8_t name[32];
    vb_said said = said_of(i, text);
    name_of(i, name);
    cr_assert(vb_bake_add(bake, name, &said, NULL) == VB_OK);
}

/* Lines step * i + start, each of them `times` times. */
static void bake_file(const char *path, int step, int start, int times)
{
    vb_bake *bake;
    vb_err err = {0};
    cr_assert(vb_bake_open(&bake, &err) == VB_OK);
    for (int t = 0; t < times; t++)
        for (int i = 0; i < LINES; i++) add(bake, (step * i + start) % LINES);
    cr_assert(vb_bake_write(bake, path, &err) == VB_OK, "%s", err.text);
    vb_bake_close(bake);
}

static int finds(const vb_table *table, int i)
{
    char text[64];
    uint8_t name[32];
    vb_said want = said_of(i, text), got;
    name_of(i, name);
    if (!vb_table_find(table, name, &got)) return 0;
    cr_assert(got.len == want.len && strcmp(got.text, want.text) == 0 && got.end == want.end);
    cr_assert(got.attempts == want.attempts && got.prompt_tokens == want.prompt_tokens && got.tokens == want.tokens);
    return 1;
}

static uint8_t *read_whole(const char *path, size_t *size)
{
    char *data;
    cr_assert(vb_file_read(path, 1 << 20, &data, size, NULL) == VB_OK);
    return (uint8_t *)data;
}

static void write_whole(const char *path, const uint8_t *data, size_t size)
{
    FILE *to = fopen(path, "wb");
    cr_assert(to != NULL && fwrite(data, 1, size, to) == size && fclose(to) == 0);
}

Test(table, finds_what_was_added_and_nothing_else)
{
    vb_table *table;
    bake_file(file("t"), 1, 0, 1);
    cr_assert(vb_table_open(&table, file("t"), NULL) == VB_OK);
    cr_assert(vb_table_count(table) == LINES);
    for (int i = 0; i < LINES; i++) cr_assert(finds(table, i), "line %d", i);
    for (int i = LINES; i < 2 * LINES; i++) cr_assert(!finds(table, i), "line %d", i);
    vb_table_close(table);
}

Test(table, is_one_file_for_any_order)
{
    size_t a_size, b_size;
    bake_file(file("a"), 1, 0, 1);
    bake_file(file("b"), 7, 123, 3);
    uint8_t *a = read_whole(file("a"), &a_size), *b = read_whole(file("b"), &b_size);
    cr_assert(a_size == b_size && memcmp(a, b, a_size) == 0);
    free(a);
    free(b);
}

Test(table, of_nothing)
{
    vb_bake *bake;
    vb_table *table;
    cr_assert(vb_bake_open(&bake, NULL) == VB_OK && vb_bake_write(bake, file("t"), NULL) == VB_OK);
    cr_assert(vb_table_open(&table, file("t"), NULL) == VB_OK && vb_table_count(table) == 0 && !finds(table, 1));
    vb_table_close(table);
    vb_bake_close(bake);
}

Test(table, two_texts_of_one_line)
{
    vb_bake *bake;
    vb_err err = {0};
    uint8_t name[32] = {1};
    cr_assert(vb_bake_open(&bake, NULL) == VB_OK);
    cr_assert(vb_bake_add(bake, name, &(vb_said){.text = "yes", .len = 3}, NULL) == VB_OK);
    cr_assert(vb_bake_add(bake, name, &(vb_said){.text = "no", .len = 2}, NULL) == VB_OK);
    cr_assert(vb_bake_write(bake, file("t"), &err) == VB_E_DIFFERS && strstr(err.text, "01000000") != NULL, "%s", err.text);
    cr_assert(access(file("t"), F_OK) != 0 && access(file("t.part"), F_OK) != 0);
    vb_bake_close(bake);
}

/* One byte after the other is damaged: a table that opens finds lines as they were, or not. */
Test(table, damage_is_never_believed)
{
    size_t size;
    int refused = 0, missing = 0;
    bake_file(file("t"), 1, 0, 1);
    uint8_t *data = read_whole(file("t"), &size);
    for (size_t at = 0; at < size; at += at < VB_TABLE_HEAD ? 1 : 37) {
        vb_table *table;
        data[at] ^= 0x41;
        write_whole(file("d"), data, size);
        data[at] ^= 0x41;
        vb_status status = vb_table_open(&table, file("d"), NULL);
        cr_assert((status == VB_OK) == (at >= VB_TABLE_HEAD), "byte %zu", at);
        refused += status < 0;
        int found = 0;
        for (int i = 0; i < LINES && status == VB_OK; i++) found += finds(table, i);
        missing += status == VB_OK && found < LINES;
        vb_table_close(table);
    }
    free(data);
    cr_assert(refused == VB_TABLE_HEAD && missing > 500, "%d refused, %d missing", refused, missing);
}

Test(table, cut_anywhere)
{
    size_t size;
    vb_table *table;
    vb_err err = {0};
    bake_file(file("t"), 1, 0, 1);
    uint8_t *data = read_whole(file("t"), &size);
    for (size_t cut = 0; cut < size; cut += 211) {
        write_whole(file("d"), data, cut);
        cr_assert(vb_table_open(&table, file("d"), &err) == VB_E_FORMAT && table == NULL);
    }
    free(data);
    cr_assert(vb_table_open(&table, file("none"), &err) == VB_E_NOT_FOUND);
}

/* Whatever decides a line is in its name. */
Test(table, names)
{
    static const vb_token ids[] = {1, 2, 3, 2};
    uint8_t cast[2][32] = {{1}, {2}}, names[9][32];
    vb_namer *namer[2];
    for (int i = 0; i < 2; i++) cr_assert(vb_namer_open(&namer[i], cast[i], NULL) == VB_OK);
    for (int i = 0; i < 9; i++) {
        vb_line_key key = {i == 1, i == 2, i == 3, i == 4};
        vb_namer *n = namer[i == 5];
        vb_namer_begin(n, &key, i == 6 ? "king" : "queen", 3);
        vb_namer_add(n, ids + (i == 7), 1);
        vb_namer_add(n, ids + 1 + (i == 8), 2);
        vb_namer_end(n, names[i]);
        for (int j = 0; j < i; j++) cr_assert(memcmp(names[i], names[j], 32) != 0, "%d and %d", i, j);
    }
    for (int i = 0; i < 2; i++) vb_namer_close(namer[i]);
}

/* --- casts --------------------------------------------------------------------------------------------- */

enum { SPOKEN = 12 };

static vb_cast *open_cast(vb_model *model, float temperature, const char *fact, const char *table)
{
    vb_err err = {0};
    vb_cast *cast;
    const vb_fact facts[] = {{"weather", fact}};
    const vb_persona persona = {.name = "man",
                                .prompt = "${weather} A man was asked \"${text}\". He smiled and said, \"",
                                .sampling = {.temperature = temperature, .top_k = 40}};
    vb_cast_opts opts = {.personas = &persona, .n_personas = 1, .facts = facts, .n_facts = 1, .speakers = 4, .table = table};
    cr_assert(vb_cast_open(&cast, model, &opts, &err) == VB_OK, "%s", err.text);
    return cast;
}

static vb_line_request request_of(int i)
{
    static const char *const texts[] = {"Where is the treasure?", "What is the news?", "Will it rain?"};
    return (vb_line_request){.key = {1, (uint64_t)i, (uint64_t)(i / 2), 0}, .text = texts[i % 3]};
}

/* Line i as this cast says it; returns whether it was baked. */
static int say(vb_cast *cast, int i, vb_line *line, char text[400])
{
    vb_err err = {0};
    vb_line_request request = request_of(i);
    cr_assert(vb_cast_say(cast, &request, line, &err) == VB_OK, "%s", err.text);
    snprintf(text, 400, "%s", line->text);
    return line->baked;
}

/* How many of the first lines `cast` has in its table; all must be as `fresh` says them. */
static int baked_of(vb_cast *cast, vb_cast *fresh, int n)
{
    int baked = 0;
    for (int i = 0; i < n; i++) {
        vb_line a, b;
        char x[400], y[400];
        baked += say(cast, i, &a, x);
        cr_assert(say(fresh, i, &b, y) == 0);
        cr_assert(strcmp(x, y) == 0 && a.end == b.end && a.attempts == b.attempts && a.tokens == b.tokens);
        cr_assert(a.prompt_tokens == b.prompt_tokens && strcmp(a.persona, b.persona) == 0);
    }
    return baked;
}

static void bake_with(vb_cast *cast, const char *path)
{
    vb_err err = {0};
    vb_line line;
    char text[400];
    cr_assert(vb_cast_bake_end(cast, path, &err) == VB_E_ARGUMENT);
    cr_assert(vb_cast_bake(cast, &err) == VB_OK);
    for (int i = SPOKEN / 2; i < SPOKEN; i++) {
        vb_line_request request = request_of(i);
        cr_assert(vb_cast_request(cast, &request, &err) == VB_OK);
    }
    while (vb_cast_step(cast, 9, 0, &err) > 0) {}
    for (int i = 0; i < SPOKEN / 2; i++) say(cast, i, &line, text);
    cr_assert(vb_cast_bake_end(cast, path, &err) == VB_OK, "%s", err.text);
}

Test(table, of_a_cast)
{
    vb_model *model;
    vb_table *table;
    vb_err err = {0};
    cr_assert(vb_model_open(&model, "tales-1m", &(vb_model_opts){.threads = 1}, &err) == VB_OK, "%s", err.text);
    vb_cast *fresh = open_cast(model, 0.9f, "It rains.", NULL), *warmer = open_cast(model, 1.0f, "It rains.", NULL);
    vb_cast *dry = open_cast(model, 0.9f, "It is dry.", NULL), *maker = open_cast(model, 0.9f, "It rains.", NULL);
    bake_with(maker, file("t"));
    cr_assert(vb_table_open(&table, file("t"), &err) == VB_OK && vb_table_count(table) == SPOKEN);
    vb_table_close(table);
    vb_cast *other = open_cast(model, 0.9f, "It rains.", file("t"));
    cr_assert(baked_of(other, fresh, 2 * SPOKEN) == SPOKEN);
    vb_cast_close(other);
    other = open_cast(model, 1.0f, "It rains.", file("t"));
    cr_assert(baked_of(other, warmer, 3) == 0);
    vb_cast_close(other);
    other = open_cast(model, 0.9f, "It is dry.", file("t"));
    cr_assert(baked_of(other, dry, 3) == 0);
    vb_cast *casts[] = {other, fresh, warmer, dry, maker};
    for (int i = 0; i < 5; i++) vb_cast_close(casts[i]);
    vb_model_close(model);
}
