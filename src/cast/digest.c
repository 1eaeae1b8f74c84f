/* digest.c - SHA-256 of all that decides what the lines of a cast say.
 *
 *   "vb-cast-1\0" | model | arithmetic | KV type | entries | each persona, field by field | each fact
 *
 * Numbers are u64, floats their bits, texts have their length in front; a text that is not there has the length 2^64 - 1.
 * Left out is what decides only how fast, or whether there is room: threads, instruction set, speakers, context.
 */
#include "base/hash.h"
#include "cast/cast.h"

#include <string.h>

static void add_text(vb_sha256 *h, const char *text)
{
    if (text == NULL) vb_sha256_add_u64(h, UINT64_MAX);
    else vb_sha256_add_text(h, text, strlen(text));
}

static void add_number(vb_sha256 *h, int64_t value)
{
    vb_sha256_add_u64(h, (uint64_t)value);
}

static void add_sampling(vb_sha256 *h, const vb_sampling *s)
{
    const float floats[] = {s->temperature, s->top_p, s->min_p, s->typical, s->repeat, s->presence, s->frequency};
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        uint32_t bits;
        memcpy(&bits, &floats[i], sizeof bits);
        vb_sha256_add_u32(h, bits);
    }
    add_number(h, s->top_k);
    add_number(h, s->repeat_last);
}

static void add_persona(vb_sha256 *h, const vb_persona *p)
{
    add_text(h, p->name);
    add_text(h, p->prompt);
    add_sampling(h, &p->sampling);
    add_number(h, p->stop);
    add_text(h, p->regex);
    add_number(h, p->max_tokens);
    add_text(h, p->grammar);
    add_text(h, p->schema);
    add_number(h, p->n_banned);
    for (int i = 0; i < p->n_banned; i++) add_text(h, p->banned[i]);
    add_number(h, p->attempts);
    add_text(h, p->fallback);
    add_number(h, p->keep_quotes);
    add_text(h, p->entry);
    add_number(h, p->memory_tokens);
    add_number(h, p->recall);
}

VB_API vb_status vb_cast_digest(const vb_cast *c, uint8_t out[32], vb_err *err)
{
    uint8_t model[32];
    VB_TRY(vb_model_sha256(c->model, model, err));
    vb_sha256 *h = vb_sha256_new();
    if (h == NULL) VB_FAIL(err, VB_E_MEMORY, "cast: out of memory for its digest");
    vb_sha256_add(h, "vb-cast-1", 10);
    vb_sha256_add(h, model, sizeof model);
    vb_sha256_add(h, c->info.plan_digest, sizeof c->info.plan_digest);
    vb_sha256_add(h, c->info.tokenizer_digest, sizeof c->info.tokenizer_digest);
    const int64_t numbers[] = {VB_ARITHMETIC_VERSION, c->info.arith, strcmp(c->info.player, "blas") == 0, c->info.like_ggml,
                               c->kv, c->entries, c->n_roles, c->n_facts};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) add_number(h, numbers[i]);
    for (int i = 0; i < c->n_roles; i++) add_persona(h, &c->roles[i].is);
    for (int i = 0; i < c->n_facts; i++) {
        add_text(h, c->facts[i].name);
        add_text(h, c->facts[i].value);
    }
    vb_sha256_end(h, out);
    return VB_OK;
}
