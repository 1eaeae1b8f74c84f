/* opts.c - the option table and its one reader.
 *
 *   --name value   --name=value   -l value   -lvalue   --flag   --   (ends the options)   -   (an argument: stdin)
 *
 * Options and arguments may come in any order. Every complaint names the option, what was expected and what was found.
 */
#include "opts.h"

#include "commands.h"
#include "out.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(vb_args, field)
#define ON(id) (UINT64_C(1) << VB_CMD_##id)

#define ALL (ON(COUNT) - 1)
#define PARTNERS (ON(DIFF) | ON(PARITY))
#define EASY (ON(CLASSIFY) | ON(EXTRACT))
#define EVAL (ON(RUN) | ON(LOGITS) | ON(EMBED) | EASY)
#define SCRIPTS (ON(SIMULATE) | ON(BAKE))
#define CASTS (ON(SAY) | SCRIPTS)
#define PLAYS (EVAL | PARTNERS | ON(TRACE_REPLAY) | ON(TRACE_VERIFY) | ON(TRACE_BRANCH))
#define PLANS (PLAYS | ON(EXPLAIN) | ON(SERVE) | CASTS)
#define GENERATES (ON(RUN) | ON(TRACE_BRANCH))
#define SAMPLES (GENERATES | ON(EXTRACT))
#define SERVER (ON(SERVE) | ON(PS) | ON(STOP))

