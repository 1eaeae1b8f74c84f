/* dialogue_lines.c - where lines end: one table of texts in many languages, each asked for at every place it can be cut. */
#include "cast/stop.h"

#include "../random.h"

#include <criterion/criterion.h>
#include <string.h>

typedef struct {
    const char *text, *line; /* NULL: it has none */
} example;

static const example sentences[] = {
    /* plain */
    {"Hello.", "Hello."},
    {"Hello. How are you?", "Hello."},
    {" Hello there! ", "Hello there!"},
    {"Who are you? I am Tom.", "Who are you?"},
    {"What?! No!", "What?!"},
    {"Really?!? Yes.", "Really?!?"},
    {"No!!! Stop.", "No!!!"},
    {"hello there. how are you?", "hello there."},
    {"I like cake", NULL},
    {"", NULL},
    {"   ", NULL},
    {"...", NULL},
    {"?!", NULL},
    {"! Hello.", "! Hello."},
    {"-Hello. Bye.", "-Hello."},
    {"1990 was good. Now it is not.", "1990 was good."},
    {"Hi! \xF0\x9F\x98\x80 Bye!", "Hi!"},
    {"\xF0\x9F\x98\x80! Bye.", "\xF0\x9F\x98\x80!"},
    {"A line\nthat is broken. Yes.", "A line\nthat is broken."},
    {"A title\n\nThen a story.", "A title"},
    {"A title\r\n\r\nThen.", "A title"},
    {"One line\r\nand one. Yes.", "One line\r\nand one."},
    {"\n\nHello. Yes.", "Hello."},
    {"\n \xE3\x80\x80\n\xE3\x80\x80Hello. Yes.", "Hello."},
    {"Hello.\nHow are you?", "Hello."},
    {"Hello.\n\nhow are you?", "Hello."},
    {"So...\n\nhe left.", "So..."},
    /* ellipses */
    {"Well... I see. Yes.", "Well..."},
    {"Well... i see. Yes.", "Well... i see."},
    {"Well...maybe. Yes.", "Well...maybe."},
    {"Well...Maybe. Yes.", "Well...Maybe."},
    {"Well\xE2\x80\xA6 maybe. Yes.", "Well\xE2\x80\xA6 maybe."},
    {"Well\xE2\x80\xA6 Maybe. Yes.", "Well\xE2\x80\xA6"},
    {"...and then he left. Yes.", "...and then he left."},
    {"Hm..., I see. Yes.", "Hm..., I see."},
    {"What...? I see.", "What...?"},
    {"I do not know....", "I do not know...."},
    {"So ... what now? Yes.", "So ... what now?"},
    {"\xE6\x88\x91\xE2\x80\xA6\xE2\x80\xA6\xE4\xB8\x8D\xE7\x9F\xA5\xE9\x81\x93\xE3\x80\x82\xE5\xA5\xBD\xE3\x80\x82", "\xE6\x88\x91\xE2\x80\xA6\xE2\x80\xA6\xE4\xB8\x8D\xE7\x9F\xA5\xE9\x81\x93\xE3\x80\x82"},
    /* titles and other abbreviations */
    {"Mr. Fox is here. Hide!", "Mr. Fox is here."},
    {"I saw Mrs. Hen and Dr. Owl. Yes.", "I saw Mrs. Hen and Dr. Owl."},
    {"Ask Prof. Owl! He knows.", "Ask Prof. Owl!"},
    {"St. Mary waits. Go.", "St. Mary waits."},
    {"Bring fruit, e.g. apples. Go.", "Bring fruit, e.g. apples."},
    {"One king, i.e. me. Go.", "One king, i.e. me."},
    {"Cats vs. dogs. Go.", "Cats vs. dogs."},
    {"Apples, pears etc. are good. Yes.", "Apples, pears etc. are good."},
    {"Apples, pears etc. The end.", "Apples, pears etc."},
    {"Apples, etc., are good. Yes.", "Apples, etc., are good."},
    {"Take No. 5 home. Yes.", "Take No. 5 home."},
    {"No. I will not.", "No."},
    {"no. i will not.", "no."},
    {"See Fig. 3 there. Yes.", "See Fig. 3 there."},
    {"He ate a fig. Then he left.", "He ate a fig."},
    {"Come at 5 p.m. tomorrow. Yes.", "Come at 5 p.m. tomorrow."},
    {"Come at 5 p.m. He waits.", "Come at 5 p.m."},
    {"Come at 5 a.m.", "Come at 5 a.m."},
    {"The U.S. Army came. Yes.", "The U.S. Army came."},
    {"I was in the U.S. He was not.", "I was in the U.S."},
    {"I was in the U.S.", "I was in the U.S."},
    {"J. R. R. Tolkien wrote. Yes.", "J. R. R. Tolkien wrote."},
    {"J.R.R. Tolkien wrote. Yes.", "J.R.R. Tolkien wrote."},
    {"Eat vitamin C. It is good.", "Eat vitamin C."},
    {"It was I. He left.", "It was I."},
    {"Plan B. Now!", "Plan B."},
    {"Martin Luther King Jr. spoke. Yes.", "Martin Luther King Jr. spoke."},
    {"I work at Acme Inc. We sell.", "I work at Acme Inc."},
    {"In Jan. 5 birds came. Yes.", "In Jan. 5 birds came."},
    {"It is for me. Yes.", "It is for me."},
    {"He said I'm. Yes.", "He said I'm."},
    {"She went out Mr.", NULL},
    {"Dr. No is bad. Yes.", "Dr. No is bad."},
    {"It was Mr.'s hat. Yes.", "It was Mr.'s hat."},
    {"He has a Ph.D. in fish. Yes.", "He has a Ph.D. in fish."},
    /* numbers, names with dots */
    {"Pi is 3.14 or so. Yes.", "Pi is 3.14 or so."},
    {"Pi is 3. Yes.", "Pi is 3."},
    {"It costs 1.000,50 gold. Yes.", "It costs 1.000,50 gold."},
    {"Use version 2.0.1 now. Yes.", "Use version 2.0.1 now."},
    {"Look at www.fox.org/a.b?c=1 now. Yes.", "Look at www.fox.org/a.b?c=1 now."},
    {"Write to me@fox.org today. Yes.", "Write to me@fox.org today."},
    {"The file is readme.txt. Read it.", "The file is readme.txt."},
    {"1. Get up. Then eat.", "1. Get up."},
    {"I was born in 1990. You were not.", "I was born in 1990."},
    {"I have 2. Two is good.", "I have 2."},
    {"At 12:30. Be there.", "At 12:30."},
    {".5 is a half. Yes.", ".5 is a half."},
    /* quotation marks: the prompt has opened one */
    {"Yes!\" The man left.", "Yes!"},
    {"I love cake\" he said. Yes.", "I love cake"},
    {"I love cake.\" He left.", "I love cake."},
    {"Yes.\" \"No.\"", "Yes."},
    {"\" he said.", ""},
    {"I say \"yes\" to you.\" He left.", "I say \"yes\" to you."},
    {"I say \"yes!\" to you. Bye.", "I say \"yes!\" to you."},
    {"He said \"Stop. Go home.\" and left. Yes.", "He said \"Stop. Go home.\" and left."},
    {"She said \"Go!\" He left.", "She said \"Go!\""},
    {"He said \"Stop. Go home.", "He said \"Stop."},
    {"\"Hello. How are you?\" he said.", "Hello."},
    {" \"Hello. How are you?\" he said.", "Hello."},
    {"\"Stop!\" he said. Yes.", "\"Stop!\" he said."},
    {"\"Stop!\" He left.", "Stop!"},
    {"\"Stop!\", he said. Yes.", "\"Stop!\", he said."},
    {"\"Hello.\"", "Hello."},
    {"Hello.'\" He left.", "Hello."},
    {"Hello.\xE2\x80\x9D He left.", "Hello."},
    {"I saw it\xE2\x80\x9D he said.", "I saw it"},
    {"\xE2\x80\x9CHello there.\xE2\x80\x9D He left.", "Hello there."},
    {"\xE2\x80\x9CIt\xE2\x80\x99s me.\xE2\x80\x9D He left.", "It\xE2\x80\x99s me."},
    {"\xE2\x80\x9EHallo, du.\xE2\x80\x9C Er ging.", "Hallo, du."},
    {"Hallo, du.\xE2\x80\x9C Er ging.", "Hallo, du."},
    {"\xC2\xBBHallo.\xC2\xAB Er ging.", "Hallo."},
    {"\xC2\xAB Bonjour. \xC2\xBB Il part.", "Bonjour."},
    {"\xC2\xAB\xC2\xA0Quoi ?\xC2\xA0\xC2\xBB Il part.", "Quoi ?"},
    {"\xC2\xAB Viens ! \xC2\xBB dit-il. Oui.", "\xC2\xAB Viens ! \xC2\xBB dit-il."},
    {"\xE2\x80\x9DHej. Hej.\xE2\x80\x9D Ja.", "Hej."},
    {"\xE3\x80\x8C\xE5\x85\x83\xE6\xB0\x97\xE3\x81\xA7\xE3\x81\x99\xE3\x81\x8B\xEF\xBC\x9F\xE3\x80\x8D\xE3\x81\xA8", "\xE5\x85\x83\xE6\xB0\x97\xE3\x81\xA7\xE3\x81\x99\xE3\x81\x8B\xEF\xBC\x9F"},
    {"\xE5\xA5\xBD\xE3\x80\x82\xE3\x80\x8D\xE4\xBB\x96", "\xE5\xA5\xBD\xE3\x80\x82"},
    {"'Stop there!' she said. Yes.", "'Stop there!' she said."},
    {"'Stop there!' She left.", "Stop there!"},
    {"'Tis the dogs' home. Yes.", "'Tis the dogs' home."},
    {"Don't go! Please.", "Don't go!"},
    {"Rock 'n' roll! Yes.", "Rock 'n' roll!"},
    /* brackets and stars */
    {"He left (finally!) and slept. Yes.", "He left (finally!) and slept."},
    {"(He left.) Then he came.", "(He left.)"},
    {"He came (at last). Yes.", "He came (at last)."},
    {"*smiles.* Hello.", "*smiles.*"},
    {"*smiles* Hello. Yes.", "*smiles* Hello."},
    {"_Never!_ he said. Yes.", "_Never!_"},
    {"Hello.*waves* Yes.", "Hello."},
    /* languages */
    {"Am 3. Mai komme ich. Ja.", "Am 3. Mai komme ich."},
    {"Das ist z.B. ein Hund. Ja.", "Das ist z.B. ein Hund."},
    {"Das ist z. B. ein Hund. Ja.", "Das ist z. B. ein Hund."},
    {"Ich sah Hr. Wolf. Ja.", "Ich sah Hr. Wolf."},
    {"Hunde usw. sind da. Ja.", "Hunde usw. sind da."},
    {"Im 19. jahrhundert. Ja.", "Im 19. jahrhundert."},
    {"M. Dupont est l\xC3\xA0. Oui.", "M. Dupont est l\xC3\xA0."},
    {"Mme. Renard arrive. Oui.", "Mme. Renard arrive."},
    {"C'est \xC3\xA0 moi. Oui.", "C'est \xC3\xA0 moi."},
    {"\xC2\xA1Hola! \xC2\xBFQu\xC3\xA9?", "\xC2\xA1Hola!"},
    {"\xC2\xBFQui\xC3\xA9n es el Sr. Zorro? Yo.", "\xC2\xBFQui\xC3\xA9n es el Sr. Zorro?"},
    {"\xD0\x94\xD0\xB0. \xD0\x9D\xD0\xB5\xD1\x82.", "\xD0\x94\xD0\xB0."},
    {"\xD0\x90. \xD0\xA1. \xD0\x9F\xD1\x83\xD1\x88\xD0\xBA\xD0\xB8\xD0\xBD. \xD0\x94\xD0\xB0.", "\xD0\x90. \xD0\xA1. \xD0\x9F\xD1\x83\xD1\x88\xD0\xBA\xD0\xB8\xD0\xBD."},
    {"\xD0\xA2.\xD0\xB5. \xD1\x8F. \xD0\x94\xD0\xB0.", "\xD0\xA2.\xD0\xB5. \xD1\x8F."},
    {"\xCE\xA4\xCE\xB9; \xCE\x9D\xCE\xB1\xCE\xB9.", "\xCE\xA4\xCE\xB9;"},
    {"Yes; no. Hm.", "Yes; no."},
    {"\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82\xE4\xBD\xA0\xE5\xA5\xBD\xE5\x90\x97\xEF\xBC\x9F", "\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82"},
    {"\xE5\xA5\xBD\xEF\xBC\x81\xE5\xA5\xBD\xE3\x80\x82", "\xE5\xA5\xBD\xEF\xBC\x81"},
    {"\xEF\xBD\xB6\xEF\xBD\xA1\xEF\xBD\xB6", "\xEF\xBD\xB6\xEF\xBD\xA1"},
    {"\xEF\xBC\x93\xEF\xBC\x8E\xEF\xBC\x91\xEF\xBC\x94\xE3\x80\x82\xE5\xA5\xBD", "\xEF\xBC\x93\xEF\xBC\x8E\xEF\xBC\x91\xEF\xBC\x94\xE3\x80\x82"},
    {"\xD9\x85\xD9\x86\xD8\x9F \xD8\xA3\xD9\x86\xD8\xA7.", "\xD9\x85\xD9\x86\xD8\x9F"},
    {"\xDB\x81\xDB\x94 \xDA\xA9", "\xDB\x81\xDB\x94"},
    {"\xE0\xA4\xB9\xE0\xA5\xA4 \xE0\xA4\xA8", "\xE0\xA4\xB9\xE0\xA5\xA4"},
    {"\xE0\xA4\xB9\xE0\xA5\xA5 \xE0\xA4\xA8", "\xE0\xA4\xB9\xE0\xA5\xA5"},
    {"\xE1\x88\x80\xE1\x8D\xA2 \xE1\x88\x80", "\xE1\x88\x80\xE1\x8D\xA2"},
    {"\xD4\xB1\xD6\x80\xD6\x89 \xD4\xB1", "\xD4\xB1\xD6\x80\xD6\x89"},
    {"\xE1\x83\x90... \xE1\x83\x91\xE1\x83\x98.", "\xE1\x83\x90..."},
    {"\xE1\x83\x90\xE1\x83\xBB \xE1\x83\x91", "\xE1\x83\x90\xE1\x83\xBB"},
    {"Va\xCC\x81. Va.", "Va\xCC\x81."},
    {"T\xC3\xB4i \xC4\x91i. Kh\xC3\xB4ng.", "T\xC3\xB4i \xC4\x91i."},
    {"\xE3\x81\xAF\xE3\x81\x84\xE3\x80\x82", "\xE3\x81\xAF\xE3\x81\x84\xE3\x80\x82"},
    {"\xEB\x84\xA4. \xEC\x95\x88\xEB\x85\x95?", "\xEB\x84\xA4."},
    {"\xD7\x9B\xD7\x9F. \xD7\x9C\xD7\x90!", "\xD7\x9B\xD7\x9F."},
    /* bytes that are no UTF-8 */
    {"a\xFF. b", "a\xFF."},
    {"\xC0\xAE. b", "\xC0\xAE."},
    {"a\xE2\x80. b", "a\xE2\x80."},
};
enum { SENTENCES = sizeof sentences / sizeof *sentences };

