/* native_state.c - llama-server's /props and /slots: what a model is set to, and what its slots are doing. */
#include "serve/native.h"

#include <stdlib.h>
#include <string.h>

static void put_token(vb_out *out, const char *key, const vb_model *model, vb_token id)
{
    char piece[256];
    int64_t n = id >= 0 ? vb_token_bytes(model, id, piece, sizeof piece) : 0;
    vb_js_key(out, key);
    vb_js_string(out, piece, n > 0 && n <= (int64_t)sizeof piece ? (size_t)n : 0);
}

static void put_defaults(vb_out *out, const vb_host *host)
{
    vb_js_key(out, "default_generation_settings");
    vb_js_open(out, '{');
    vb_js_put_int(out, "id", 0);
    vb_js_put_int(out, "n_ctx", host->context);
    vb_js_put_bool(out, "speculative", 0);
    vb_js_put_bool(out, "is_processing", 0);
    vb_js_close(out, '}');
}

static void put_fingerprint(vb_out *out, const vb_model *model)
{
    char text[128];
    if (vb_model_fingerprint(model, text, sizeof text, NULL) > 0) vb_js_put_string(out, "system_fingerprint", text);
}

static void put_template(vb_out *out, const vb_model *model)
{
    size_t len = 0;
    const char *text = vb_model_template(model, &len);
    vb_js_key(out, "chat_template");
    vb_js_string(out, text != NULL ? text : "", len);
}

void vb_native_props(vb_serve *s, vb_exchange *x)
{
    vb_out out = {0};
    vb_host *host = vb_native_host(s, x, vb_exchange_query(x, "model"));
    if (host == NULL) return;
    vb_js_open(&out, '{');
    put_defaults(&out, host);
    vb_js_put_int(&out, "total_slots", host->slots);
    vb_js_put_string(&out, "model_alias", host->name);
    vb_js_put_string(&out, "model_path", host->info.path);
    put_template(&out, host->model);
    put_token(&out, "bos_token", host->model, host->info.bos);
    put_token(&out, "eos_token", host->model, host->info.eos);
    vb_js_put_string(&out, "build_info", vb_version());
    put_fingerprint(&out, host->model);
    vb_js_close(&out, '}');
    vb_hosts_release(s->hosts, host, VB_KEEP_DEFAULT);
    vb_serve_json(x, 200, &out);
}

static void put_slot(void *ud, const vb_slot *slot)
{
    vb_out *out = ud;
    vb_js_open(out, '{');
    vb_js_put_int(out, "id", slot->slot);
    vb_js_put_string(out, "model", slot->host->name);
    vb_js_put_int(out, "n_ctx", slot->host->context);
    vb_js_put_bool(out, "is_processing", slot->busy);
    vb_js_put_int(out, "n_prompt_tokens", slot->prompt_tokens);
    vb_js_put_int(out, "n_predict", slot->max_tokens);
    vb_js_close(out, '}');
}

void vb_native_slots(vb_serve *s, vb_exchange *x)
{
    vb_out out = {0};
    vb_js_open(&out, '[');
    vb_scheduler_slots(s->scheduler, put_slot, &out);
    vb_js_close(&out, ']');
    vb_serve_json(x, 200, &out);
}
