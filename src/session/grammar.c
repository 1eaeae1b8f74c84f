/* grammar.c - grammars meet a model's vocabulary.
 *
 * The tree of its texts is made once a model and shared. A token counts with the bytes that vb_stream shows; control
 * tokens show none and are never allowed, but for those that end a generation.
 */
#include "grammar/grammar.h"

#include "grammar/gbnf.h"
#include "grammar/schema.h"
#include "session/model.h"

static int64_t text_of(void *ud, vb_token id, char *buf, size_t cap)
{
    const vb_tokenizer *t = ud;
    if (vb_tokenizer_ends(t, id)) return -1;
    int kind = vb_tokenizer_kind_of(t, id);
    if (kind == VB_TOKEN_CONTROL || kind == VB_TOKEN_UNKNOWN || kind == VB_TOKEN_UNUSED) return 0;
    int64_t n = vb_tokenizer_piece(t, id, buf, cap);
    return n < 0 ? 0 : n;
}

static vb_status texts_of(const vb_trie **out, const vb_model *m, vb_err *err)
{
    vb_model_trie *texts = m->texts;
    vb_status s = VB_OK;
    if (m->tokenizer == NULL) {
        if (err != NULL) *err = m->no_tokenizer;
        return m->no_tokenizer.code;
    }
    int n = m->plan.vocab > 0 ? m->plan.vocab : vb_tokenizer_size(m->tokenizer);
    pthread_mutex_lock(&texts->lock);
    if (!texts->made) s = vb_trie_make(&texts->trie, n, text_of, m->tokenizer, err);
    texts->made |= s == VB_OK;
    pthread_mutex_unlock(&texts->lock);
    *out = &texts->trie;
    return s;
}

/* A text read into rules by `read`, which become a grammar. */
typedef vb_status (*read_fn)(vb_rules *rules, int *root, const char *text, size_t len, vb_err *err);

static vb_status open_by(read_fn read, vb_grammar **out, const vb_model *model, vb_text text, vb_err *err)
{
    const char *kind = read == vb_gbnf_read ? "gbnf" : "schema";
    const vb_trie *trie = NULL;
    vb_rules rules;
    int root = 0;
    *out = NULL;
    VB_TRY(texts_of(&trie, model, err));
    vb_rules_start(&rules);
    vb_status s = read(&rules, &root, text.ptr, text.len, err);
    if (s == VB_OK) s = vb_grammar_make(out, &rules, root, trie, err);
    vb_rules_free(&rules);
    if (s == VB_OK) s = vb_grammar_remember(*out, kind, text.ptr, text.len, err);
    if (s < 0) {
        vb_grammar_close(*out);
        *out = NULL;
    }
    return s;
}

VB_API vb_status vb_grammar_open_gbnf(vb_grammar **out, const vb_model *model, const char *text, size_t len, vb_err *err)
{
    return open_by(vb_gbnf_read, out, model, (vb_text){text, len}, err);
}

VB_API vb_status vb_grammar_open_schema(vb_grammar **out, const vb_model *model, const char *text, size_t len, vb_err *err)
{
    return open_by(vb_schema_read, out, model, (vb_text){text, len}, err);
}

VB_API vb_status vb_grammar_open_json(vb_grammar **out, const vb_model *model, vb_err *err)
{
    static const char object[] = "{\"type\":\"object\"}";
    return open_by(vb_schema_read, out, model, (vb_text){object, sizeof object - 1}, err);
}
