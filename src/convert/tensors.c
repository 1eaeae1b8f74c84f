/* tensors.c - rules applied: which tensor of the folder becomes which of the file.
 *
 * Tensors are sorted by their names without prefixes; each rule looks up what it needs, layer by layer. What no rule has
 * used at the end must be known to be of no use.
 */
#include "convert/tensors.h"

#include "convert/family_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *name; /* without prefixes */
    const vb_source_tensor *t;
    int used;
    int dropped; /* no rule finds it */
} entry;

typedef struct {
    vb_outputs *out;
    const vb_family *family;
    const vb_sizes *sizes;
    vb_keys *k;
    vb_arena *arena;
    entry *all;
    size_t n;
    const char *served; /* what the last rule with an alternative has made */
} maker;

/* --- names ----------------------------------------------------------------------------------------------------- */

static const char *const prefixes[] = {"model.", "language_model.", "transformer.", "gpt_neox.", "bert."};

static const char *without_prefixes(const char *name)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t len = strlen(prefixes[i]);
        if (strncmp(name, prefixes[i], len) != 0) continue;
        name += len;
        i = (size_t)-1; /* from the first again: "model.language_model.layers.0" has two */
    }
    return name;
}

/* Names that older folders give, and blocks that predict further tokens, which stand behind the others. */
static const char *settled(const maker *m, const char *name)
{
    char changed[512];
    unsigned layer = 0;
    int at = 0;
    name = without_prefixes(name);
    size_t len = strlen(name);
    if (len > sizeof changed - 32) return name;
    if (len > 6 && strcmp(name + len - 6, ".gamma") == 0)
        snprintf(changed, sizeof changed, "%.*s.weight", (int)len - 6, name);
    else if (len > 5 && strcmp(name + len - 5, ".beta") == 0)
        snprintf(changed, sizeof changed, "%.*s.bias", (int)len - 5, name);
    else if (sscanf(name, "mtp.layers.%4u.%n", &layer, &at) == 1 && at > 0)
        snprintf(changed, sizeof changed, "layers.%llu.%s", (unsigned long long)m->sizes->layers + layer, name + at);
    else if (strncmp(name, "mtp.", 4) == 0)
        snprintf(changed, sizeof changed, "further.%llu.%s", (unsigned long long)m->sizes->layers, name + 4);
    else
        return name;
    return vb_arena_text(m->arena, changed, strlen(changed));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

static vb_status sort_names(maker *m, vb_err *err)
{
    const vb_source *s = m->k->folder->source;
    int64_t n = vb_source_count(s);
    m->all = calloc((size_t)n + 1, sizeof *m->all);
    if (m->all == NULL) VB_FAIL(err, VB_E_MEMORY, "tensors: out of memory");
    for (int64_t i = 0; i < n; i++) {
        entry *e = &m->all[m->n++];
        e->t = vb_source_at(s, i);
        e->name = settled(m, e->t->name);
        if (e->name == NULL) VB_FAIL(err, VB_E_MEMORY, "tensors: out of memory");
    }
    qsort(m->all, m->n, sizeof *m->all, by_name);
    for (size_t i = 1; i < m->n; i++)
        if (strcmp(m->all[i].name, m->all[i - 1].name) == 0)
            VB_FAIL(err, VB_E_FORMAT, "%s: tensors '%s' and '%s': expected one of them, found both", m->all[i].t->file,
                    m->all[i - 1].t->name, m->all[i].t->name);
    return VB_OK;
}

static entry *find(const maker *m, const char *name)
{
    entry key = {.name = name};
    entry *e = m->n > 0 ? bsearch(&key, m->all, m->n, sizeof key, by_name) : NULL;
    return e != NULL && !e->dropped ? e : NULL;
}

/* The name of a rule with its first '*' as the layer, its second as the expert. */
static void fill_in(char *to, size_t cap, const char *pattern, uint64_t layer, uint64_t expert)
{
    size_t len = 0;
    uint64_t number = layer;
    for (; *pattern != '\0' && len + 24 < cap; pattern++) {
        if (*pattern != '*') {
            to[len++] = *pattern;
            continue;
        }
        len += (size_t)snprintf(to + len, cap - len, "%llu", (unsigned long long)number);
        number = expert;
    }
    to[len] = '\0';
}

/* --- what must be there ---------------------------------------------------------------------------------------- */

static int is_full(const maker *m, uint64_t layer)
{
    int every = (int)vb_key_int(m->k, "full_attention_interval", 4);
    if (json_is_array(json_object_get(m->k->folder->config, "layer_types")))
        return vb_layer_is(m->k->folder, (int)layer, "full_attention");
    return every > 0 && (layer + 1) % (uint64_t)every == 0;
}

static int is_needed(const maker *m, const vb_rule *rule, uint64_t layer)
{
    int routed = m->sizes->of['e'] > 0;
    if (layer >= m->sizes->layers && strchr(rule->from, '*') != NULL) return 0;
    switch ((vb_when)(rule->when & ~VB_OR)) {
    case VB_MUST: return 1;
    case VB_DENSE: return !routed;
    case VB_ROUTED: return routed;
    case VB_FULL: return is_full(m, layer);
    case VB_LINEAR: return !is_full(m, layer);
    default: return 0;
    }
}

/* --- one rule -------------------------------------------------------------------------------------------------- */

static vb_status add(vb_outputs *out, vb_output **added, vb_err *err)
{
    if (out->n == out->cap) {
        int64_t cap = out->cap == 0 ? 256 : 2 * out->cap;
        vb_output *more = realloc(out->all, (size_t)cap * sizeof *more);
        if (more == NULL) VB_FAIL(err, VB_E_MEMORY, "tensors: out of memory");
        out->all = more;
        out->cap = cap;
    }
    *added = &out->all[out->n++];
    **added = (vb_output){.ne = {1, 1, 1, 1}};
    return VB_OK;
}

/* Where tensor i of a rule is called so: the expert's, or the scales beside the blocks. */
static void source_name(char *to, size_t cap, const vb_rule *rule, uint64_t layer, uint64_t i)
{
    fill_in(to, cap, rule->from, layer, i);
    size_t len = strlen(to);
    if (rule->change != VB_STACK && i == 1 && vb_ends(to, "_blocks")) snprintf(to + len - 7, cap - len + 7, "_scales");
}

static vb_status absent(const maker *m, const char *name, vb_err *err)
{
    VB_FAIL(err, VB_E_FORMAT, "%s: tensor '%s': expected in a model of class %s, found none", m->k->folder->path, name,
            m->k->folder->class_name);
}

/* The tensors that the rule takes; *from stays NULL if the first is not there. */
static vb_status gather(const maker *m, const vb_rule *rule, uint64_t layer, const vb_source_tensor ***from,
                        vb_err *err)
{
    char name[256];
    uint64_t n = vb_change_takes(rule, m->sizes);
    *from = NULL;
    source_name(name, sizeof name, rule, layer, 0);
    if (find(m, name) == NULL || n == 0) return VB_OK;
    if (n > m->n) n = m->n + 1; /* one will be missing */
    const vb_source_tensor **list = vb_arena_array(m->arena, (size_t)n, sizeof *list);
    if (list == NULL) VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", name);
    for (uint64_t i = 0; i < n; i++) {
        source_name(name, sizeof name, rule, layer, i);
        entry *e = find(m, name);
        if (e == NULL) return absent(m, name, err);
        e->used = 1;
        list[i] = e->t;
        if (i == 0 || rule->change == VB_STACK) VB_TRY(vb_shape_check(m->sizes, e->t, rule->shape, err));
        if (e->t->type > VB_NUM_F64 && !(n == 2 && e->t->type == VB_NUM_U8))
            VB_FAIL(err, VB_E_UNSUPPORTED, "%s: tensor '%s': expected F32, F16, BF16 or F64, found %s", e->t->file,
                    e->t->name, vb_number_name(e->t->type));
    }
    *from = list;
    return VB_OK;
}

static vb_status apply(maker *m, const vb_rule *rule, uint64_t layer, vb_err *err)
{
    char name[256];
    const vb_source_tensor **from = NULL;
    vb_output *o = NULL;
    vb_rule changed = *rule;
    if (m->served != NULL && strcmp(m->served, rule->to) == 0) return VB_OK;
    VB_TRY(gather(m, rule, layer, &from, err));
    m->served = from != NULL && (rule->when & VB_OR) != 0 ? rule->to : NULL;
    if (from == NULL && ((rule->when & VB_OR) != 0 || !is_needed(m, rule, layer))) return VB_OK;
    if (from == NULL) {
        source_name(name, sizeof name, rule, layer, 0);
        return absent(m, name, err);
    }
    VB_TRY(add(m->out, &o, err));
    fill_in(o->name, sizeof o->name, rule->to, layer, 0);
    if (!m->family->pairs && (rule->change == VB_PAIRS_Q || rule->change == VB_PAIRS_K)) changed.change = VB_KEEP;
    VB_TRY(vb_change_apply(o, &changed, m->sizes, from, m->arena, err));
    int norm = vb_ends(rule->to, "norm.weight") && !vb_ends(rule->to, "ssm_norm.weight");
    if (m->family->plus_one && norm) o->each = VB_EACH_PLUS_ONE;
    return VB_OK;
}

static vb_status apply_all(maker *m, int per_layer, uint64_t layer, vb_err *err)
{
    for (const vb_rule *const *list = m->family->rules; *list != NULL; list++)
        for (const vb_rule *rule = *list; rule->from != NULL; rule++)
            if ((strchr(rule->from, '*') != NULL) == per_layer) VB_TRY(apply(m, rule, layer, err));
    m->served = NULL;
    return VB_OK;
}

/* --- what is left ---------------------------------------------------------------------------------------------- */

static int begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Masks and tables that programs compute, heads that encoders are trained with. */
static int is_useless(const char *name)
{
    static const char *const last[] = {".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias",
                                       "rotary_emb.inv_freq", "embeddings.position_ids"};
    static const char *const first[] = {"pooler.", "cls.predictions.", "cls.seq_relationship."};
    for (size_t i = 0; i < sizeof last / sizeof last[0]; i++)
        if (vb_ends(name, last[i])) return 1;
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
        if (begins(name, first[i])) return 1;
    return 0;
}

static int is_tower(const char *name)
{
    static const char *const first[] = {"vision_tower.", "vision_model.", "visual.", "audio_tower.", "embed_vision.",
                                        "embed_audio.", "multi_modal_projector."};
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
        if (begins(name, first[i])) return 1;
    return 0;
}

/* The head of a tied model is a copy of the embedding. */
static void drop_head(const maker *m)
{
    entry *e = find(m, "lm_head.weight");
    const json_t *said = vb_setting(m->k->folder->config, "tie_word_embeddings");
    int tied = json_is_boolean(said) ? json_is_true(said) : m->family->tied;
    if (e != NULL && tied) {
        e->used = 1;
        e->dropped = 1;
    }
}

static vb_status check_rest(maker *m, vb_err *err)
{
    for (size_t i = 0; i < m->n; i++) {
        const entry *e = &m->all[i];
        if (e->used || is_useless(e->name)) continue;
        if (!is_tower(e->name))
            VB_FAIL(err, VB_E_UNSUPPORTED, "%s: tensor '%s': expected none of this name in a model of class %s (%s)",
                    e->t->file, e->t->name, m->k->folder->class_name, m->family->arch);
        m->out->left_out++;
    }
    return VB_OK;
}

vb_status vb_outputs_make(vb_outputs *out, const vb_family *family, const vb_sizes *sizes, vb_keys *k, vb_err *err)
{
    maker m = {.out = out, .family = family, .sizes = sizes, .k = k, .arena = vb_source_arena(k->folder->source)};
    vb_status status = VB_OK;
    VB_TRY_OUT(status, sort_names(&m, err));
    drop_head(&m);
    VB_TRY_OUT(status, apply_all(&m, 0, 0, err));
    for (uint64_t i = 0; i < sizes->blocks; i++) VB_TRY_OUT(status, apply_all(&m, 1, i, err));
    status = check_rest(&m, err);
out:
    free(m.all);
    return status;
}

void vb_outputs_free(vb_outputs *out)
{
    free(out->all);
    *out = (vb_outputs){0};
}

vb_status vb_outputs_add_values(vb_outputs *out, vb_keys *k, const char *name, const float *values, int n)
{
    vb_output *o = NULL;
    float *copy = vb_arena_array(vb_source_arena(k->folder->source), (size_t)n + 1, sizeof *copy);
    if (copy == NULL) return vb_fail(&k->err, VB_E_MEMORY, "%s: out of memory", name);
    VB_TRY(add(out, &o, &k->err));
    memcpy(copy, values, (size_t)n * sizeof *copy);
    snprintf(o->name, sizeof o->name, "%s", name);
    o->n_dims = 1;
    o->ne[0] = (uint64_t)n;
    o->values = copy;
    return VB_OK;
}