/* What the rule says of a text in this state, or of its first `cut` bytes; NULL: it is not met. */
static const char *line_of(const vb_stop *stop, const char *text, size_t cut, vb_text_state state, char *buf)
{
    vb_stopped s;
    char *own = malloc(cut + 1); /* so that a sanitizer sees who reads on */
    vb_err err;
    memcpy(own, text, cut);
    cr_assert_eq(vb_stop_find(stop, own, cut, state, &s, &err), VB_OK);
    if (s.met) snprintf(buf, 4096, "%.*s", (int)s.len, own + s.from);
    free(own);
    return s.met ? buf : NULL;
}

static int same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Whatever the text has been cut to, there is no answer yet or the one that all of it has; from the first answer on there
 * always is one. */
static void check_cuts(const vb_stop *stop, const char *text, const char *line)
{
    char buf[4096];
    int met = 0;
    for (size_t cut = 0; cut <= strlen(text); cut++) {
        const char *found = line_of(stop, text, cut, VB_TEXT_GROWS, buf);
        if (found != NULL) cr_assert(same(found, line), "\"%s\" cut at %zu: \"%s\" instead of \"%s\"", text, cut, found, line);
        cr_assert(!met || found != NULL, "\"%s\" cut at %zu: no line any more", text, cut);
        met = found != NULL;
    }
}

