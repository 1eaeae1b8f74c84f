/* collect.c - what was said: as text, one line at a time; and lines that are said now, or no more. */
#include "cast/cast.h"

#include <string.h>

static void put_text(vb_line *out, const char *text, size_t len)
{
    out->text = text;
    out->len = len;
}

/* The tokens say it again: a line is not kept as text. */
static void put_spoken(vb_cast *c, const vb_saying *line, vb_line *out)
{
    vb_stopped found = {0};
    size_t len = vb_saying_spell(c, line, c->text);
    vb_saying_line(c, line, c->text, len, &found);
    c->text[found.from + found.len] = 0;
    put_text(out, c->text + found.from, found.len);
}

void vb_saying_describe(vb_cast *c, const vb_saying *line, vb_line *out)
{
    const vb_persona *p = &c->roles[line->role].is;
    int attempts = line->attempt < p->attempts ? line->attempt + 1 : p->attempts;
    *out = (vb_line){.key = line->key, .persona = p->name, .end = line->end, .attempts = attempts,
                     .prompt_tokens = line->n_prompt, .tokens = line->chosen, .baked = line->baked, .failed = line->failed};
    if (line->failed < 0) {
        put_text(out, line->request, line->request_len);
    } else if (line->baked) {
        put_text(out, line->said.text, line->said.len);
        out->attempts = line->said.attempts;
        out->tokens = line->said.tokens;
    } else if (line->end == VB_LINE_FALLBACK) {
        put_text(out, p->fallback, strlen(p->fallback));
    } else {
        put_spoken(c, line, out);
    }
}

void vb_saying_release(vb_cast *c, vb_saying *line)
{
    vb_past_leave(c, line);
    line->state = VB_SAYING_FREE;
}

VB_API int vb_cast_collect(vb_cast *c, vb_line *out)
{
    if (c->done.first < 0) return 0;
    vb_saying *line = &c->lines[c->done.first];
    vb_saying_describe(c, line, out);
    vb_row_remove(c, &c->done, line);
    vb_saying_release(c, line);
    vb_row_add(c, &c->unused, line);
    return 1;
}

VB_API int vb_cast_cancel(vb_cast *c, const vb_line_key *key)
{
    vb_saying *line = vb_cast_find(c, key);
    if (line == NULL) return 0;
    if (line->state == VB_SAYING_SPEAKS) {
        c->group.n = 0; /* it may be part of it; what was computed of the others is lost, and made again */
        vb_slot_clear(c, &c->slots[line->slot]);
    } else {
        vb_row_remove(c, line->state == VB_SAYING_WAITS ? &c->waiting : &c->done, line);
    }
    c->unfinished -= line->state != VB_SAYING_DONE;
    vb_saying_release(c, line);
    vb_row_add(c, &c->unused, line);
    return 1;
}

/* --- one line, now -------------------------------------------------------------------------------------------- */

static vb_status advance(vb_cast *c, vb_slot_of *s, vb_saying *line, vb_err *err)
{
    int missing = vb_slot_missing(c, s);
    if (missing <= 0) {
        vb_slot_choose(c, s);
        return VB_OK;
    }
    int n = missing < VB_CAST_CHUNK ? missing : VB_CAST_CHUNK;
    vb_work work = {.session = s->session, .ids = line->tokens + line->n - missing, .n = n};
    return vb_eval(&work, 1, err);
}

static vb_status speak(vb_cast *c, vb_saying *line, vb_err *err)
{
    vb_slot_of *s = &c->slots[c->n_slots];
    if (line->n_prompt == 0)
        VB_FAIL(err, VB_E_ARGUMENT, "say: entity %llu: expected earlier lines that it remembers to be finished, found tick %llu",
                (unsigned long long)line->key.entity, (unsigned long long)c->entities[line->entity].awaited);
    if (vb_saying_is_baked(c, line)) return VB_OK;
    VB_TRY(vb_slot_begin(c, s, line, err));
    while (line->state == VB_SAYING_SPEAKS) VB_TRY(advance(c, s, line, err));
    if (line->failed == 0) return VB_OK;
    VB_FAIL(err, line->failed, "%s", line->request);
}

VB_API vb_status vb_cast_say(vb_cast *c, const vb_line_request *request, vb_line *out, vb_err *err)
{
    vb_saying *line = &c->lines[c->n_lines];
    VB_TRY(vb_saying_ask(c, line, request, err));
    line->state = VB_SAYING_WAITS;
    vb_status s = speak(c, line, err);
    if (s < 0 && line->slot >= 0) vb_slot_clear(c, &c->slots[c->n_slots]);
    if (s == VB_OK) {
        vb_saying_complete(c, line);
        vb_saying_describe(c, line, out);
    }
    vb_saying_release(c, line);
    return s;
}

/* --- tables --------------------------------------------------------------------------------------------------- */

vb_status vb_cast_name_lines(vb_cast *c, vb_err *err)
{
    uint8_t digest[32];
    if (c->namer != NULL) return VB_OK;
    VB_TRY(vb_cast_digest(c, digest, err));
    return vb_namer_open(&c->namer, digest, err);
}

VB_API vb_status vb_cast_bake(vb_cast *c, vb_err *err)
{
    if (c->bake != NULL) return VB_OK;
    VB_TRY(vb_cast_name_lines(c, err));
    c->bake_err.code = VB_OK;
    return vb_bake_open(&c->bake, err);
}

VB_API vb_status vb_cast_bake_end(vb_cast *c, const char *path, vb_err *err)
{
    vb_status s = VB_OK;
    if (c->bake == NULL) VB_FAIL(err, VB_E_ARGUMENT, "bake: expected a cast whose lines are kept, found none");
    if (c->bake_err.code < 0) s = vb_fail(err, c->bake_err.code, "%s", c->bake_err.text);
    else s = vb_bake_write(c->bake, path, err);
    vb_bake_close(c->bake);
    c->bake = NULL;
    return s;
}
