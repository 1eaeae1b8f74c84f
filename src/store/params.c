/* params.c - one table of options. */
#include "store/params.h"

#include "base/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef enum { WHOLE, REAL, YES_OR_NO, TEXTS, UNKNOWN } kind;
static const char *const type_names[] = {"int", "float32", "bool", "[]string"};

static const struct {
    const char *name;
    kind kind;
} table[] = {
    {"num_keep", WHOLE}, {"seed", WHOLE}, {"num_predict", WHOLE}, {"top_k", WHOLE}, {"repeat_last_n", WHOLE},
    {"num_ctx", WHOLE}, {"num_batch", WHOLE}, {"num_gpu", WHOLE}, {"main_gpu", WHOLE}, {"num_thread", WHOLE},
    {"draft_num_predict", WHOLE}, {"top_p", REAL}, {"min_p", REAL}, {"typical_p", REAL}, {"temperature", REAL},
    {"repeat_penalty", REAL}, {"presence_penalty", REAL}, {"frequency_penalty", REAL}, {"use_mmap", YES_OR_NO},
    {"stop", TEXTS},
};

static kind kind_of(const char *key)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, key) == 0) return table[i].kind;
    return UNKNOWN;
}

int vb_param_is_old(const char *key)
{
    static const char *const old[] = {"penalize_newline", "low_vram", "f16_kv", "logits_all", "vocab_only", "use_mlock",
                                      "mirostat", "mirostat_tau", "mirostat_eta"};
    for (size_t i = 0; i < sizeof old / sizeof old[0]; i++)
        if (strcmp(old[i], key) == 0) return 1;
    return 0;
}

static json_t *read_number(const char *text, int whole)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (whole) return *end == '\0' && end != text && errno == 0 ? json_integer(n) : NULL;
    double real = strtod(text, &end);
    return *end == '\0' && end != text && real - real == 0 ? json_real(real) : NULL;
}

static json_t *read_bool(const char *text)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"}, *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strcmp(yes[i], text) == 0) return json_true();
        if (strcmp(no[i], text) == 0) return json_false();
    }
    return NULL;
}

vb_status vb_param_read(json_t **out, const char *key, const char *text, vb_err *err)
{
    kind k = kind_of(key);
    *out = NULL;
    if (k == UNKNOWN) VB_FAIL(err, VB_E_ARGUMENT, "unknown parameter '%.60s'", key);
    if (k == TEXTS) *out = json_pack("[s]", text);
    else *out = k == YES_OR_NO ? read_bool(text) : read_number(text, k == WHOLE);
    if (*out == NULL)
        VB_FAIL(err, VB_E_ARGUMENT, "parameter %s: expected a value of type %s, found '%.60s'", key, type_names[k], text);
    return VB_OK;
}

static int fits(kind k, const json_t *v)
{
    if (k == WHOLE) return json_is_integer(v) || (json_is_real(v) && json_real_value(v) == (double)(long long)json_real_value(v));
    if (k == REAL) return json_is_number(v);
    if (k == YES_OR_NO) return json_is_boolean(v);
    if (k == UNKNOWN) return 1;
    for (size_t i = 0; i < json_array_size(v); i++)
        if (!json_is_string(json_array_get(v, i))) return 0;
    return json_is_array(v) || json_is_string(v);
}

vb_status vb_params_check(json_t *params, vb_err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(params, key, value)
        if (!fits(kind_of(key), value))
            VB_FAIL(err, VB_E_ARGUMENT, "option \"%s\" must be of type %s", key, type_names[kind_of(key)]);
    return VB_OK;
}