Test(lines, sentences)
{
    vb_stop *stop;
    char buf[4096];
    cr_assert_eq(vb_stop_open(&stop, VB_STOP_SENTENCE, NULL, 0, NULL), VB_OK);
    cr_assert_geq(SENTENCES, 120);
    for (int i = 0; i < SENTENCES; i++) {
        const example *e = &sentences[i];
        const char *found = line_of(stop, e->text, strlen(e->text), VB_TEXT_ENDED, buf);
        cr_expect(same(found, e->line), "\"%s\": \"%s\" instead of \"%s\"", e->text, found ? found : "none", e->line ? e->line : "none");
        if (same(found, e->line)) check_cuts(stop, e->text, e->line);
    }
    vb_stop_close(stop);
}

/* Each text goes on as another one does, or as quotation marks and full stops happen to. */
Test(lines, sentences_that_go_on)
{
    vb_stop *stop;
    char text[4096], whole[4096], buf[4096];
    int lines = 0;
    cr_assert_eq(vb_stop_open(&stop, VB_STOP_SENTENCE, NULL, 0, NULL), VB_OK);
    for (int i = 0; i < SENTENCES * 40; i++) {
        size_t n = 0;
        for (int part = 0; part < 3; part++) {
            const char *from = sentences[(i * 31 + part * 17 + i / 7) % SENTENCES].text;
            size_t all = strlen(from), take = part == 2 ? all : all * (size_t)(i * 7 % 10 + 1) / 10;
            n += (size_t)snprintf(text + n, sizeof text - n, "%.*s%s", (int)take, from, i % 3 == 0 ? "\"" : i % 3 == 1 ? "." : "");
        }
        const char *line = line_of(stop, text, n, VB_TEXT_ENDED, whole);
        if (line_of(stop, text, n, VB_TEXT_GROWS, buf) != NULL) check_cuts(stop, text, line);
        lines += line != NULL;
    }
    cr_assert_gt(lines, SENTENCES * 30);
    vb_stop_close(stop);
}

