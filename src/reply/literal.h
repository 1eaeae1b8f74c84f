/* literal.h - values as JSON and its relatives write them: 'a', "a", <|"|>a<|"|>, 1.5, True, none, [...], {k: v}. */
#ifndef VB_REPLY_LITERAL_H
#define VB_REPLY_LITERAL_H
#include <jansson.h>
#include <stddef.h>

typedef struct {
    const char *at, *end;
} vb_cursor;

void vb_cursor_blanks(vb_cursor *c);
int vb_cursor_skip(vb_cursor *c, const char *text); /* 1: it stood there */
/* Letters, digits, '_', '-', '.'; the length is 0 if there are none. */
size_t vb_cursor_name(vb_cursor *c, const char **name);
/* A new reference, the cursor behind it; NULL: there is none. */
json_t *vb_literal_read(vb_cursor *c, int depth);

#endif
