/* fill.h - templates: text with ${name} in it, and what is filled in. */
#ifndef VB_CAST_FILL_H
#define VB_CAST_FILL_H
#include "base/err.h"
#include "verbatim_dialogue.h"

typedef struct vb_fill vb_fill; /* a template, read and checked; copies its text */
/* `what` names it in errors: "persona \"villager\": prompt". `model` NULL: it is for vb_fill_text alone, which knows no
 * control tokens. */
vb_status vb_fill_open(vb_fill **out, const char *what, const char *text, const vb_model *model, vb_err *err);
void vb_fill_close(vb_fill *fill); /* accepts NULL */
uint64_t vb_fill_bytes(const vb_fill *fill); /* what it takes */
/* The names in it, each once, in the order of the text; NULL: no more. */
const char *vb_fill_name(const vb_fill *fill, int index);

/* What stands for a name. The first of a list wins: a request's facts belong before the cast's. */
typedef struct {
    const char *name, *text;
    size_t len;
} vb_filling;
/* The names that are filled by the cast itself: text, memory, recalled, line; a fact that has one of them, or one that no
 * template can say, is refused. `where`: "fact 3". */
vb_status vb_fill_check_fact(const vb_fact *fact, const char *where, vb_err *err);

/* All of it as text; returns its bytes, also when they are more than `cap`; no NUL is added. VB_E_NOT_FOUND: a name that
 * nobody fills. Allocates nothing. */
int64_t vb_fill_text(const vb_fill *fill, const vb_filling *fillings, int n, char *buf, size_t cap, vb_err *err);
/* The same as ids, with BOS where the model wants one. Control tokens are looked for in the template's own text alone;
 * everything between two of them is encoded as one run. `room` is a work area for such a run: VB_E_FULL if it is too small.
 * Returns the number of ids; when there are more than `cap`, some number above `cap`. */
typedef struct {
    char *at;
    size_t cap;
} vb_fill_room;
int64_t vb_fill_encode(const vb_fill *fill, const vb_filling *fillings, int n, vb_fill_room room, vb_token *ids, size_t cap,
                       vb_err *err);
/* The ids of what stands before the first name: most prompts begin with them, but a word that goes on behind it may be
 * split otherwise, so that it is the common beginning that counts. */
int64_t vb_fill_encode_prefix(const vb_fill *fill, vb_fill_room room, vb_token *ids, size_t cap, vb_err *err);

#endif