Test(lines, breaks)
{
    vb_stop *stop;
    char buf[4096];
    static const example breaks[] = {
        {"Hello. You!\nYes", "Hello. You!"}, {"\n\n Hello\r\nYes", "Hello"}, {" \n", NULL}, {"Hello", "Hello"},
        {"\"Hello\"\n", "Hello"}, {"a\xE2\x80\xA8" "b", "a"}, {"a\xC2\x85" "b", "a"},
    };
    cr_assert_eq(vb_stop_open(&stop, VB_STOP_LINE, NULL, 0, NULL), VB_OK);
    for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++) {
        const char *text = breaks[i].text;
        cr_expect(same(line_of(stop, text, strlen(text), VB_TEXT_ENDED, buf), breaks[i].line), "%s", text);
        check_cuts(stop, text, breaks[i].line);
    }
    cr_assert_null(line_of(stop, "Hello", 5, VB_TEXT_CUT, buf), "a line that was cut");
    vb_stop_close(stop);
}

typedef struct {
    const char *regex, *text, *line;
} pattern;

static const pattern patterns[] = {
    {"^(.*?[.!?])", "Hello. You!", "Hello."},
    {"^(.*?[.!?])", "Mr. Fox", "Mr."},
    {"^(.*?[.!?])", "Hello", NULL},
    {"[a-z]+", "12 abc 34", "abc"},
    {"[a-z]+", "12 abc", "abc"},
    {"a+b?", "caaab", "aaab"},
    {"a+b?", "caaad", "aaa"},
    {"a+(?=!)", "aa aaa!", "aaa"},
    {"a+(?!!)", "aa!", "a"},
    {"x|xyz", "xyz", "x"},
    {"xyz|x", "xyz", "xyz"},
    {"xyz|x", "xya", "x"},
    {"say (.*) end", "say a end end b", "a end"},
    {"say (.*?) end", "say a end end b", "a"},
    {"\\w+$", "one two", "two"},
    {"\\bno\\b", "know no", "no"},
    {"(?s)^.*(?=<end>)", "a\nb<end>c", "a\nb"},
    {"z*", "abc", NULL},
    {"(?<=:) *\\w+\\.", "he: yes.", "yes."},
    {"\\X\\X", "e\xCC\x81" "ab", "e\xCC\x81" "a"},
    {"[\xE3\x81\x82-\xE3\x82\x93]+\xE3\x80\x82", "a\xE3\x81\xAF\xE3\x81\x84\xE3\x80\x82", "\xE3\x81\xAF\xE3\x81\x84\xE3\x80\x82"},
    {"b.c", "ab\xC3\xA9" "cd", "b\xC3\xA9" "c"},
    {"a|b", "\xC3\xA9 ca\xFF" "b", "a"},
    {"b$", "a b\xFF", NULL},
};

