/* cast.h - what stands behind the public vb_cast.
 *
 *   request --> lines [waits] --a slot is free--> [speaks] --> [done] --> collect
 *                                                  slot: a session, the text of the attempt
 *
 *   cast.c      opening, closing                 role.c    a persona, ready for use
 *   request.c   what is asked for, its prompt    past.c    whose lines must be finished first
 *   speak.c     one line in its slot, token by token: attempts, ends
 *   step.c      all slots together, until a deadline         pace.c  how much one evaluation may hold
 *   collect.c   what was said, as text            save.c    all of it as bytes
 *
 * A line keeps its tokens: the prompt and what was chosen. Text, session and grammar follow from them and are made again
 * wherever they are needed, so that a line can be saved, moved and shown at any time.
 *
 * Invariant: which slot speaks a line, with whom, and how often it was interrupted cannot be seen in its tokens.
 */
#ifndef VB_CAST_CAST_H
#define VB_CAST_CAST_H
#include "base/arena.h"
#include "base/err.h"
#include "cast/fill.h"
#include "cast/filter.h"
#include "cast/memory.h"
#include "cast/stop.h"
#include "cast/table.h"
#include "verbatim_dialogue.h"

enum { VB_CAST_CHUNK = 128, VB_REQUEST_FACTS = 64, VB_TOKEN_ROOM = 1024 };
/* prompt tokens of one evaluation; facts of a request; bytes of a token that are taken */

/* A persona, ready for use. */
typedef struct {
    vb_persona is; /* its texts are copies */
    vb_fill *prompt, *entry;
    vb_stop *stop;
    vb_filter *filter;
    vb_grammar *grammar;   /* forked for each attempt; NULL: none */
    vb_session *beginning; /* what stands before the prompt's first ${}; NULL: nothing */
    int sees, recalls;     /* 1: its prompt has ${memory}, ${recalled} */
} vb_role;

typedef enum { VB_SAYING_FREE = 0, VB_SAYING_WAITS, VB_SAYING_SPEAKS, VB_SAYING_DONE } vb_saying_state;

/* A line on its way. */
typedef struct {
    vb_line_key key;
    vb_token *tokens; /* [context]: the prompt, then what this attempt has chosen */
    char *request;    /* [request_cap]: text, what was recalled and facts; of a line that failed, why */
    size_t request_len;
    int role, state, next, slot;
    int entity;      /* of vb_past; -1: memory has no part in it */
    int n_prompt, n; /* tokens; n_prompt 0: the prompt is not known yet */
    int attempt;     /* those that failed before */
    int chosen;      /* tokens of all attempts */
    int remembered;  /* 1: its entry is in the memory */
    vb_line_end end;
    vb_status failed;
    int baked;
    vb_said said; /* if baked */
} vb_saying;

/* Lines in an order. */
typedef struct {
    int first, last; /* -1: none */
} vb_row_of;

typedef struct {
    vb_session *session;
    vb_grammar *grammar;
    int line; /* -1: nobody speaks */
    char *text;
    size_t len, held; /* certain bytes; behind them those of an unfinished character */
    size_t clean;     /* vb_filter_find's */
} vb_slot_of;

/* An entity that memory has a part in. */
typedef struct {
    uint64_t id, tick; /* the latest that was asked for */
    uint64_t awaited;  /* the earliest tick of a line that is not finished and will be remembered; UINT64_MAX: none */
    int lines;         /* of it that are not collected */
} vb_entity;

/* How long the longest step of an evaluation takes: alone, and what each session and each token adds. */
typedef struct {
    double alone_ns, session_ns, token_ns;
    double scale; /* what the machine makes of it just now */
    int steps;    /* callbacks of one evaluation */
} vb_pace;

/* The evaluation that is going on, and what its callback needs. */
typedef struct {
    vb_work *works; /* [slots] */
    int n, tokens;  /* n 0: there is none */
    int steps;      /* that were done */
    int64_t deadline, last, longest;
} vb_group;

struct vb_cast {
    vb_arena arena;
    vb_model *model, *own; /* own: to be closed with the cast; NULL: none */
    vb_model *own_embedder;
    vb_recall *own_recall;
    vb_model_info info;
    int context, n_slots, n_lines, entries, n_entities_most;
    vb_kv kv;
    vb_role *roles;
    int n_roles;
    vb_fact *facts;
    int n_facts;
    vb_recall *recall;
    vb_memory *memory; /* NULL: no prompt has ${memory} */
    vb_entity *entities;
    int n_entities;