const vb_opt vb_opts[] = {
    {"max-tokens", 'n', VB_OPT_INT, "N", 0, INT_MAX, AT(max_tokens), SAMPLES | PARTNERS,
     "at most N new tokens (default 0: until the model ends or the context is full)"},
    {"seed", 's', VB_OPT_U64, "N", 0, 0, AT(sampling.seed), SAMPLES | ON(DOCTOR) | ON(TRACE_VERIFY) | CASTS,
     "seed of the random choices (default 0); doctor: of the kernel check; trace verify: of the sample; say, simulate, bake: "
     "of the world"},
    {"temp", 0, VB_OPT_REAL, "T", 0, 100, AT(sampling.temperature), SAMPLES,
     "temperature (default 0: greedy, always the best token)"},
    {"top-k", 0, VB_OPT_INT, "K", 0, INT_MAX, AT(sampling.top_k), SAMPLES, "choose among the K best tokens (0: off)"},
    {"top-p", 0, VB_OPT_REAL, "P", 0, 1, AT(sampling.top_p), SAMPLES,
     "choose among the best tokens that together have probability P (0 or 1: off)"},
    {"min-p", 0, VB_OPT_REAL, "P", 0, 1, AT(sampling.min_p), SAMPLES,
     "drop tokens less probable than P times the best (0: off)"},
    {"typical", 0, VB_OPT_REAL, "P", 0, 1, AT(sampling.typical), SAMPLES, "locally typical sampling (0 or 1: off)"},
    {"repeat-penalty", 0, VB_OPT_REAL, "X", 0.01, 100, AT(sampling.repeat), SAMPLES,
     "make tokens of the recent past less probable (1: off)"},
    {"repeat-last-n", 0, VB_OPT_INT, "N", -1, INT_MAX, AT(sampling.repeat_last), SAMPLES,
     "how many past tokens the penalties look at (default 64; -1: all)"},
    {"presence-penalty", 0, VB_OPT_REAL, "X", -100, 100, AT(sampling.presence), SAMPLES,
     "subtracted once from every recent token (0: off)"},
    {"frequency-penalty", 0, VB_OPT_REAL, "X", -100, 100, AT(sampling.frequency), SAMPLES,
     "subtracted for each time a token was used recently (0: off)"},
    {"system", 0, VB_OPT_TEXT, "TEXT", 0, 0, AT(system), ON(RUN) | EASY | PARTNERS, "system message before the prompt"},
    {"raw", 0, VB_OPT_FLAG, NULL, 0, 0, AT(raw), ON(RUN) | ON(CLASSIFY) | PARTNERS,
     "no chat template: the prompt as it is, control tokens in it are read, BOS as the model says"},
    {"cache", 0, VB_OPT_FILE, "DIR", 0, 0, AT(session.cache), GENERATES | ON(SERVE),
     "keep evaluated prompts in DIR, so that they need not be evaluated again"},
    {"speculate", 0, VB_OPT_CHOICE, "auto|off|ngram|draft", VB_SPECULATE_AUTO, 0, AT(speculate), GENERATES,
     "guess tokens and evaluate several at once; never changes a bit (default auto: where it pays)"},
    {"draft", 0, VB_OPT_MODEL, "MODEL", 0, 0, AT(draft), ON(RUN),
     "a smaller model with the same vocabulary that guesses tokens; never changes a bit"},
    {"stop", 0, VB_OPT_TEXTS, "TEXT", 0, 0, AT(stops), GENERATES | PARTNERS, "end the answer before TEXT; may be given again"},
    {"host", 0, VB_OPT_TEXT, "ADDRESS", 0, 0, AT(host), SERVER, "address where the server listens (default 127.0.0.1)"},
    {"port", 0, VB_OPT_INT, "N", 0, 65535, AT(port), SERVER, "its port (default 11434; serve with 0: any that is free)"},
    {"unix", 0, VB_OPT_FILE, "PATH", 0, 0, AT(unix_path), SERVER, "a socket in the file system instead"},
    {"parallel", 0, VB_OPT_INT, "N", 1, 64, AT(parallel), ON(SERVE), "requests of a model that are answered together (default 4)"},
    {"max-queue", 0, VB_OPT_INT, "N", 1, 1 << 20, AT(max_queue), ON(SERVE),
     "requests that may wait for a slot; more are answered 503 (default 512)"},
    {"request-timeout", 0, VB_OPT_INT, "SECONDS", 1, 86400, AT(request_seconds), ON(SERVE),
     "how long a client may take to say a request (default 60)"},
    {"deadline", 0, VB_OPT_INT, "SECONDS", 1, 86400, AT(deadline_seconds), ON(SERVE),
     "how long a request may take until its last token (default: as long as it does)"},
    {"trace-dir", 0, VB_OPT_FILE, "DIR", 0, 0, AT(trace_dir), ON(SERVE), "record every answer in a trace of its own there"},
    {"log-format", 0, VB_OPT_CHOICE, "text|json", VB_LOG_TEXT, 0, AT(log_format), ON(SERVE),
     "talk on stderr: for people (default), or events as a line of JSON each"},
    {"keep-alive", 0, VB_OPT_TEXT, "TIME", 0, 0, AT(keep_alive), ON(SERVE),
     "how long an unused model stays loaded: 5m (default), 30s, 0, -1 (for ever)"},
    {"file", 'f', VB_OPT_FILE, "FILE", 0, 0, AT(modelfile), ON(CREATE), "the Modelfile (default: Modelfile; -: stdin)"},
    {"models", 0, VB_OPT_FILE, "DIR", 0, 0, AT(models), ON(SERVE), "our store of models (default $VERBATIM_MODELS)"},
    {"api-key-file", 0, VB_OPT_FILE, "FILE", 0, 0, AT(api_key_file), SERVER,
     "requests need one of these keys: a line each, KEY or KEY PRIORITY"},
    {"insecure", 0, VB_OPT_FLAG, NULL, 0, 0, AT(insecure), ON(PULL) | ON(PUSH), "speak http with a registry on another machine"},
    {"no-sandbox", 0, VB_OPT_FLAG, NULL, 0, 0, AT(no_sandbox), ON(SERVE),
     "let the process see all files and start programs, as any other may"},
    {"cors", 0, VB_OPT_TEXTS, "ORIGIN", 0, 0, AT(origins), ON(SERVE),
     "let pages of this origin ask (https://page.example, or *); may be given again"},
    {"grammar", 0, VB_OPT_FILE, "FILE", 0, 0, AT(grammar), ON(RUN), "hold the answer to this grammar, as GBNF"},
    {"json-schema", 0, VB_OPT_FILE, "FILE", 0, 0, AT(schema), ON(RUN), "hold the answer to this JSON Schema"},
    {"schema", 0, VB_OPT_FILE, "FILE", 0, 0, AT(schema), ON(EXTRACT), "the JSON Schema"},
    {"from", 0, VB_OPT_FILE, "FILE", 0, 0, AT(from), ON(EXTRACT),
     "ask no model: take the JSON out of this answer of some model, and repair its form (-: stdin)"},
    {"labels", 0, VB_OPT_TEXT, "A,B,...", 0, 0, AT(labels), ON(CLASSIFY), "the labels, two or more"},
    {"by", 0, VB_OPT_CHOICE, "mean|sum", 0, 0, AT(by), ON(CLASSIFY),
     "take the label whose tokens have the largest mean log-probability (default), or the largest sum"},
    {"ctx", 'c', VB_OPT_INT, "N", 1, INT_MAX, AT(session.context), EVAL | ON(SHOW) | ON(TRACE_BRANCH) | ON(SERVE) | PARTNERS,
     "context size in tokens (default: the model's own, at most 8192)"},
    {"threads", 't', VB_OPT_INT, "N", 0, 1024, AT(model.threads), PLANS | ON(CONVERT) | ON(QUANTIZE),
     "threads; never changes a bit (default 0: one per usable core)"},
    {"player", 0, VB_OPT_WORD, "cpu|vulkan|oracle|blas", 0, 0, AT(model.player), PLANS,
     "who computes: cpu (default), vulkan (a GPU, same bits), oracle (slow, the definition), blas (f32 in free order)"},
    {"gpu-layers", 0, VB_OPT_TEXT, "N|auto|all|0-5,9,output", 0, 0, AT(model.gpu_layers), PLANS,
     "layers that a GPU computes; never changes a bit: the last N and the output, those that have room, all, or these"},
    {"gpu-budget", 0, VB_OPT_INT, "MB", 1, INT_MAX, AT(gpu_budget), PLANS,
     "most of the GPU's memory to use (default: what is left of it)"},
    {"gpu-verify", 0, VB_OPT_REAL, "P", 0, 1, AT(model.gpu_verify), PLANS,
     "share of the GPU's steps to compute once more here and compare (default 0)"},
    {"device", 0, VB_OPT_TEXT, "NAME|N", 0, 0, AT(model.gpu_device), PLANS,
     "which GPU: a part of its name, or its number (default: the best that is no CPU)"},
    {"arith", 0, VB_OPT_CHOICE, "int8|f32", VB_ARITH_INT8, 0, AT(model.arith), EVAL | ON(EXPLAIN),
     "arithmetic: int8 activations (default) or f32 throughout"},
    {"kv", 0, VB_OPT_CHOICE, "f16|f32|q8_0", VB_KV_F16, 0, AT(session.kv), EVAL | ON(SERVE) | ON(SHOW),
     "how keys and values are kept (default f16; with --arith f32: f32)"},
    {"isa", 0, VB_OPT_WORD, "portable|avx2|avxvnni|avx512|neon", 0, 0, AT(model.isa), PLANS,
     "instruction set; never changes a bit (default: the best this machine has)"},
    {"template-as", 0, VB_OPT_WORD, "ollama", 0, 0, AT(model.template_as), ON(RUN) | EASY | ON(TEMPLATE) | ON(SHOW),
     "a model without a chat template is rendered as ChatML, as Ollama does"},
    {"trace", 0, VB_OPT_FILE, "FILE", 0, 0, AT(trace), ON(RUN),
     "record the run in FILE, which must not exist; each further answer of a chat in FILE.2, FILE.3, ..."},
    {"taps", 0, VB_OPT_CHOICE, "none|layers|all", VB_TAPS_NONE, 0, AT(taps), GENERATES,
     "record computed values too: each layer's output, or all that have a name"},
    {"sign", 0, VB_OPT_FILE, "KEY", 0, 0, AT(sign), GENERATES, "sign the trace with this private key (trace keygen)"},
    {"key", 0, VB_OPT_FILE, "KEY", 0, 0, AT(sign), ON(TRACE_SIGN), "the private key (trace keygen)"},
    {"jsonl", 0, VB_OPT_FLAG, NULL, 0, 0, AT(jsonl), ON(TRACE_EXPORT), "a JSON object a line, one for each record"},
    {"tokens", 0, VB_OPT_TEXT, "1,2,3", 0, 0, AT(tokens), ON(LOGITS) | ON(EMBED), "the token ids to evaluate"},
    {"tokens-file", 0, VB_OPT_FILE, "FILE", 0, 0, AT(tokens_file), ON(LOGITS) | ON(EMBED), "the same as a JSON array (-: stdin)"},
    {"prompt", 0, VB_OPT_TEXT, "TEXT", 0, 0, AT(prompt), ON(LOGITS), "the same as text, read as `run --raw` does"},
    {"out", 'o', VB_OPT_FILE, "FILE", 0, 0, AT(out), ON(LOGITS) | ON(TRACE_BRANCH) | ON(CONVERT) | ON(BAKE),
     "write the logits there: little-endian f32, tokens x vocabulary, nothing else; trace branch: the new trace; convert: the "
     "model; bake: the table"},
    {"force", 0, VB_OPT_FLAG, NULL, 0, 0, AT(force), ON(CONVERT) | ON(QUANTIZE) | ON(BAKE), "replace a file that is there"},
    {"pooling", 0, VB_OPT_CHOICE, "none|mean|cls|last", VB_POOLING_NONE, 0, AT(pooling), ON(EMBED),
     "how tokens become one row (default: as the file says; else mean for encoders, last for others)"},
    {"normalize", 0, VB_OPT_FLAG, NULL, 0, 0, AT(normalize), ON(EMBED), "rows of length 1"},
    {"taps", 0, VB_OPT_FLAG, NULL, 0, 0, AT(diff_taps), ON(TRACE_DIFF) | ON(DIFF),
     "compare what was kept inside: the first element that differs, and the drift of each layer"},
    {"like-ggml", 0, VB_OPT_SET, "attention|scales|gelu|activations|rope", 0, 0, AT(model.like_ggml), ON(LOGITS),
     "with --player oracle: compute what is named, separated by commas, as ggml does"},
    {"batch", 0, VB_OPT_INT, "N", 1, INT_MAX, AT(batch), ON(LOGITS),
     "tokens per evaluation; never changes a bit (default 32)"},
    {"add-special", 0, VB_OPT_FLAG, NULL, 0, 0, AT(add_special), ON(TOKENIZE), "add BOS and EOS as the model says"},
    {"parse-special", 0, VB_OPT_FLAG, NULL, 0, 0, AT(parse_special), ON(TOKENIZE), "read control tokens in the text"},
    {"hide-special", 0, VB_OPT_FLAG, NULL, 0, 0, AT(hide_special), ON(DETOKENIZE), "leave control tokens out"},
    {"hex", 0, VB_OPT_FLAG, NULL, 0, 0, AT(hex), ON(TOKENIZE) | ON(DETOKENIZE), "the text is hexadecimal bytes"},
    {"template", 0, VB_OPT_FILE, "FILE", 0, 0, AT(template_file), ON(TEMPLATE),
     "a template file instead of a model's template"},
    {"type", 0, VB_OPT_TEXT, "TYPE", 0, 0, AT(type), ON(CONVERT) | ON(QUANTIZE),
     "the formats of the new file: Q4_K_M, Q8_0, F16, ...; convert: auto (default), as the folder keeps them"},
    {"imatrix", 0, VB_OPT_FILE, "FILE", 0, 0, AT(imatrix), ON(QUANTIZE),
     "an importance matrix, as llama.cpp's imatrix writes it"},
    {"pure", 0, VB_OPT_FLAG, NULL, 0, 0, AT(pure), ON(CONVERT) | ON(QUANTIZE), "one format for all matrices, no mix"},
    {"tensors", 0, VB_OPT_FLAG, NULL, 0, 0, AT(tensors), ON(SHOW), "list the tensors too"},
    {"kernels", 0, VB_OPT_FLAG, NULL, 0, 0, AT(kernels), ON(EXPLAIN), "with the kernel that each step takes"},
    {"to", 0, VB_OPT_INT, "N", 0, INT_MAX, AT(to), ON(TRACE_REPLAY), "stop before the token at position N"},
    {"sample", 0, VB_OPT_INT, "K", 1, INT_MAX, AT(sample), ON(TRACE_VERIFY),
     "compute the logits of K chosen tokens, the last one among them (default: of all)"},
    {"signer", 0, VB_OPT_FILE, "PUB", 0, 0, AT(signer), ON(TRACE_VERIFY),
     "the public key that must have signed the trace, a file or 64 hexadecimal digits"},
    {"at", 0, VB_OPT_INT, "N", 1, INT_MAX, AT(at), ON(TRACE_BRANCH), "keep the tokens before position N, and go on from there"},
    {"token", 0, VB_OPT_INT, "ID", 0, INT_MAX, AT(token), ON(TRACE_BRANCH), "put this token there"},
    {"text", 0, VB_OPT_TEXT, "TEXT", 0, 0, AT(text), ON(TRACE_BRANCH), "put this text there"},
    {"model", 0, VB_OPT_MODEL, "MODEL", 0, 0, AT(other_model), ON(TRACE_REPLAY) | ON(TRACE_VERIFY) | ON(TRACE_BRANCH) | PARTNERS,
     "the model to run (default: found by the trace's path, then by its SHA-256)"},
    {"html", 0, VB_OPT_FILE, "FILE", 0, 0, AT(html), ON(TRACE_SHOW) | ON(TRACE_DIFF) | PARTNERS,
     "write a page to look at, whole in one file"},
    {"prove", 0, VB_OPT_FLAG, NULL, 0, 0, AT(prove), ON(DOCTOR),
     "ask a small model under all conditions, compare with the published digests"},
    {"quorum", 0, VB_OPT_FLAG, NULL, 0, 0, AT(quorum), ON(DOCTOR),
     "compare trace files as trace quorum does; with --prove, under mpirun: compare the machines"},
    {"every", 0, VB_OPT_INT, "N", 1, INT_MAX, AT(every), ON(DOCTOR), "with --prove: ask one in N conditions (default 1: all)"},
    {"ollama", 0, VB_OPT_TEXT, "URL", 0, 0, AT(ollama), PARTNERS, "ask the Ollama there, http://127.0.0.1:11434"},
    {"llama-server", 0, VB_OPT_TEXT, "URL", 0, 0, AT(llama_server), PARTNERS, "ask the llama-server there"},
    {"recording", 0, VB_OPT_FILES, "FILE", 0, 0, AT(recordings), PARTNERS,
     "recorded answers of an Ollama or a llama-server; may be given again"},
    {"timeout", 0, VB_OPT_INT, "SECONDS", 1, 86400, AT(timeout), PARTNERS,
     "how long a live engine may be silent (default 120)"},
    {"prompts", 0, VB_OPT_FILE, "FILE", 0, 0, AT(prompts), ON(PARITY),
     "questions to ask a live engine, one a line (default: 16 that stand ready)"},
    {"contributions", 0, VB_OPT_FLAG, NULL, 0, 0, AT(contributions), ON(PARITY),
     "show what each documented difference to ggml moves, computed by the oracle (slow)"},
    {"ours", 0, VB_OPT_MODEL, "MODEL", 0, 0, AT(ours), ON(DIFF),
     "our model beside theirs (default: the same name in the local stores)"},
    {"entity", 0, VB_OPT_TEXT, "ID", 0, 0, AT(entity), ON(SAY), "who speaks: a number (default 0) or a name"},
    {"tick", 0, VB_OPT_U64, "N", 0, 0, AT(tick), ON(SAY), "when, by the world's clock (default 0)"},
    {"draw", 0, VB_OPT_U64, "N", 0, 0, AT(draw), ON(SAY), "which of several lines of one entity at one tick (default 0)"},
    {"persona", 0, VB_OPT_TEXT, "NAME", 0, 0, AT(persona), ON(SAY), "as whom (default: the first persona of the cast)"},
    {"fact", 0, VB_OPT_TEXTS, "NAME=VALUE", 0, 0, AT(facts), ON(SAY), "what stands for ${NAME}; may be given again"},
    {"cast", 0, VB_OPT_FILE, "CAST.json", 0, 0, AT(cast), CASTS,
     "the characters (default: a villager and a small model that are built in)"},
    {"table", 0, VB_OPT_FILE, "FILE", 0, 0, AT(table), CASTS, "answer from this table of `bake` what it has; never changes a line"},
    {"speakers", 0, VB_OPT_INT, "N", 1, 4096, AT(speakers), SCRIPTS,
     "lines that are spoken at once; never changes a line (default 32)"},
    {"shuffle", 0, VB_OPT_MAYBE, "SEED", 0, 0, AT(shuffle), SCRIPTS,
     "speak all once more, in another order, in other batches and slices: it must be the same"},
    {"frame", 0, VB_OPT_REAL, "MS", 0.01, 10000, AT(frame), SCRIPTS,
     "work in frames of so many milliseconds, and say how far they went beyond"},
    {"completion", 0, VB_OPT_WORD, "bash|zsh|fish", 0, 0, AT(completion), ON(HELP), "print a completion script"},
    {"json", 0, VB_OPT_FLAG, NULL, 0, 0, AT(json), ALL, "print JSON"},
    {"help", 'h', VB_OPT_FLAG, NULL, 0, 0, AT(help), ALL, "explain the command"},
};
const int vb_n_opts = sizeof vb_opts / sizeof vb_opts[0];
_Static_assert(sizeof vb_opts / sizeof vb_opts[0] <= VB_OPTS_MAX, "vb_args.given has a place for every option");