Test(lines, patterns)
{
    char buf[4096];
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        const pattern *p = &patterns[i];
        vb_stop *stop;
        cr_assert_eq(vb_stop_open(&stop, VB_STOP_REGEX, p->regex, 1, NULL), VB_OK);
        const char *found = line_of(stop, p->text, strlen(p->text), VB_TEXT_ENDED, buf);
        cr_expect(same(found, p->line), "%s: \"%s\": \"%s\" instead of \"%s\"", p->regex, p->text, found ? found : "none", p->line ? p->line : "none");
        check_cuts(stop, p->text, p->line);
        vb_stop_close(stop);
    }
}

/* Texts of marks, letters and halves of characters by chance. */
Test(lines, any_text)
{
    static const char *const bits[] = {
        "a", "B", " ", ".", "\"", "'", "!", "\n", "3", "\xE2\x80\xA6", "\xE2\x80\x9C", "\xE2\x80\x9D", "\xE2\x80\x9E", "\xC2\xAB",
        "\xC2\xBB", "(", ")", "*", "_", ",", "Mr", "etc", "U", "I", "\xC3\xA9", "\xE5\xA5\xBD", "\xE3\x80\x82", "\xE3\x80\x8C",
        "\xE3\x80\x8D", "\xE2\x80\x99", "?", "\r", "/", "-", "p", "m", "The", "z", "\xFF", "\xE2", "\xE2\x80", "no", "Mai", ";", "\xCE\xA4",
    };
    static const struct {
        vb_stop_rule rule;
        const char *regex;
    } rules[] = {{VB_STOP_SENTENCE, NULL}, {VB_STOP_LINE, NULL}, {VB_STOP_REGEX, "(?:a|aB)(.*?)[.!]|\\d\\b|\xC3\xA9+"}};
    rng r = {20261121};
    for (size_t rule = 0; rule < sizeof rules / sizeof *rules; rule++) {
        vb_stop *stop;
        cr_assert_eq(vb_stop_open(&stop, rules[rule].rule, rules[rule].regex, 0, NULL), VB_OK);
        for (int round = 0; round < 3000; round++) {
            char text[200] = "", buf[200];
            for (uint32_t i = rng_word(&r) % 20 + 3; i > 0; i--) strcat(text, bits[rng_word(&r) % (sizeof bits / sizeof *bits)]);
            check_cuts(stop, text, line_of(stop, text, strlen(text), VB_TEXT_ENDED, buf));
        }
        vb_stop_close(stop);
    }
}