    uint8_t *pages;
    size_t pages_bytes;
    vb_slot_of *slots;  /* [n_slots + 1], the last one for vb_cast_say */
    vb_saying *lines;   /* [n_lines + 1], the last one for vb_cast_say */
    int longest; /* bytes of a token that are taken */
    size_t request_cap, text_cap, room_cap, memory_cap;
    vb_filling *fillings;
    char *text;         /* [text_cap + 1] of what was collected */
    char *room, *memory_text;
    float *logits;      /* [vocab], the sampler's work area */
    uint8_t *sorting;   /* [vocab][32], its other one */
    uint8_t *mask;
    vb_row_of waiting, done, unused;
    int unfinished;
    int turn;           /* the slot that comes first in the next evaluation */
    vb_group group;
    vb_pace pace;
    int may_stop;       /* 1: the player can go on where it was stopped */

    vb_table *table;
    vb_namer *namer; /* NULL: no table, nothing is baked */
    vb_bake *bake;
    vb_err bake_err; /* code 0: nothing went wrong */
};

/* cast.c */
/* To be closed with it; each may be NULL. */
void vb_cast_own(vb_cast *cast, vb_model *model, vb_model *embedder, vb_recall *recall);
vb_status vb_cast_name_lines(vb_cast *cast, vb_err *err); /* makes the namer, if there is none */
/* role.c */
vb_status vb_role_open(vb_role *role, vb_cast *cast, const vb_persona *persona, vb_err *err);
vb_status vb_role_begin(vb_role *role, vb_cast *cast, vb_err *err); /* evaluates its beginning */
void vb_role_close(vb_role *role);
int vb_role_find(const vb_cast *cast, const char *name); /* -1: there is none */
/* request.c */
vb_saying *vb_cast_find(const vb_cast *cast, const vb_line_key *key);
vb_status vb_saying_ask(vb_cast *cast, vb_saying *line, const vb_line_request *request, vb_err *err);
vb_status vb_saying_prepare(vb_cast *cast, vb_saying *line, vb_err *err); /* the prompt, if it can be known and is not */
int vb_saying_fillings(vb_cast *cast, const vb_saying *line, vb_filling *out); /* all but memory and line */
void vb_row_add(vb_cast *cast, vb_row_of *row, vb_saying *line);
void vb_row_remove(vb_cast *cast, vb_row_of *row, const vb_saying *line);
/* past.c */
vb_status vb_past_join(vb_cast *cast, vb_saying *line, vb_err *err); /* a line that is asked for */
vb_status vb_past_return(vb_cast *cast, vb_saying *line, vb_err *err); /* one that was saved */
void vb_past_leave(vb_cast *cast, vb_saying *line);                  /* one that is gone */
void vb_past_settle(vb_cast *cast, int entity);
int vb_past_is_known(const vb_cast *cast, const vb_saying *line); /* 1: all that it may see is there */
vb_status vb_past_remember(vb_cast *cast, vb_saying *line, const char *text, size_t len, vb_err *err);
/* speak.c */
vb_status vb_slot_begin(vb_cast *cast, vb_slot_of *slot, vb_saying *line, vb_err *err);
int vb_slot_missing(const vb_cast *cast, const vb_slot_of *slot); /* tokens to evaluate before the next choice */
void vb_slot_choose(vb_cast *cast, vb_slot_of *slot);             /* the next token; perhaps the line is done then */
void vb_slot_fail(vb_cast *cast, vb_slot_of *slot, const vb_err *err);
void vb_slot_clear(vb_cast *cast, vb_slot_of *slot);
void vb_saying_fail(vb_saying *line, const vb_err *err);
/* What the tokens of a line say, in a room of text_cap bytes; returns the length. */
size_t vb_saying_spell(vb_cast *cast, const vb_saying *line, char *text);
vb_status vb_saying_line(vb_cast *cast, const vb_saying *line, const char *text, size_t len, vb_stopped *out);
/* step.c */
void vb_saying_complete(vb_cast *cast, vb_saying *line); /* is done: who waited for it may begin */
int vb_saying_is_baked(vb_cast *cast, vb_saying *line);  /* 1: the table had it, and it is done */
/* pace.c */
vb_status vb_pace_measure(vb_cast *cast, vb_err *err);
void vb_pace_limits(const vb_cast *cast, int *sessions, int *tokens);
vb_status vb_group_eval(vb_cast *cast, int64_t deadline, vb_err *err);
/* collect.c */
void vb_saying_describe(vb_cast *cast, const vb_saying *line, vb_line *out);
void vb_saying_release(vb_cast *cast, vb_saying *line);

#endif