int vb_opt_of(const vb_opt *opt, const vb_command *command)
{
    return (opt->commands >> command->id & 1) != 0;
}

int vb_opt_given(const vb_args *args, const char *name)
{
    for (int i = 0; i < vb_n_opts; i++)
        if (strcmp(vb_opts[i].name, name) == 0) return args->given[i];
    return 0;
}

/* The complaint every value shares: "run: --temp: expected a number from 0 to 100, found 'hot'". */
static int unexpected(const vb_args *args, const vb_opt *opt, const char *expected, const char *found)
{
    vb_say("%s: --%s: expected %s, found '%s'", args->command->name, opt->name, expected, found);
    return VB_EXIT_USAGE;
}

static int set_int(vb_args *args, const vb_opt *opt, const char *text)
{
    char expected[96], *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || (double)value < opt->min || (double)value > opt->max) {
        snprintf(expected, sizeof expected, "a whole number from %.0f to %.0f", opt->min, opt->max);
        return unexpected(args, opt, expected, text);
    }
    int narrow = (int)value;
    memcpy((char *)args + opt->at, &narrow, sizeof narrow);
    return 0;
}

static int set_u64(vb_args *args, const vb_opt *opt, const char *text)
{
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || strchr(text, '-') != NULL)
        return unexpected(args, opt, "a whole number from 0 to 18446744073709551615", text);
    memcpy((char *)args + opt->at, &value, sizeof value);
    return 0;
}

