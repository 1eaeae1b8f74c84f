/* vocabulary_parts.h - what the files of the vocabulary share: what was read, and the keys as they will be written. */
#ifndef VB_CONVERT_VOCABULARY_PARTS_H
#define VB_CONVERT_VOCABULARY_PARTS_H
#include "base/arena.h"
#include "base/os.h"
#include "convert/spm_model.h"
#include "convert/tokenizer_json.h"
#include "convert/vocabulary.h"

/* tokenizer.ggml.token_type; the numbers are those of SentencePiece. */
enum { VB_TYPE_NORMAL = 1, VB_TYPE_UNKNOWN, VB_TYPE_CONTROL, VB_TYPE_USER_DEFINED, VB_TYPE_UNUSED, VB_TYPE_BYTE };

typedef struct {
    vb_text text;
    float score;
    int32_t type;
} vb_vocabulary_token;

/* What a token is for, in the order in which the files are asked. */
typedef enum {
    VB_ROLE_BOS, VB_ROLE_EOS, VB_ROLE_UNK, VB_ROLE_SEP, VB_ROLE_PAD, VB_ROLE_CLS, VB_ROLE_MASK, VB_ROLE_EOT,
    VB_ROLE_EOM, VB_ROLES
} vb_role;

enum { VB_FROM_SPM, VB_FROM_JSON, VB_FROM_GPT2_FILES, VB_FROM_WORDS };

struct vb_vocabulary {
    const char *folder, *arch; /* in the arena, as all texts that are not in a tree */
    vb_arena arena;
    uint64_t wanted; /* tokens; 0: as many as there are */
    int from;
    json_t *config, *tokenizer_config, *added; /* NULL: no such file */
    json_t *extra[2];                          /* trees that something points into */
    char *text;                                /* tokenizer.model, merges.txt, vocab.txt */
    size_t len;
    vb_spm_model spm;
    vb_tokenizer_json json;

    const char *model, *pre;
    vb_vocabulary_token *tokens;
    uint64_t n;
    int scored, merges, type_count; /* which keys there are; token_type_count */
    int space_prefix, shrinks_spaces; /* -1: no key */
    vb_text charsmap;
    int lowercase;
    struct {
        vb_role role;
        uint32_t id;
    } ids[VB_ROLES];
    struct {
        vb_role role;
        int add;
    } adds[VB_ROLES];
    int n_ids, n_adds;
    int add_bos_last; /* -1: no key; some families state it behind all others */
    const json_t *template; /* a text, a list of {"name", "template"}, or NULL */
};

extern const char *const vb_role_keys[VB_ROLES]; /* "bos" ..., as Hugging Face's files write them */

/* vocabulary_tokens.c: model, tokens and what belongs to them, out of what was read. */
vb_status vb_vocabulary_tokens(vb_vocabulary *v, vb_err *err);
/* vocabulary_special.c: ids, whether they are added, the chat template. */
vb_status vb_vocabulary_special(vb_vocabulary *v, vb_err *err);
int64_t vb_vocabulary_id(const vb_vocabulary *v, vb_role role); /* -1: none */
int vb_vocabulary_set_id(vb_vocabulary *v, vb_role role, int64_t id); /* unless it has one; 0: there is no such token */
/* vocabulary_pre.c: how words are split; needs the two above. */
vb_status vb_vocabulary_split(vb_vocabulary *v, vb_err *err);
/* vocabulary_known.c: the name that llama.cpp's converter gives to a vocabulary whose encoding of the text below has
 * this digest; NULL: none. */
extern const char vb_known_text[];
const char *vb_known_vocabulary(const uint8_t digest[32]);

#endif
