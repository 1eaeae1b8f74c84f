/* verbatim_easy.h - the short way: load a model, then ask it for text, for JSON that fits a schema, or for a label.
 *
 *   vb_easy *e;
 *   vb_easy_open(&e, "smollm2", NULL, &err);
 *   vb_easy_prompt(e, "Why is the sky blue?", NULL, &answer, &err);      answer.text
 *   vb_easy_close(e);
 *
 * One vb_easy is a model with one session. What verbatim.h says of conventions and bits holds here too: an answer depends on
 * model, text and settings alone, not on what was asked before. The session keeps what it holds, so that a text which begins as
 * the last one did is evaluated from where it differs.
 *
 * Threads: a vb_easy does one thing at a time. A second call while one runs, from another thread or out of a callback, is
 * refused with VB_E_ARGUMENT. vb_easy_cancel and vb_easy_state_of alone may be called at any time, by any thread and by any
 * callback. Callbacks run on the thread that made the call. Several vb_easy on one model (vb_easy_opts.opened) are independent.
 *
 * Texts are UTF-8 and end with a NUL.
 */
#ifndef VERBATIM_EASY_H
#define VERBATIM_EASY_H
#include "verbatim.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vb_easy vb_easy;

/* --- loading and status --------------------------------------------------------------------------------- */

typedef enum {
    VB_EASY_IDLE = 0,   /* nothing is loaded */
    VB_EASY_LOADING,
    VB_EASY_READY,
    VB_EASY_GENERATING, /* also while it classifies or extracts */
    VB_EASY_ERROR       /* the last call failed; what was loaded can be asked again */
} vb_easy_state;

typedef struct {
    vb_easy_state state;
    double progress;  /* of loading, 0 to 1; otherwise 1, or 0 where nothing is loaded */
    const char *text; /* of an error; otherwise empty. Valid during the callback */
} vb_easy_status;

typedef struct {
    vb_model_opts model;
    vb_session_opts session;
    vb_model *opened; /* this model instead of opening one; it stays yours and must live as long */
    int lazy;         /* 1: the weights are not read ahead, but when they are first needed */
    /* Hears of every change, and of progress. While it loads, returning anything but 0 ends that with VB_E_STOPPED. */
    int (*on_status)(void *ud, const vb_easy_status *status);
    void *ud;
} vb_easy_opts;

/* `model` as vb_model_open takes it (NULL with opts->opened). Progress is that of reading the weights (of a split model the
 * first part's), unless they would take more than half of the memory that is available: then they are left to be read when
 * needed. */
VB_API vb_status vb_easy_open(vb_easy **out, const char *model, const vb_easy_opts *opts, vb_err *err);
VB_API void vb_easy_close(vb_easy *e); /* not while a call runs */
VB_API vb_easy_state vb_easy_state_of(const vb_easy *e); /* NULL: idle */
VB_API const char *vb_easy_state_name(vb_easy_state state); /* "idle", "loading", ... */
VB_API vb_model *vb_easy_model(const vb_easy *e);
/* The session itself, to look at between calls: its tokens, its statistics. */
VB_API vb_session *vb_easy_session(const vb_easy *e);
/* Bytes besides the weights that it takes for good: its session. A call needs a little more for its texts and tokens. */
VB_API uint64_t vb_easy_bytes(const vb_easy *e);
/* Ends the call that runs: it returns VB_E_STOPPED soon, in the middle of a prompt too. 1: a call runs and will end with it
 * (unless it was just done); 0: none runs, nothing happens. */
VB_API int vb_easy_cancel(vb_easy *e);

/* --- text ------------------------------------------------------------------------------------------------ */

/* Zero bytes mean the defaults; the whole struct may be NULL. */
typedef struct {
    vb_sampling sampling;
    int max_tokens; /* 0: until the model ends or the context is full */
    const char *const *stops; /* texts that end the answer and are no part of it */
    int n_stops;
    /* Of vb_easy_prompt, vb_easy_extract and vb_easy_classify: the system text. NULL: the one the store has for the model, if
     * it has one. */
    const char *system;
    vb_grammar *grammar; /* what the text is held to, or NULL; it is moved on. Not of vb_easy_extract. */
    const char *trace;   /* a file, which must not exist, that records the answer; NULL: none */
    /* New text, whole characters. Return 0 to go on; anything else ends the answer, which is then VB_END_CALLBACK. */
    int (*on_text)(void *ud, const char *text, size_t len);
    void *ud;
} vb_easy_how;