static int set_real(vb_args *args, const vb_opt *opt, const char *text)
{
    char expected[96], *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= opt->min && value <= opt->max)) {
        snprintf(expected, sizeof expected, "a number from %g to %g", opt->min, opt->max);
        return unexpected(args, opt, expected, text);
    }
    float narrow = (float)value;
    memcpy((char *)args + opt->at, &narrow, sizeof narrow);
    return 0;
}

/* The place of `text` among the words of "a|b|c"; -1: not there. */
static int word_index(const char *words, const char *text)
{
    size_t len = strlen(text);
    int index = 0;
    for (const char *word = words;; word++, index++) {
        size_t end = strcspn(word, "|");
        if (end == len && memcmp(word, text, len) == 0) return index;
        word += end;
        if (*word == '\0') return -1;
    }
}

static int set_choice(vb_args *args, const vb_opt *opt, const char *text)
{
    int index = word_index(opt->value, text);
    if (index < 0) return unexpected(args, opt, opt->value, text);
    int value = (int)opt->min + index;
    memcpy((char *)args + opt->at, &value, sizeof value);
    return 0;
}

static int set_words(vb_args *args, const vb_opt *opt, const char *text)
{
    char word[32];
    int bits = 0;
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ",");
        snprintf(word, sizeof word, "%.*s", (int)len, at);
        int index = len < sizeof word ? word_index(opt->value, word) : -1;
        if (index < 0) return unexpected(args, opt, opt->value, text);
        bits |= 1 << index;
        at += len;
        if (*at == '\0') break;
    }
    memcpy((char *)args + opt->at, &bits, sizeof bits);
    return 0;
}

