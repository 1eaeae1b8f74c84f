/* shapes.c - the letters of rules.
 *
 *   d width           v vocabulary        p positions       t token types     f feed-forward    F 2 f    1 one
 *   n heads           H of one head       q n H             k KV heads * H    Q q + 2 k         3 3 d    G 2 q
 *   e experts         x of one expert     X 2 x             s of the shared expert
 *   w value heads of recurrent layers     S of one          y w S             c 2 keys + y
 */
#include "convert/shapes.h"

#include "convert/family_keys.h"

#include <stdio.h>
#include <string.h>

static const struct {
    char letter;
    const char *names;
} plain[] = {
    {'d', "hidden_size|n_embd|dim"}, {'v', "vocab_size"}, {'p', "max_position_embeddings|n_positions|n_ctx"},
    {'t', "type_vocab_size"}, {'f', "intermediate_size|n_inner"}, {'n', "num_attention_heads|n_head|num_heads|n_heads"},
    {'e', "num_local_experts|num_experts"}, {'x', "expert_intermediate_size|moe_intermediate_size|intermediate_size"},
    {'s', "shared_expert_intermediate_size"}, {'w', "linear_num_value_heads"}, {'S', "linear_value_head_dim"},
};

static void read_plain(vb_sizes *s, vb_keys *k)
{
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        s->of[(unsigned char)plain[i].letter] = (uint64_t)vb_key_int(k, plain[i].names, 0);
    s->of['1'] = 1;
    if (s->of['f'] == 0) s->of['f'] = 4 * s->of['d'];
    s->of['H'] = (uint64_t)vb_head_width(k);
    s->key_heads = (uint64_t)vb_key_int(k, "linear_num_key_heads", 0);
    s->key_width = (uint64_t)vb_key_int(k, "linear_key_head_dim", 0);
    s->value_width = s->of['S'];
}

static void derive(vb_sizes *s, vb_keys *k)
{
    uint64_t kv = (uint64_t)vb_key_int(k, "num_key_value_heads|n_kv_heads", (int64_t)s->of['n']);
    s->of['q'] = s->of['n'] * s->of['H'];
    s->of['k'] = kv * s->of['H'];
    s->of['Q'] = s->of['q'] + 2 * s->of['k'];
    s->of['3'] = 3 * s->of['d'];
    s->of['F'] = 2 * s->of['f'];
    s->of['X'] = 2 * s->of['x'];
    s->of['G'] = 2 * s->of['q'];
    s->of['y'] = s->of['w'] * s->of['S'];
    s->of['c'] = 2 * s->key_heads * s->key_width + s->of['y'];
    s->rounds = s->key_heads > 0 ? s->of['w'] / s->key_heads : 0;
}

vb_status vb_sizes_read(vb_sizes *out, vb_keys *k, vb_err *err)
{
    memset(out, 0, sizeof *out);
    read_plain(out, k);
    derive(out, k);
    out->layers = (uint64_t)vb_layers_of(k);
    out->blocks = (uint64_t)k->layers;
    if (k->status < 0) {
        if (err != NULL) *err = k->err;
        return k->status;
    }
    const char *path = k->folder->path;
    if (out->of['d'] == 0 || out->of['n'] == 0)
        VB_FAIL(err, VB_E_FORMAT,
                "%s/config.json: expected a width (hidden_size) and a number of heads, found %llu and %llu",
                path, (unsigned long long)out->of['d'], (unsigned long long)out->of['n']);
    if (out->of['H'] == 0 || out->of['H'] % 2 != 0)
        VB_FAIL(err, VB_E_FORMAT, "%s/config.json: expected an even size of a head, found %llu", path,
                (unsigned long long)out->of['H']);
    if (out->of['k'] == 0)
        VB_FAIL(err, VB_E_FORMAT, "%s/config.json: num_key_value_heads: expected at least 1, found 0", path);
    if (out->key_heads > 0 && (out->rounds == 0 || out->of['w'] % out->key_heads != 0))
        VB_FAIL(err, VB_E_FORMAT, "%s/config.json: linear_num_value_heads: expected a multiple of %llu, found %llu",
                path,
                (unsigned long long)out->key_heads, (unsigned long long)out->of['w']);
    return VB_OK;
}

static int fits(const vb_sizes *s, const vb_source_tensor *t, const char *shape)
{
    if ((size_t)t->n_dims != strlen(shape)) return 0;
    for (int i = 0; i < t->n_dims; i++) {
        uint64_t wanted = shape[i] == '*' ? 0 : s->of[(unsigned char)shape[i]];
        if (t->dims[i] == 0 || (wanted != 0 && t->dims[i] != wanted)) return 0;
    }
    return 1;
}

vb_status vb_shape_check(const vb_sizes *s, const vb_source_tensor *t, const char *shape, vb_err *err)
{
    char expected[128] = "[", found[160];
    size_t len = 1;
    if (fits(s, t, shape)) return VB_OK;
    for (size_t i = 0; shape[i] != '\0' && len < sizeof expected - 32; i++) {
        uint64_t wanted = shape[i] == '*' ? 0 : s->of[(unsigned char)shape[i]];
        if (i > 0) len += (size_t)snprintf(expected + len, sizeof expected - len, ", ");
        if (wanted == 0)
            len += (size_t)snprintf(expected + len, sizeof expected - len, "any");
        else
            len += (size_t)snprintf(expected + len, sizeof expected - len, "%llu", (unsigned long long)wanted);
    }
    VB_FAIL(err, VB_E_FORMAT, "%s: tensor '%s': expected the shape %s], found %s", t->file, t->name, expected,
            vb_source_shape(t, found, sizeof found));
}
