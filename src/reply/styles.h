/* styles.h - the marks that families of models put around calls and thoughts, told from a chat template. */
#ifndef VB_REPLY_STYLES_H
#define VB_REPLY_STYLES_H
#include <stddef.h>

enum { VB_MARKS_DROPPED = 4, VB_MARKS_INNER = 4 };

/* A call that is not JSON: name, then the name's text, then for each argument key, its name, and `text` or `json`, then its
 * value and `behind`; `end` behind all. Line ends may be left out. */
typedef struct {
    const char *name, *named, *key, *text, *json, *behind, *end;
} vb_call_tags;

/* Around calls. */
typedef struct {
    const char *sign;        /* stands in the templates of models that write so */
    const char *open, *close; /* close NULL: up to the next open, or the end */
    const char *drop[VB_MARKS_DROPPED]; /* stand outside of calls and say nothing */
    const char *inner[VB_MARKS_INNER];  /* tokens that stand within */
    int whole;               /* 1: the marks are part of the call's text */
    int bare;                /* 1: a call may also be JSON that is the whole answer, and is if it must be made */
    /* How a call goes on behind `open` if it has to be made: `lead`, then JSON, in a list if `list`; if there is `before`:
     * that, the name, `behind`, then JSON of the arguments alone; if there are `tags`, these instead of JSON. */
    const char *lead;
    int list;
    const char *before, *behind;
    const vb_call_tags *tags;
    const char *name_key, *arguments_key; /* NULL: "name", "arguments" */
} vb_call_marks;

/* Around thoughts. */
typedef struct {
    const char *sign, *open, *close;
} vb_thought_marks;

typedef struct {
    int tools, thinks;               /* the template speaks of tools, of thoughts */
    int channels;                    /* 1: everything is written in channels, as gpt-oss does */
    const vb_call_marks *calls;
    const vb_thought_marks *thoughts; /* NULL: none */
} vb_reply_style;

/* Of a chat template in Jinja or in Go's language. */
void vb_reply_recognise(vb_reply_style *out, const char *tmpl, size_t len);
/* The texts of its marks, those of calls only if `calls`, to be written out even where they are control tokens; NULL: no
 * more. */
const char *vb_reply_mark(const vb_reply_style *style, int calls, int index);

#endif