static int set_text(vb_args *args, const vb_opt *opt, const char *text)
{
    if (opt->type == VB_OPT_WORD && word_index(opt->value, text) < 0) return unexpected(args, opt, opt->value, text);
    memcpy((char *)args + opt->at, &text, sizeof text);
    return 0;
}

static int add_text(vb_args *args, const vb_opt *opt, const char *text)
{
    if (*text == '\0') return unexpected(args, opt, "a text that is not empty", text);
    vb_texts *list = (vb_texts *)(void *)((char *)args + opt->at);
    if (list->n == VB_TEXTS_MAX) return unexpected(args, opt, "at most 32 texts", text);
    list->text[list->n++] = text;
    return 0;
}

static int set_flag(vb_args *args, const vb_opt *opt)
{
    int one = 1;
    memcpy((char *)args + opt->at, &one, sizeof one);
    return 0;
}

static int set(vb_args *args, const vb_opt *opt, const char *text)
{
    args->given[opt - vb_opts] = 1;
    switch (opt->type) {
    case VB_OPT_FLAG: return set_flag(args, opt);
    case VB_OPT_INT: return set_int(args, opt, text);
    case VB_OPT_U64:
    case VB_OPT_MAYBE: return text != NULL ? set_u64(args, opt, text) : 0;
    case VB_OPT_REAL: return set_real(args, opt, text);
    case VB_OPT_TEXTS:
    case VB_OPT_FILES: return add_text(args, opt, text);
    case VB_OPT_CHOICE: return set_choice(args, opt, text);
    case VB_OPT_SET: return set_words(args, opt, text);
    case VB_OPT_TEXT:
    case VB_OPT_FILE:
    case VB_OPT_MODEL:
    case VB_OPT_WORD: return set_text(args, opt, text);
    }
    return VB_EXIT_USAGE;
}

