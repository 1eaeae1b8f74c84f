/* stop.h - where a line ends. */
#ifndef VB_CAST_STOP_H
#define VB_CAST_STOP_H
#include "base/err.h"
#include "verbatim_dialogue.h"

/* Whether more text may follow. Of a text that was cut (at max_tokens, or where the context is full) nobody knows how it
 * would have gone on; where the model ended it, it has an end. */
typedef enum { VB_TEXT_GROWS = 0, VB_TEXT_ENDED, VB_TEXT_CUT } vb_text_state;

typedef struct vb_stop vb_stop; /* a rule, ready for use; one thread at a time */
/* `regex` as in vb_persona, read for VB_STOP_REGEX alone. */
vb_status vb_stop_open(vb_stop **out, vb_stop_rule rule, const char *regex, int keep_quotes, vb_err *err);
void vb_stop_close(vb_stop *stop); /* accepts NULL */
uint64_t vb_stop_bytes(vb_stop_rule rule); /* at most, for an open one */

typedef struct {
    int met;          /* 1: the line is there, and nothing that follows can change it; 0: not yet, or, at the end, not at all */
    size_t from, len; /* of the line in the text, trimmed and without quotation marks around it; len 0: nothing was said */
    vb_line_end end;
} vb_stopped;
/* A pure function of text and state: where the text was cut when it came cannot be seen. Whoever asks after each token
 * gets, from some token on, the same answer for ever; the first one is the line. VB_E_FULL: the regex gave up. Nothing is
 * allocated. Bytes that are no UTF-8 count as letters; a character that has only begun waits for its end. */
vb_status vb_stop_find(const vb_stop *stop, const char *text, size_t len, vb_text_state state, vb_stopped *out, vb_err *err);

/* The end of the first sentence with all that belongs to it; 0: there is none, or none that is certain. */
size_t vb_sentence_end(const char *text, size_t len, vb_text_state state);
/* The text without white space around it, and without the quotation marks around it if `quotes`. */
void vb_line_trim(const char *text, size_t *from, size_t *len, int quotes);

#endif
