/* request.c - what is asked for: a request kept as bytes until its line is finished, and the prompt that comes of it.
 *
 *   request   length of the value u32 | name 0 | value      once for the text, for what was recalled, for each fact
 *
 * All but ${memory} is known when a line is asked for, so what does not fit is refused then and there. A prompt with
 * ${memory} waits until that is known too (past.c).
 */
#include "cast/cast.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- rows of lines ------------------------------------------------------------------------------------------ */

void vb_row_add(vb_cast *c, vb_row_of *row, vb_saying *line)
{
    int at = (int)(line - c->lines);
    line->next = -1;
    if (row->last >= 0) c->lines[row->last].next = at;
    else row->first = at;
    row->last = at;
}

void vb_row_remove(vb_cast *c, vb_row_of *row, const vb_saying *line)
{
    int at = (int)(line - c->lines), before = -1;
    for (int i = row->first; i >= 0 && i != at; i = c->lines[i].next) before = i;
    if (before >= 0) c->lines[before].next = line->next;
    else row->first = line->next;
    if (row->last == at) row->last = before;
}

vb_saying *vb_cast_find(const vb_cast *c, const vb_line_key *key)
{
    for (int i = 0; i < c->n_lines; i++) {
        const vb_line_key *k = &c->lines[i].key;
        if (c->lines[i].state == VB_SAYING_FREE || k->entity != key->entity || k->tick != key->tick) continue;
        if (k->world == key->world && k->draw == key->draw) return &c->lines[i];
    }
    return NULL;
}

/* --- the request as bytes ----------------------------------------------------------------------------------- */

static vb_status keep(const vb_cast *c, vb_saying *line, const char *name, const char *value, vb_err *err)
{
    size_t n = strlen(name) + 1, len = value == NULL ? 0 : strlen(value);
    uint32_t length = (uint32_t)len;
    if (len > c->request_cap || sizeof length + n + len > c->request_cap - line->request_len)
        VB_FAIL(err, VB_E_FULL, "request: expected text and facts of at most %zu bytes, found more at \"%s\"", c->request_cap,
                name);
    char *at = line->request + line->request_len;
    memcpy(at, &length, sizeof length);
    memcpy(at + sizeof length, name, n);
    if (len > 0) memcpy(at + sizeof length + n, value, len);
    line->request_len += sizeof length + n + len;
    return VB_OK;
}

/* Passages, the nearest first, each with a line break between it and the next. */
static vb_status keep_recalled(vb_cast *c, vb_saying *line, const char *text, vb_err *err)
{
    const vb_role *r = &c->roles[line->role];
    int k = r->is.recall;
    size_t len = 0;
    if (!r->recalls) return VB_OK;
    vb_recalled *found = calloc((size_t)k + 1, sizeof *found);
    if (found == NULL) VB_FAIL(err, VB_E_MEMORY, "request: out of memory for %d passages", k);
    int n = text[0] == 0 || k == 0 ? 0 : vb_recall_search(c->recall, line->key.entity, line->key.tick, text, strlen(text), found,
                                                          k, err);
    for (int i = 0; i < n; i++) {
        if (len + found[i].len + 1 > c->room_cap) break;
        if (i > 0) c->room[len++] = '\n';
        memcpy(c->room + len, found[i].text, found[i].len);
        len += found[i].len;
    }
    free(found);
    if (n < 0) return (vb_status)n;
    c->room[len < c->room_cap ? len : c->room_cap - 1] = 0;
    return keep(c, line, "recalled", c->room, err);
}

static vb_status keep_request(vb_cast *c, vb_saying *line, const vb_line_request *q, vb_err *err)
{
    const char *text = q->text == NULL ? "" : q->text;
    if (q->n_facts < 0 || q->n_facts > VB_REQUEST_FACTS)
        VB_FAIL(err, VB_E_ARGUMENT, "request: expected 0 to %d facts, found %d", VB_REQUEST_FACTS, q->n_facts);
    line->request_len = 0;
    VB_TRY(keep(c, line, "text", text, err));
    VB_TRY(keep_recalled(c, line, text, err));
    for (int i = 0; i < q->n_facts; i++) {
        char where[32];
        snprintf(where, sizeof where, "fact %d", i);
        VB_TRY(vb_fill_check_fact(&q->facts[i], where, err));
        VB_TRY(keep(c, line, q->facts[i].name, q->facts[i].value, err));
    }
    return VB_OK;
}

