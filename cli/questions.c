/* questions.c - the ready questions: prose, lists, code, numbers, data, other languages and scripts, white space. Short
 * ones, so that a certificate takes a minute; of every kind that engines read differently.
 */
#include "questions.h"

#include "out.h"

#include <stdlib.h>
#include <string.h>

static const vb_asked ready[] = {
    {"The longest river in Africa is", 1},
    {"Early one morning the lighthouse keeper noticed that", 1},
    {"2, 3, 5, 7, 11, 13,", 1},
    {"#include <stdio.h>\n\nint main(void)\n{\n    ", 1},
    {"{\"city\": \"Oslo\", \"population\":", 1},
    {"Le soleil se l\xC3\xA8ve \xC3\xA0 l'est et", 1},
    {"\xE6\x98\xA5\xE7\x9C\xA0\xE4\xB8\x8D\xE8\xA7\x89\xE6\x99\x93\xEF\xBC\x8C", 1},
    {"Shopping list:\n\n\t- apples\n\t-   pears\n\t- ", 1},
    {"How many days are in a leap year?", 0},
    {"Write two sentences about the sea.", 0},
    {"Name three metals, one per line.", 0},
    {"What is 17 + 25? Answer with the number only.", 0},
    {"Translate \"thank you very much\" into Spanish.", 0},
    {"Write a shell command that counts the lines of all .txt files.", 0},
    {"Why do leaves turn red in autumn? \xF0\x9F\x8D\x82", 0},
    {"Give an example of a JSON object with the keys name and age.", 0},
};

static int use_ready(vb_questions *out)
{
    out->n = (int)(sizeof ready / sizeof *ready);
    out->item = malloc(sizeof ready);
    if (out->item == NULL) return vb_no_memory();
    memcpy(out->item, ready, sizeof ready);
    return 0;
}

/* Lines end here, with a NUL in place of the newline. */
static int split(vb_questions *out)
{
    int lines = 1;
    for (size_t i = 0; i < out->text.len; i++) lines += out->text.data[i] == '\n';
    out->item = calloc((size_t)lines, sizeof *out->item);
    if (out->item == NULL) return vb_no_memory();
    for (char *line = out->text.data, *end = line + out->text.len; line < end;) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        if (stop == NULL) stop = end;
        *stop = '\0';
        if (stop > line && stop[-1] == '\r') stop[-1] = '\0';
        if (*line != '\0') out->item[out->n++].text = line;
        line = stop + 1;
    }
    return 0;
}

int vb_questions_read(vb_questions *out, const char *path, int raw)
{
    *out = (vb_questions){0};
    int code = path == NULL ? use_ready(out) : vb_read_all(path, &out->text);
    if (code == 0 && path != NULL) code = out->text.data == NULL ? 0 : split(out);
    if (code == 0 && out->n == 0) {
        vb_say("%s: expected a question on a line, found none", path);
        code = VB_EXIT_INPUT;
    }
    for (int i = 0; i < out->n && raw; i++) out->item[i].raw = 1;
    return code;
}

void vb_questions_free(vb_questions *q)
{
    free(q->item);
    free(q->text.data);
    *q = (vb_questions){0};
}
