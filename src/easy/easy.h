/* easy.h - what the parts of this room know of each other.
 *
 *   easy.c      loading, status, the guard of one call at a time, cancelling
 *   answer.c    prompts to tokens, tokens to an answer
 *   repair.c    any text to JSON's own form
 *   fit.c       a value beside a schema
 *   json.c      the first JSON of a text that fits; asking a model for it
 *   classify.c  labels and their scores
 */
#ifndef VB_EASY_EASY_H
#define VB_EASY_EASY_H
#include "base/err.h"
#include "verbatim_easy.h"

#include <jansson.h>
#include <stdatomic.h>

/* A growing text; a NUL follows its bytes. Free `data`. */
typedef struct {
    char *data;
    size_t len, cap;
} vb_easy_buf;
int vb_easy_put(vb_easy_buf *b, const char *text, size_t len); /* 0: no memory */
int vb_easy_print(vb_easy_buf *b, const char *text);           /* the same up to a NUL */

typedef struct {
    vb_token *ids;
    int n;
} vb_easy_ids; /* free `ids` */

enum { VB_EASY_FREE = 0, VB_EASY_RUNS, VB_EASY_STOPS }; /* vb_easy.running */

struct vb_easy {
    vb_model *model, *own; /* own: to be closed */
    vb_session *session;
    atomic_int running, state;
    int (*on_status)(void *ud, const vb_easy_status *status);
    void *ud;
    vb_easy_buf text; /* of the last answer */
};

/* Every call stands between these two. `err` of vb_easy_done is the text of a failure; it gives back `status`. */
vb_status vb_easy_begin(vb_easy *e, vb_err *err);
vb_status vb_easy_done(vb_easy *e, vb_status status, const vb_err *err);
int vb_easy_stopping(void *e); /* 1: cancelled */

/* A user's text with a system text (NULL: the store's, or none) by the chat template; without one `plain` as it is. */
vb_status vb_easy_encode(const vb_easy *e, const char *system, const char *user, const char *plain, vb_easy_ids *out, vb_err *err);
vb_status vb_easy_tokenize(const vb_easy *e, const char *text, int flags, vb_easy_ids *out, vb_err *err);
/* Goes on behind the ids; on_text and the rest as `how` says (not NULL). */
vb_status vb_easy_answer_ids(vb_easy *e, const vb_easy_ids *ids, const char *prompt, const vb_easy_how *how, vb_easy_answer *out,
                             vb_err *err);

/* A value in the forms that people and models write, at text[*at], as JSON behind `out`; *at is then behind it and *repairs
 * has what was done. 1: read; 0: there is none, and *why says what was expected at text[*at]; VB_E_MEMORY. *budget is the
 * number of bytes that may still be looked at, of all calls together. */
int vb_easy_rewrite(const char *text, size_t len, size_t *at, vb_easy_buf *out, int *repairs, size_t *budget, const char **why);

/* VB_E_DIFFERS: the value does not fit, `err` names the place. VB_E_FORMAT: the schema is none. */
vb_status vb_easy_fit(const json_t *schema, const json_t *value, vb_err *err);

#endif