Test(lines, patterns_that_never_end)
{
    vb_stop *stop;
    vb_stopped s;
    vb_err err;
    char text[4000];
    memset(text, 'a', sizeof text);
    cr_assert_eq(vb_stop_open(&stop, VB_STOP_REGEX, "^(a+)+[bc]", 0, NULL), VB_OK);
    cr_assert_eq(vb_stop_find(stop, text, sizeof text, VB_TEXT_ENDED, &s, &err), VB_E_FULL);
    cr_assert_not_null(strstr(err.text, "limit"), "%s", err.text);
    vb_stop_close(stop);
    for (int i = 0; i < 1000; i++) text[4 * i] = 'b';
    cr_assert_eq(vb_stop_open(&stop, VB_STOP_REGEX, "^(?:(a)|(b)|(c))+$", 0, NULL), VB_OK);
    for (int i = 0; i < 50; i++) {
        vb_status status = vb_stop_find(stop, text, sizeof text, VB_TEXT_ENDED, &s, &err);
        cr_assert(status == VB_E_FULL || (status == VB_OK && s.met), "%d", status);
    }
    vb_stop_close(stop);
}

Test(lines, patterns_that_are_none)
{
    static const char *const bad[] = {NULL, "", "(", "[a", "a{2,1}", "\\C", "(?<n>a)(?<n>b)"};
    vb_stop *stop;
    vb_err err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(vb_stop_open(&stop, VB_STOP_REGEX, bad[i], 0, &err), VB_E_ARGUMENT);
        cr_assert_null(stop);
        cr_assert_not_null(strstr(err.text, "regex: "));
    }
    cr_assert_eq(vb_stop_open(&stop, (vb_stop_rule)7, NULL, 0, &err), VB_E_ARGUMENT);
}

