/* verbatim_dialogue.h - characters that say the same line in every replay.
 *
 * A cast is a model with personas. A line is what one entity says at one tick of a world; all that is random about it
 * follows from its key:
 *
 *   XXH3-128 of world, entity, tick, draw        four u64, little endian; canonical form, 16 bytes, big endian
 *     bytes 0 to 7  -> vb_sampling.stream
 *     bytes 8 to 15 -> vb_sampling.seed
 *
 * so that number i of a line is a pure function of (key, i), by docs/ARITHMETIC.md J6. What a line says follows from
 * these numbers, the model, the persona and the text that fills it. Order, batch, slices of time, saving and restoring,
 * threads, instruction set and machine have no part in it.
 *
 *   a game's loop:  vb_cast_request ...   as things happen
 *                   vb_cast_step          once a frame, until a deadline; resumes where it stopped
 *                   vb_cast_collect       the lines that are finished
 *   anything else:  vb_cast_say           one line, now
 *
 * The conventions are those of verbatim.h. A cast belongs to one thread at a time.
 */
#ifndef VERBATIM_DIALOGUE_H
#define VERBATIM_DIALOGUE_H
#include "verbatim.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- keys ---------------------------------------------------------------------------------------------- */

typedef struct {
    uint64_t world;  /* the seed of the whole world */
    uint64_t entity; /* who speaks; vb_entity_id makes one of a name */
    uint64_t tick;   /* when */
    uint64_t draw;   /* which of several lines of one entity at one tick; 0 is the first */
} vb_line_key;

VB_API void vb_line_stream(const vb_line_key *key, uint64_t *seed, uint64_t *stream);
/* The 32-bit random words of positions 0 to n - 1, as the sampler takes them. */
VB_API void vb_line_words(const vb_line_key *key, uint32_t *words, int n);
/* XXH3-64 of the name's bytes. */
VB_API uint64_t vb_entity_id(const char *name, size_t len);

/* --- personas ------------------------------------------------------------------------------------------ */

/* Where a line ends. Whatever the rule, it also ends with the model's ending token and at max_tokens; what comes before
 * the rule is met is then the line only if the rule is VB_STOP_LENGTH, else the line does not fit. */
typedef enum {
    VB_STOP_SENTENCE = 0, /* behind the first sentence: . ! ? and their like in other scripts, with closing quotes and
                             brackets, but not behind an abbreviation ("Mr."), an initial or inside a number */
    VB_STOP_LINE,         /* before the first line break */
    VB_STOP_REGEX,        /* where `regex` (PCRE2, UTF) first matches; the line is its group 1, or all of the match */
    VB_STOP_LENGTH        /* nowhere else */
} vb_stop_rule;

/* A template is text with ${name} in it: ${text} is what the request says, ${memory} and ${recalled} what is below,
 * ${line} (in `entry`) the line that was said, all others are facts of the request, or those of the cast. $$ is a dollar
 * sign. A name that nobody fills is an error of the request. Text that is filled in never becomes a control token. */
typedef struct {
    const char *name, *value;
} vb_fact;

typedef struct {
    const char *name;
    const char *prompt;     /* a template; up to its first ${} it is evaluated once for all lines */
    vb_sampling sampling;   /* its seed and stream are the key's */
    vb_stop_rule stop;
    const char *regex;
    int max_tokens;         /* 0: 60 */
    const char *grammar;    /* GBNF that holds the line; the line is then all of it. NULL: none */
    const char *schema;     /* or a JSON Schema */
    const char *const *banned; /* words, in any case, that no line may have */
    int n_banned;
    int attempts;           /* how often a line that does not fit is drawn again, with `draw` + 2^32 * attempt; 0: 3 */
    const char *fallback;   /* said when nothing fits; NULL: "..." */
    int keep_quotes;        /* 0: quotation marks around a line are taken away */
    const char *entry;      /* a template: what the entity remembers of a line it said; NULL: nothing */
    int memory_tokens;      /* the newest entries that fit into so many tokens become ${memory}, the oldest first */
    int recall;             /* how many passages of vb_cast_opts.recall become ${recalled}, the nearest to ${text} first */
} vb_persona;

/* --- what was, by meaning ------------------------------------------------------------------------------ */

/* Passages with their embeddings, kept in a file. Searching is exact; equal scores go by tick, entity and text, never by
 * the order in which passages were added. */
typedef struct vb_recall vb_recall;
typedef struct {
    uint64_t entity, tick;
    const char *text; /* until the next call */
    size_t len;
    float score; /* cosine */
} vb_recalled;

/* `embedder` must outlive it. `path` NULL: in memory alone. A file of another embedder is VB_E_DIFFERS. */
VB_API vb_status vb_recall_open(vb_recall **out, const char *path, vb_model *embedder, vb_err *err);
/* Long texts are cut at ends of sentences into passages of at most 128 tokens. entity 0 is everybody's. */
VB_API vb_status vb_recall_add(vb_recall *recall, uint64_t entity, uint64_t tick, const char *text, size_t len, vb_err *err);
/* The k nearest of what `entity` and everybody know from before `tick`; returns how many, at most k. */
VB_API int vb_recall_search(vb_recall *recall, uint64_t entity, uint64_t tick, const char *text, size_t len, vb_recalled *out,
                            int k, vb_err *err);
VB_API int64_t vb_recall_count(const vb_recall *recall);
VB_API vb_status vb_recall_close(vb_recall *recall, vb_err *err);

/* --- the cast ------------------------------------------------------------------------------------------ */

