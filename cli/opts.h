/* opts.h - the options as one table, and what parsing leaves behind.
 *
 * Every option is one row: name, letter, type, range, the commands that know it, one line of help. Parsing, usage
 * text, completion scripts and `help --json` all read the table, so an option is described in one place. A value
 * lands in vb_args at the row's offset; zero there means the default, as everywhere in verbatim.h.
 */
#ifndef VB_CLI_OPTS_H
#define VB_CLI_OPTS_H
#include "verbatim.h"

typedef struct vb_command vb_command;

typedef enum { VB_LOG_TEXT, VB_LOG_JSON } vb_log_format;
enum { VB_TEXTS_MAX = 32, VB_OPTS_MAX = 128 };

/* What an option collects that may be given again; behind the last one stands NULL. */
typedef struct {
    const char *text[VB_TEXTS_MAX + 1];
    int n;
} vb_texts;

typedef struct {
    const vb_command *command;
    vb_model_opts model;
    vb_session_opts session;
    vb_sampling sampling;
    int taps, jsonl, diff_taps;
    const char *sign; /* a private key */
    int max_tokens, batch, timeout, gpu_budget;
    int to, at, sample, token; /* of traces: positions, a number of tokens, an id */
    const char *text, *signer;
    int speculate; /* a vb_speculate */
    int pooling;   /* a vb_pooling */
    const char *system, *trace, *other_model, *draft;
    const char *tokens, *tokens_file, *prompt, *out, *template_file, *completion;
    const char *ollama, *llama_server, *ours, *prompts;
    int contributions;
    const char *grammar, *schema; /* files */
    const char *labels, *from;    /* separated by commas; a file */
    int by;                       /* 1: by the sum */
    const char *html; /* the page to write */
    const char *host, *unix_path;
    int port, parallel, max_queue, request_seconds, deadline_seconds;
    int log_format; /* a vb_log_format */
    int no_sandbox;
    const char *trace_dir;
    const char *api_key_file, *keep_alive, *models, *modelfile;
    int insecure;
    const char *type, *imatrix; /* of weights */
    int pure, force;
    vb_texts origins;
    vb_texts stops, recordings;
    int normalize;
    int raw, json, hex, add_special, parse_special, hide_special, tensors, kernels, help;
    uint8_t given[VB_OPTS_MAX]; /* row i of the table was on the command line */
    char **rest;    /* what is not an option */
    int n_rest;
    int prove, quorum, every;
    const char *cast, *entity, *persona, *table; /* of characters */
    vb_texts facts;                              /* NAME=VALUE */
    uint64_t tick, draw, shuffle;
    int speakers;
    float frame; /* ms */
} vb_args;

typedef enum {
    VB_OPT_FLAG,   /* int: 1 */
    VB_OPT_INT,    /* int, min..max */
    VB_OPT_U64,    /* uint64_t */
    VB_OPT_MAYBE,  /* the same; its value may be left out, and is written --name=N */
    VB_OPT_REAL,   /* float, min..max */
    VB_OPT_TEXT,   /* const char * */
    VB_OPT_TEXTS,  /* vb_texts: appended */
    VB_OPT_FILES,  /* the same, completed as file names */
    VB_OPT_FILE,   /* const char *, completed as a file name */
    VB_OPT_MODEL,  /* const char *, completed as a model */
    VB_OPT_CHOICE, /* int: min + index of the word in `choices` */
    VB_OPT_WORD,   /* const char *: one of the words in `choices` */
    VB_OPT_SET     /* int: a bit for each of the words, which are separated by commas; the first one's is 1 */
} vb_opt_type;

typedef struct {
    const char *name;
    char letter; /* 0: none */
    vb_opt_type type;
    const char *value; /* how help calls the value; for CHOICE and WORD the words, separated by '|'; NULL: a flag */
    double min, max;
    size_t at;         /* offset in vb_args */
    uint64_t commands; /* bit per vb_command_id */
    const char *help;
} vb_opt;

extern const vb_opt vb_opts[];
extern const int vb_n_opts;

int vb_opt_of(const vb_opt *opt, const vb_command *command); /* 1: the command knows the option */
int vb_opt_given(const vb_args *args, const char *name);
int vb_wants_gpu(const vb_args *args); /* 1: --gpu-layers or --player vulkan */

/* Reads words[0..n) for args->command; the words that are no options are collected in args->rest (which must have
 * room for n). Returns 0, or 2 after saying on stderr what was expected and what was found. */
int vb_opts_parse(vb_args *args, char **words, int n);

#endif
