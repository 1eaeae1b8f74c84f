/* losses.c - what a folder's model does and a file of its family cannot say: settings without a key.
 *
 * The file is made all the same, of the nearest that its readers compute, and each setting is told with what becomes of it.
 */
#include "convert/losses.h"

#include "convert/family_keys.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const vb_folder *folder;
    const char *arch;
    void (*note)(void *ud, const char *line);
    void *ud;
} report;

static void tell(const report *r, const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (r->note != NULL) r->note(r->ud, line);
}

static void tell_window(const report *r)
{
    int64_t n = json_integer_value(vb_setting(r->folder->config, "sliding_window"));
    int lost = strcmp(r->arch, "llama") == 0 || strcmp(r->arch, "starcoder2") == 0 ||
               json_is_true(vb_setting(r->folder->config, "use_sliding_window"));
    if (lost && n > 0)
        tell(r, "sliding_window: %lld tokens, for which files of %s have no key: farther ones are seen too",
             (long long)n, r->arch);
}

/* `word` is one of "a|b|c". */
static int is_among(const char *word, const char *words)
{
    size_t len = strlen(word);
    for (const char *at = strstr(words, word); at != NULL && len > 0; at = strstr(at + 1, word))
        if ((at == words || at[-1] == '|') && (at[len] == '|' || at[len] == '\0')) return 1;
    return 0;
}

static void tell_curve(const report *r, const char *curves)
{
    const char *curve = json_string_value(vb_setting(r->folder->config,
                                                     "hidden_activation|hidden_act|activation_function"));
    if (curve != NULL && !is_among(curve, curves))
        tell(r, "activation: %.40s, for which files of %s have no key: %s is computed", curve, r->arch, curves);
}

/* What readers of a family take for granted. */
static void tell_flags(const report *r)
{
    static const struct {
        const char *arch, *name;
        int granted;
    } flags[] = {
        {"qwen3moe", "norm_topk_prob", 1}, {"olmoe", "norm_topk_prob", 0}, {"gpt2", "scale_attn_weights", 1},
        {"gpt2", "scale_attn_by_inverse_layer_idx", 0},
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        const json_t *value = vb_setting(r->folder->config, flags[i].name);
        if (strcmp(flags[i].arch, r->arch) != 0 || !json_is_boolean(value) || json_is_true(value) == flags[i].granted)
            continue;
        tell(r, "%s: %s, for which files of %s have no key: it is read as %s", flags[i].name,
             flags[i].granted ? "false" : "true", r->arch, flags[i].granted ? "true" : "false");
    }
}

/* SmolLM 3: readers rotate nothing in each fourth layer. */
static void tell_still_layers(const report *r)
{
    const json_t *list = vb_setting(r->folder->config, "no_rope_layers"), *turns;
    size_t i;
    if (strcmp(r->arch, "smollm3") != 0) return;
    json_array_foreach(list, i, turns) {
        if ((json_integer_value(turns) != 0) == ((i + 1) % 4 != 0)) continue;
        tell(r, "no_rope_layers: not each fourth layer, for which files of smollm3 have no key: each fourth is without");
        return;
    }
}

void vb_losses(const vb_folder *f, const vb_family *family, void (*note)(void *ud, const char *line), void *ud)
{
    report r = {f, family->arch, note, ud};
    tell_window(&r);
    tell_curve(&r, family->curve);
    tell_flags(&r);
    tell_still_layers(&r);
    if (json_is_number(vb_setting(f->config, "clip_qkv")))
        tell(&r, "clip_qkv: a number, for which files of %s have no key: nothing is clipped", family->arch);
    if (json_is_false(vb_rope_setting(f, "truncate")))
        tell(&r, "rope_scaling: truncate: false, for which files have no key: it is read as true");
}