/* The row for "--name", "--name=value" (len: the name's length) or a letter; NULL if the command has no such option. */
static const vb_opt *find(const vb_args *args, const char *name, size_t len, char letter)
{
    for (int i = 0; i < vb_n_opts; i++) {
        const vb_opt *opt = &vb_opts[i];
        int same = letter ? opt->letter == letter : strlen(opt->name) == len && memcmp(opt->name, name, len) == 0;
        if (same && vb_opt_of(opt, args->command)) return opt;
    }
    return NULL;
}

/* One option at words[0]; *used gets the number of words it took. */
static int parse_one(vb_args *args, char **words, int n, int *used)
{
    const char *word = words[0], *value = NULL;
    int is_long = word[1] == '-';
    size_t len = is_long ? strcspn(word + 2, "=") : 1;
    const vb_opt *opt = is_long ? find(args, word + 2, len, 0) : find(args, NULL, 0, word[1]);

    *used = 1;
    if (opt == NULL)
        return vb_wrong(args->command->name, "expected one of its options (verbatim help %s), found '%s'",
                        args->command->name, word);
    if (is_long && word[2 + len] == '=') value = word + 3 + len;
    if (!is_long && word[2] != '\0') value = word + 2;
    if (opt->type == VB_OPT_FLAG && value != NULL) return unexpected(args, opt, "no value", value);
    if (opt->type == VB_OPT_FLAG || (opt->type == VB_OPT_MAYBE && value == NULL)) return set(args, opt, NULL);
    if (value == NULL && n < 2)
        return vb_wrong(args->command->name, "--%s: expected a value (%s), found the end of the line", opt->name,
                        opt->value);
    if (value == NULL) {
        value = words[1];
        *used = 2;
    }
    return set(args, opt, value);
}

