/* roles.c - tokens with a task: begin, end, end of turn.
 *
 * Files name some of them by key. Many models end their turns with a token that no key names, so the usual texts are
 * looked for as well; whatever is found this way counts as a control token even if the file forgot to say so.
 */
#include "text/tokenizer_parts.h"

#include "base/log.h"

#include <string.h>

static vb_token find(const vb_tokenizer *t, const char *text)
{
    int32_t id = vb_vocab_find(&t->vocab, text, strlen(text));
    return (size_t)id < t->n_tokens ? id : -1;
}

/* *id becomes the key's value; absent or out of range leaves it. */
static vb_status read_id(const vb_tokenizer *t, const char *key, vb_token *id, vb_err *err)
{
    int64_t value;
    if (*id >= 0 && (size_t)*id >= t->n_tokens) *id = -1;
    if (vb_gguf_find(t->g, key) == NULL) return VB_OK;
    VB_TRY(vb_gguf_int(t->g, key, INT64_MIN, INT64_MAX, &value, err));
    if (value >= 0 && (uint64_t)value < t->n_tokens)
        *id = (vb_token)value;
    else if (value != -1 && value != UINT32_MAX)
        vb_log(VB_LOG_WARNING, "%s: %s: expected a token below %zu, found %lld; it is ignored", vb_gguf_path(t->g), key,
               t->n_tokens, (long long)value);
    return VB_OK;
}

static void set_end(vb_tokenizer *t, vb_token id)
{
    if (id >= 0) t->is[id] |= VB_IS_END;
}

/* --- by text -------------------------------------------------------------------------------------------------- */

#define BAR "\xef\xbd\x9c"  /* U+FF5C */
#define SIGN "\xe2\x96\x81" /* U+2581 */
static const char *const ends[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
    "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
    "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>",
    ("<" BAR "end" SIGN "of" SIGN "sentence" BAR ">"), "[e~[",
};

/* Fill-in-the-middle: tokens of these texts are control tokens, and those that close a file or a gap end a text too. */
enum { FIM_TEXTS = 9 };
static const struct {
    const char *key, *older_key;
    int ends;
    const char *texts[FIM_TEXTS]; /* NULL at the end */
} fim[] = {
    {"fim_pre", "prefix", 0,
     {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>",
      ("<" BAR "fim" SIGN "begin" BAR ">"), "<PRE>", (SIGN "<PRE>"), "<|code_prefix|>",
      "<|prefix|>"}},
    {"fim_suf", "suffix", 0,
     {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>",
      ("<" BAR "fim" SIGN "hole" BAR ">"), "<SUF>", (SIGN "<SUF>"), "<|code_suffix|>",
      "<|suffix|>"}},
    {"fim_mid", "middle", 0,
     {"<|fim_middle|>", "<fim-middle>", "<fim_middle>",
      ("<" BAR "fim" SIGN "end" BAR ">"), "<MID>", (SIGN "<MID>"), "<|code_middle|>",
      "<|middle|>"}},
    {"fim_pad", NULL, 1, {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
    {"fim_rep", NULL, 1, {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
    {"fim_sep", NULL, 1, {"<|file_sep|>"}},
};

static vb_token lowest_of(const vb_tokenizer *t, const char *const *texts)
{
    vb_token lowest = -1;
    for (int i = 0; i < FIM_TEXTS && texts[i] != NULL; i++) {
        vb_token id = find(t, texts[i]);
        if (id >= 0 && (lowest < 0 || id < lowest)) lowest = id;
    }
    return lowest;
}

static vb_status find_fim(vb_tokenizer *t, vb_err *err)
{
    for (size_t i = 0; i < sizeof fim / sizeof fim[0]; i++) {
        char key[64];
        vb_token id = -1;
        snprintf(key, sizeof key, "tokenizer.ggml.%s_token_id", fim[i].key);
        VB_TRY(read_id(t, key, &id, err));
        if (fim[i].older_key != NULL) {
            snprintf(key, sizeof key, "tokenizer.ggml.%s_token_id", fim[i].older_key);
            VB_TRY(read_id(t, key, &id, err));
        }
        if (id < 0 && (id = lowest_of(t, fim[i].texts)) >= 0) t->is[id] |= VB_IS_CONTROL;
        if (fim[i].ends) set_end(t, id);
    }
    return VB_OK;
}

static int ends_with_text(const vb_tokenizer *t, const char *text)
{
    vb_token id = find(t, text);
    return id >= 0 && (t->is[id] & VB_IS_END);
}

static void set_kind(vb_tokenizer *t, const char *text, uint16_t kind)
{
    vb_token id = find(t, text);
    if (id >= 0) t->is[id] = kind;
}

/* Families in which one of the usual texts means something else. */
static void correct_families(vb_tokenizer *t)
{
    int calls = ends_with_text(t, "<|call|>") || ends_with_text(t, "<|calls|>");
    if (calls && (ends_with_text(t, "<|return|>") || ends_with_text(t, "<|flush|>")) && ends_with_text(t, "<|end|>"))
        set_kind(t, "<|end|>", VB_IS_USER_DEFINED);
    if ((ends_with_text(t, "<|tool_response>") || ends_with_text(t, "<|plamo:eos|>")) && ends_with_text(t, "</s>"))
        set_kind(t, "</s>", VB_IS_NORMAL);
}

vb_status vb_tokenizer_find_roles(vb_tokenizer *t, vb_err *err)
{
    static const char *const shown[] = {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"};
    vb_token eot = -1, eom = -1;
    VB_TRY(read_id(t, "tokenizer.ggml.bos_token_id", &t->bos, err));
    VB_TRY(read_id(t, "tokenizer.ggml.eos_token_id", &t->eos, err));
    VB_TRY(read_id(t, "tokenizer.ggml.eot_token_id", &eot, err));
    VB_TRY(read_id(t, "tokenizer.ggml.eom_token_id", &eom, err));
    if (t->model == VB_TOKENIZER_WORDPIECE) {
        VB_TRY(read_id(t, "tokenizer.ggml.unknown_token_id", &t->wordpiece.unknown, err));
        VB_TRY(read_id(t, "tokenizer.ggml.seperator_token_id", &t->sep, err));
    }
    if (t->model == VB_TOKENIZER_UNIGRAM)
        VB_TRY(read_id(t, "tokenizer.ggml.unknown_token_id", &t->unigram.unknown, err));
    VB_TRY(find_fim(t, err));
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        vb_token id = find(t, ends[i]);
        if (id >= 0) t->is[id] |= VB_IS_END | VB_IS_CONTROL;
    }
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        vb_token id = find(t, shown[i]);
        if (id >= 0) t->is[id] = (uint16_t)((t->is[id] & VB_IS_END) | VB_IS_USER_DEFINED);
    }
    set_end(t, t->eos);
    set_end(t, eot);
    set_end(t, eom);
    correct_families(t);
    return VB_OK;
}
