/* answer.h - one answer of a model: read the prompt's tokens, choose new ones, print and keep the text. */
#ifndef VB_CLI_ANSWER_H
#define VB_CLI_ANSWER_H
#include "input.h"
#include "opts.h"

typedef struct {
    vb_buffer text; /* free its data */
    vb_generated generated;
    vb_stats stats;     /* of this answer alone */
    int known;          /* tokens of the prompt that needed no evaluation */
    const char *trace;  /* path, NULL: none */
    uint8_t digest[32]; /* the trace's last link */
    vb_session *draft;  /* NULL: none */
    vb_grammar *grammar; /* what the text is held to, from its beginning on; NULL: nothing */
    const vb_resumed *from; /* the trace it branches from; NULL: none */
    int print, failed;
} vb_turn;

/* Brings the session to `ids`, generates, records to `trace` (NULL: no trace). `prompt` is for the trace's header.
 * With answer->print the text goes to stdout as it comes. Returns an exit code; VB_EXIT_INTERRUPTED after Ctrl-C,
 * with everything up to there kept. */
int vb_turn_make(vb_turn *answer, vb_session *session, const vb_args *args, const vb_ids *ids, const char *prompt,
                   const char *trace);
/* "prefill 27 tokens 312.4/s, decode 48 tokens 91.2/s (12 of 15 drafted accepted), trace FILE, digest HEX" on
 * stderr. */
void vb_turn_say(const vb_turn *answer);
const char *vb_end_name(vb_end end); /* "token", "length", ... */

#endif