int vb_wants_gpu(const vb_args *args)
{
    const vb_model_opts *m = &args->model;
    return m->gpu_layers != NULL || (m->player != NULL && strcmp(m->player, "vulkan") == 0);
}

/* Of a GPU that nobody asked for. */
static int is_alone(const vb_args *args)
{
    const vb_model_opts *m = &args->model;
    return !vb_wants_gpu(args) && (m->gpu_device != NULL || m->gpu_verify > 0.0f || args->gpu_budget > 0);
}

int vb_opts_parse(vb_args *args, char **words, int n)
{
    const vb_command *command = args->command;
    for (int i = 0; i < n;) {
        int used = 1, code = 0;
        if (strcmp(words[i], "--") == 0) {
            for (i++; i < n; i++) args->rest[args->n_rest++] = words[i];
            break;
        }
        if (words[i][0] == '-' && words[i][1] != '\0') code = parse_one(args, words + i, n - i, &used);
        else args->rest[args->n_rest++] = words[i];
        if (code != 0) return code;
        i += used;
    }
    args->model.gpu_budget_bytes = (uint64_t)args->gpu_budget << 20;
    if (!args->help && is_alone(args))
        return vb_wrong(command->name, "--device, --gpu-budget, --gpu-verify: expected --gpu-layers or --player vulkan beside "
                        "it, found neither");
    if (args->help || (args->n_rest >= command->least && args->n_rest <= command->most)) return 0;
    return vb_wrong(command->name, "expected %s, found %d argument%s%s",
                    *command->arguments ? command->arguments : "no arguments", args->n_rest,
                    args->n_rest == 1 ? "" : "s",
                    args->n_rest > command->most ? " (a text with spaces needs quotes)" : "");
}
