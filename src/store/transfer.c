/* transfer.c - what pull and push share: names, telling, trying again. */
#include "store/transfer.h"

#include "base/os.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TRIES = 7, FIRST_PAUSE_MS = 500, NAP_MS = 50, WAIT_MS = 200 };
#define BETWEEN_NS 60000000u

vb_status vb_carry_open(vb_carrying *c, vb_transfer *t, const char *name, const char *verb, vb_err *err)
{
    int plain = strncmp(name, "http://", 7) == 0;
    char repository[sizeof c->ref.space + sizeof c->ref.model + 1];
    memset(c, 0, sizeof *c);
    c->t = t;
    c->verb = verb;
    t->remote = t->changed = 0;
    if (plain) name += 7;
    else if (strncmp(name, "https://", 8) == 0) name += 8;
    if (!vb_ref_parse(&c->ref, name)) VB_FAIL(err, VB_E_ARGUMENT, "invalid model name");
    if (plain && !t->insecure && !vb_registry_is_local(c->ref.host)) VB_FAIL(err, VB_E_ARGUMENT, "insecure protocol http");
    snprintf(repository, sizeof repository, "%s/%s", c->ref.space, c->ref.model);
    vb_registry_opts opts = {.host = c->ref.host, .repository = repository, .insecure = plain || t->insecure,
                             .netrc = t->netrc, .stop = t->stop};
    return vb_registry_open(&c->registry, &opts, err);
}

void vb_carry_close(vb_carrying *c)
{
    vb_registry_close(c->registry);
}

vb_status vb_carry_tell(const vb_carrying *c, const char *status, vb_err *err)
{
    return vb_tell(&c->t->to, &(vb_progress){.status = status}, err);
}

vb_status vb_carry_tell_layer(vb_carrying *c, int now, vb_err *err)
{
    char status[64], digest[80];
    uint64_t at = vb_clock_ns();
    if (!now && at - c->told_ns < BETWEEN_NS) return VB_OK;
    c->told_ns = at;
    snprintf(status, sizeof status, "%s %.12s", c->verb, c->layer->hex);
    snprintf(digest, sizeof digest, "sha256:%s", c->layer->hex);
    return vb_tell(&c->t->to, &(vb_progress){status, digest, c->layer->bytes, c->done}, err);
}

static vb_status rest(const vb_carrying *c, int ms, vb_err *err)
{
    const struct timespec nap = {.tv_nsec = NAP_MS * 1000000};
    for (; ms > 0 && !vb_stopped(&c->t->stop); ms -= NAP_MS) nanosleep(&nap, NULL);
    if (vb_stopped(&c->t->stop)) VB_FAIL(err, VB_E_STOPPED, "stopped");
    return VB_OK;
}

vb_status vb_carry_wait(const vb_carrying *c, vb_err *err)
{
    return rest(c, WAIT_MS, err);
}

vb_status vb_carry_again(vb_carrying *c, vb_status status, uint64_t before, vb_err *err)
{
    if (c->why.text[0] != '\0') {
        if (err != NULL) *err = c->why;
        return c->why.code;
    }
    c->t->remote = status != VB_E_STOPPED;
    if (!vb_registry_passing(c->registry)) return status;
    c->vain = c->done > before ? 0 : c->vain + 1;
    if (c->vain == TRIES) {
        vb_err last = {0};
        if (err != NULL) last = *err;
        VB_FAIL(err, status, "max retries exceeded: %.400s", last.text);
    }
    return rest(c, FIRST_PAUSE_MS << (c->vain > 0 ? c->vain - 1 : 0), err);
}

const vb_layer *vb_carry_layer(const vb_image *image, int i)
{
    if (i < image->n) return &image->layers[i];
    return i == image->n && image->config.hex[0] != '\0' ? &image->config : NULL;
}