Test(lines, quotes_are_kept)
{
    static const example kept[] = {
        {"\"Hello.\" He", "\"Hello.\""}, {"Yes!\" He", "Yes!\""}, {"\xC2\xAB Oui. \xC2\xBB Il", "\xC2\xAB Oui. \xC2\xBB"},
    };
    vb_stop *stop;
    char buf[4096];
    cr_assert_eq(vb_stop_open(&stop, VB_STOP_SENTENCE, NULL, 1, NULL), VB_OK);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        cr_expect(same(line_of(stop, kept[i].text, strlen(kept[i].text), VB_TEXT_ENDED, buf), kept[i].line), "%s", kept[i].text);
        check_cuts(stop, kept[i].text, kept[i].line);
    }
    vb_stop_close(stop);
}

Test(lines, all_of_it)
{
    static const example all[] = {
        {" Hello. You ", "Hello. You"}, {"\"'Hi.'\"", "Hi."}, {"\"Hi\" and \"ho\"", "\"Hi\" and \"ho\""}, {"\"\"", ""},
        {"\"", ""}, {"", ""}, {"\xE2\x80\x98Hi.\xE2\x80\x99", "Hi."}, {"Hi.\xE2\x80\x99", "Hi."}, {"\xE3\x80\x8E\xE5\xA5\xBD\xE3\x80\x8F", "\xE5\xA5\xBD"},
    };
    vb_stop *stop;
    char buf[4096];
    cr_assert_eq(vb_stop_open(&stop, VB_STOP_LENGTH, NULL, 0, NULL), VB_OK);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        cr_expect(same(line_of(stop, all[i].text, strlen(all[i].text), VB_TEXT_CUT, buf), all[i].line), "%s", all[i].text);
        cr_expect_null(line_of(stop, all[i].text, strlen(all[i].text), VB_TEXT_GROWS, buf));
    }
    vb_stop_close(stop);
}