typedef struct {
    const char *text; /* valid until the next call with this vb_easy; a NUL follows */
    size_t len;
    int prompt_tokens, known_tokens; /* known: those that needed no evaluation */
    int tokens;                      /* generated, the ending one included */
    vb_end end;
} vb_easy_answer;

/* Goes on behind the prompt as it is: control tokens in it are read, BOS is added as the model says. */
VB_API vb_status vb_easy_generate(vb_easy *e, const char *prompt, const vb_easy_how *how, vb_easy_answer *out, vb_err *err);
/* Answers a user's text, through the model's chat template. A model without one goes on behind the plain form: the system text
 * and an empty line, if there is one, then the user's text; nothing in it becomes a control token. */
VB_API vb_status vb_easy_prompt(vb_easy *e, const char *text, const vb_easy_how *how, vb_easy_answer *out, vb_err *err);
/* The same of a conversation; needs a chat template. how->system is not looked at. */
VB_API vb_status vb_easy_chat(vb_easy *e, const vb_message *messages, size_t n, const vb_easy_how *how, vb_easy_answer *out,
                              vb_err *err);

/* --- JSON ------------------------------------------------------------------------------------------------ */

/* What was done to a text so that it became JSON; a sum of these. */
enum {
    VB_EASY_PROSE = 1,     /* text around it, or a code fence, was left out */
    VB_EASY_COMMAS = 2,    /* commas too many or too few */
    VB_EASY_QUOTES = 4,    /* other quotation marks, or none around a name */
    VB_EASY_WORDS = 8,     /* True, False, None */
    VB_EASY_COMMENTS = 16, /* comments were left out */
    VB_EASY_ESCAPES = 32,  /* characters in strings that JSON wants escaped, or escapes that it does not have */
    VB_EASY_CLOSED = 64    /* brackets were closed that had been left open; a name without a value behind it was left out */
};
VB_API const char *vb_easy_repair_name(int repair); /* of one: "prose", "commas", ...; NULL: there is none */

/* Takes the JSON out of any text and checks it against a schema (NULL: any object or array will do). Values are never made up
 * or changed: a text that breaks off inside a string is refused. If nothing had to be done, the JSON is the text's own bytes.
 * The first object or array that fits is taken; a text that is nothing else than another value is that value. Returns the
 * length; *repairs (may be NULL) says what was done. VB_E_DIFFERS: there is none that fits; err says which place, as
 * "$.people[1].age: expected an integer, found a string". VB_E_FORMAT: the schema is no schema. docs/EASY.md lists the
 * keywords. */
VB_API int64_t vb_easy_json(const char *text, const char *schema, char *buf, size_t cap, int *repairs, vb_err *err);
/* Asks the model for what `text` says, as JSON that fits the schema. The answer is held to it token by token, so it always
 * fits as far as docs/GRAMMAR.md says; it is checked besides with vb_easy_json, and refused with VB_E_DIFFERS where a keyword
 * that is not held is violated, or where max_tokens or the context ended it too early. */
VB_API vb_status vb_easy_extract(vb_easy *e, const char *text, const char *schema, const vb_easy_how *how, vb_easy_answer *out,
                                 vb_err *err);

/* --- labels ---------------------------------------------------------------------------------------------- */

typedef struct {
    const char *const *labels; /* n >= 2, all different, none empty */
    int n;
    const char *system; /* as in vb_easy_how */
    int raw;            /* 1: the text is the whole prompt, as for vb_easy_generate, and the labels stand right behind it */
    int by_sum;         /* 1: the label with the largest sum is taken, instead of the largest mean */
} vb_easy_labels;

typedef struct {
    int tokens;
    double sum;         /* of the log-probabilities of its tokens behind the prompt, first to last */
    double mean;        /* sum / tokens */
    double probability; /* its share among the labels: exp(mean), or exp(sum), over the total of all */
} vb_easy_score;

/* Which label fits a text. The model is asked with the labels named (docs/EASY.md has the words), and each label is scored as
 * the answer; a label's tokens are those it has behind a line end. The label of the largest mean is taken (by_sum: sum), of
 * equal ones the one that is named first. `scores` gets n of them and may be NULL. Returns the index of the label. */
VB_API int vb_easy_classify(vb_easy *e, const char *text, const vb_easy_labels *labels, vb_easy_score *scores, vb_err *err);

#ifdef __cplusplus
}
#endif
#endif