typedef struct vb_cast vb_cast;
typedef struct {
    const vb_persona *personas;
    int n_personas;
    const vb_fact *facts; /* of the world, for all templates */
    int n_facts;
    int speakers;         /* lines that are spoken at once; 0: 32 */
    int waiting;          /* lines that may be requested and not yet collected; 0: 1024 */
    int context;          /* tokens of a line with its prompt; 0: 256, at most the model's */
    vb_kv kv;
    int entries;          /* remembered by each entity at most, the oldest go first; 0: 64 */
    int entities;         /* that remember; 0: 256. Only where a prompt has ${memory} */
    vb_recall *recall;    /* must outlive the cast; NULL: none */
    const char *table;    /* lines that `verbatim bake` made: they are answered from there; NULL: none */
} vb_cast_opts;

/* `model` must outlive the cast. */
VB_API vb_status vb_cast_open(vb_cast **out, vb_model *model, const vb_cast_opts *opts, vb_err *err);
/* From JSON as docs/DIALOGUE.md describes it; the model that it names ("tales-1m" if none) is opened and closed by the
 * cast, with `how` (may be NULL). NULL text: the cast of one villager that is built in. */
VB_API vb_status vb_cast_open_json(vb_cast **out, const char *text, size_t len, const vb_model_opts *how, vb_err *err);
VB_API void vb_cast_close(vb_cast *cast);
VB_API vb_model *vb_cast_model(const vb_cast *cast);
/* The most memory that a cast of these options will ever use beyond the model, without what grammars and baking take; 0:
 * `err` says why not. */
VB_API uint64_t vb_cast_bytes(const vb_model *model, const vb_cast_opts *opts, vb_err *err);
/* SHA-256 of all that decides what lines say: model, arithmetic, KV type, personas, facts. */
VB_API vb_status vb_cast_digest(const vb_cast *cast, uint8_t out[32], vb_err *err);

typedef struct {
    vb_line_key key;
    const char *persona; /* NULL: the first */
    const char *text;    /* for ${text}; NULL: empty */
    const vb_fact *facts;
    int n_facts; /* at most 64; with the text at most 16 bytes for each token of the cast's context, 1024 at least */
} vb_line_request;

typedef enum {
    VB_LINE_SENTENCE = 0, VB_LINE_BREAK, VB_LINE_MATCH, VB_LINE_LENGTH, VB_LINE_ENDED, /* ended: by the model's token */
    VB_LINE_HELD,    /* the grammar was fulfilled */
    VB_LINE_FALLBACK /* nothing fitted */
} vb_line_end;

typedef struct {
    vb_line_key key;
    const char *persona;
    const char *text; /* NUL behind it; until the next call on the cast */
    size_t len;
    vb_line_end end;
    int attempts;     /* 1: the first one fitted */
    int prompt_tokens, tokens; /* tokens: chosen, of all attempts */
    int baked;        /* 1: it was in the table; then nothing was computed */
    vb_status failed; /* not 0: it could not be spoken; `text` says why */
} vb_line;

/* One line, now; what was requested before stays as it is. A line that would have to wait for one of those is
 * VB_E_ARGUMENT. */
VB_API vb_status vb_cast_say(vb_cast *cast, const vb_line_request *request, vb_line *out, vb_err *err);

/* Asks for a line. VB_E_FULL: `waiting` lines are there already, or the request is too long for a context of this size. Two
 * requests of one key before the first one's line is collected are an error.
 * With memory an entity's ticks must be asked for in ascending order; a line sees entries of earlier ticks only, and waits
 * for lines of its entity that make them. */
VB_API vb_status vb_cast_request(vb_cast *cast, const vb_line_request *request, vb_err *err);
/* Speaks for all that wait until `max_tokens` tokens have been chosen (0: any number) or the clock vb_cast_now reaches
 * `deadline_ns` (0: never). It may stop in the middle of a token and goes on from there the next time; some work is done
 * however late it is. Nothing is allocated but by grammars, by baking, and for tokenizing a prompt with ${memory}. Returns
 * how many lines are not finished. */
VB_API int vb_cast_step(vb_cast *cast, int max_tokens, int64_t deadline_ns, vb_err *err);
VB_API int64_t vb_cast_now(void); /* a monotonic clock */
/* The next finished line, in the order of finishing. 1: here it is; 0: there is none. */
VB_API int vb_cast_collect(vb_cast *cast, vb_line *out);
VB_API int vb_cast_cancel(vb_cast *cast, const vb_line_key *key); /* 1: it was there and is gone */

/* Adds to what an entity remembers by itself: a line heard, a thing seen. */
VB_API vb_status vb_cast_remember(vb_cast *cast, uint64_t entity, uint64_t tick, const char *text, size_t len, vb_err *err);
VB_API void vb_cast_forget(vb_cast *cast, uint64_t entity);

/* All that waits, is half spoken, finished or remembered, as bytes for a saved game; returns their number. A cast with the
 * same digest goes on from them, on any machine. */
VB_API int64_t vb_cast_save(const vb_cast *cast, void *buf, size_t cap, vb_err *err);
VB_API vb_status vb_cast_restore(vb_cast *cast, const void *buf, size_t len, vb_err *err);

/* --- tables -------------------------------------------------------------------------------------------- */

/* A table's entry is found by the digest of everything that decides its line, so a table never answers for another model,
 * persona, text or memory. `lines` are written in the order of these digests: a table is the same file however it was
 * made. */
typedef struct vb_table vb_table;
VB_API vb_status vb_table_open(vb_table **out, const char *path, vb_err *err);
VB_API int64_t vb_table_count(const vb_table *table);
VB_API void vb_table_close(vb_table *table);
/* Every line that `cast` finishes from now on goes into the table as well, which vb_cast_bake_end writes to `path`. */
VB_API vb_status vb_cast_bake(vb_cast *cast, vb_err *err);
VB_API vb_status vb_cast_bake_end(vb_cast *cast, const char *path, vb_err *err);

#ifdef __cplusplus
}
#endif
#endif
