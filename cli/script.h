/* script.h - what is asked of a cast, from a file of JSON lines:
 *
 *   {"entity": "Anna", "tick": 3, "draw": 0, "persona": "baker", "text": "Is there bread?", "facts": {"weather": "rain"}}
 *   {"entity": "Anna", "tick": 4, "remember": "It rained at noon."}
 *
 * entity is a number or a name; a text of digits alone is a number. draw, persona, text and facts may be missing. Empty
 * lines are skipped. One line at a time is read, so a script may be longer than memory.
 */
#ifndef VB_CLI_SCRIPT_H
#define VB_CLI_SCRIPT_H
#include "verbatim_dialogue.h"

#include <jansson.h>

enum { VB_SCRIPT_LINE = 1 << 20, VB_SCRIPT_FACTS = 256 }; /* bytes of a line; facts of a request */

typedef struct {
    long line;            /* in the file, from 1 */
    const char *remember; /* not NULL: this is to be remembered, there is nothing to say */
    vb_line_request ask;  /* its key has no world */
    const char *name;     /* the entity's; NULL: it has a number alone */
    json_t *json;         /* what all texts live in */
} vb_script_item;
void vb_script_item_free(vb_script_item *item);

/* Who is meant by a text. 1: a number of 64 bits or a name that is not empty. */
int vb_entity_of(const char *text, uint64_t *id, const char **name);

typedef struct vb_script vb_script;
int vb_script_open(vb_script **out, const char *path); /* 0, or an exit code; "-" is standard input */
void vb_script_close(vb_script *script);
const char *vb_script_path(const vb_script *script);
/* *there 1: `out` is the next item, to be freed; 0: there are no more. 0, or an exit code after saying what is wrong. */
int vb_script_next(vb_script *script, vb_script_item *out, int *there);
int vb_script_ready(const vb_script *script); /* 1: the next item need not be waited for */
double vb_script_done(const vb_script *script); /* 0 to 1; negative: nobody knows how long it is */

#endif