int vb_saying_fillings(vb_cast *c, const vb_saying *line, vb_filling *out)
{
    size_t at = 0;
    uint32_t length;
    int n = 0;
    while (at + sizeof length < line->request_len) {
        memcpy(&length, line->request + at, sizeof length);
        const char *name = line->request + at + sizeof length, *value = name + strlen(name) + 1;
        out[n++] = (vb_filling){name, value, length};
        at = (size_t)(value - line->request) + length;
    }
    for (int i = 0; i < c->n_facts; i++)
        out[n++] = (vb_filling){c->facts[i].name, c->facts[i].value, strlen(c->facts[i].value)};
    return n;
}

/* --- the prompt --------------------------------------------------------------------------------------------- */

static vb_status fill_memory(vb_cast *c, const vb_saying *line, int known, vb_filling *out, vb_err *err)
{
    int64_t len = 0;
    const vb_role *r = &c->roles[line->role];
    if (r->sees && known)
        len = vb_memory_render(c->memory, line->key.entity, line->key.tick, r->is.memory_tokens, c->memory_text,
                               c->memory_cap, err);
    if (len < 0) return (vb_status)len;
    *out = (vb_filling){"memory", c->memory_text, (size_t)len};
    return VB_OK;
}

/* With `known` 0 the memory is left out: that tells whether the rest is as it must be. */
static vb_status encode(vb_cast *c, vb_saying *line, int known, int *n_prompt, vb_err *err)
{
    const vb_role *r = &c->roles[line->role];
    int most = c->context - r->is.max_tokens, n = vb_saying_fillings(c, line, c->fillings);
    vb_fill_room room = {c->room, c->room_cap};
    if (r->sees) VB_TRY(fill_memory(c, line, known, &c->fillings[n++], err));
    int64_t got = vb_fill_encode(r->prompt, c->fillings, n, room, line->tokens, (size_t)most, err);
    if (got < 0) return (vb_status)got;
    if (got > most)
        VB_FAIL(err, VB_E_FULL, "prompt of persona \"%s\": expected at most %d tokens, %d of the context's %d being for the line, "
                "found more", r->is.name, most, r->is.max_tokens, c->context);
    if (got == 0 && known) VB_FAIL(err, VB_E_ARGUMENT, "prompt of persona \"%s\": expected tokens, found none", r->is.name);
    *n_prompt = (int)got;
    return VB_OK;
}

vb_status vb_saying_prepare(vb_cast *c, vb_saying *line, vb_err *err)
{
    if (line->n_prompt > 0 || !vb_past_is_known(c, line)) return VB_OK;
    VB_TRY(encode(c, line, 1, &line->n_prompt, err));
    line->n = line->n_prompt;
    return VB_OK;
}

/* --- asking ------------------------------------------------------------------------------------------------- */

static vb_status set_up(vb_cast *c, vb_saying *line, const vb_line_request *q, vb_err *err)
{
    int ignored, role = vb_role_find(c, q->persona);
    if (role < 0) VB_FAIL(err, VB_E_NOT_FOUND, "request: persona: expected one of the cast, found \"%.100s\"", q->persona);
    if (vb_cast_find(c, &q->key) != NULL)
        VB_FAIL(err, VB_E_ARGUMENT, "request: expected a new key, found one that waits: entity %llu, tick %llu, draw %llu",
                (unsigned long long)q->key.entity, (unsigned long long)q->key.tick, (unsigned long long)q->key.draw);
    vb_saying fresh = {.key = q->key, .tokens = line->tokens, .request = line->request, .role = role, .slot = -1,
                       .next = line->next, .entity = -1};
    *line = fresh;
    VB_TRY(keep_request(c, line, q, err));
    return c->roles[role].sees ? encode(c, line, 0, &ignored, err) : VB_OK;
}

vb_status vb_saying_ask(vb_cast *c, vb_saying *line, const vb_line_request *q, vb_err *err)
{
    VB_TRY(set_up(c, line, q, err));
    VB_TRY(vb_past_join(c, line, err));
    vb_status s = vb_saying_prepare(c, line, err);
    if (s < 0) vb_past_leave(c, line);
    return s;
}

VB_API vb_status vb_cast_request(vb_cast *c, const vb_line_request *q, vb_err *err)
{
    if (c->unused.first < 0)
        VB_FAIL(err, VB_E_FULL, "request: expected at most %d lines that are not collected, found one more", c->n_lines);
    vb_saying *line = &c->lines[c->unused.first];
    VB_TRY(vb_saying_ask(c, line, q, err));
    vb_row_remove(c, &c->unused, line);
    line->state = VB_SAYING_WAITS;
    vb_row_add(c, &c->waiting, line);
    c->unfinished++;
    return VB_OK;
}
