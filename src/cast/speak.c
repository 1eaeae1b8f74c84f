/* speak.c - one line in its slot: a token is chosen, its text is looked at, the line is there or an attempt has failed.
 *
 *   prompt ] t t t t .       the rule is met: this is the line
 *   prompt ] t t t x         a banned word, an end too early, nothing said: the next attempt, from the prompt's end
 *   "..."                    the last attempt has failed: the fallback
 *
 * A token is chosen at its place in the session, prompt included, as vb_generate does; an attempt is a stream of its own.
 *
 * Invariant: what becomes of a line is a function of its prompt, its key and its role.
 */
#include "cast/cast.h"

#include "base/utf8.h"

#include <string.h>

/* --- text --------------------------------------------------------------------------------------------------- */

/* Moves whole characters behind `len` to the text; U+FFFD for a byte that belongs to none; at the `end` also unfinished ones. */
static void make_certain(vb_slot_of *s, char *text, int end)
{
    char raw[VB_TOKEN_ROOM + 4];
    size_t at = 0, n = s->held;
    memcpy(raw, text + s->len, n);
    while (at < n) {
        int whole = vb_utf8_character(raw + at, n - at);
        if (whole == 0 && !end) break;
        memcpy(text + s->len, whole > 0 ? raw + at : "\xef\xbf\xbd", whole > 0 ? (size_t)whole : 3);
        s->len += whole > 0 ? (size_t)whole : 3;
        at += whole > 0 ? (size_t)whole : 1;
    }
    s->held = n - at;
    memcpy(text + s->len, raw + at, s->held);
}

/* Control tokens say nothing. */
static void spell(const vb_cast *c, vb_slot_of *s, char *text, vb_token id)
{
    if (vb_token_controls(c->model, id)) return;
    int64_t n = vb_token_bytes(c->model, id, text + s->len + s->held, (size_t)c->longest);
    if (n > 0) s->held += n < c->longest ? (size_t)n : (size_t)c->longest;
    make_certain(s, text, 0);
}

size_t vb_saying_spell(vb_cast *c, const vb_saying *line, char *text)
{
    vb_slot_of s = {0};
    int n = line->n;
    if (n > line->n_prompt && vb_token_ends(c->model, line->tokens[n - 1])) n--;
    for (int i = line->n_prompt; i < n; i++) spell(c, &s, text, line->tokens[i]);
    if (line->state == VB_SAYING_DONE) make_certain(&s, text, 1);
    return s.len;
}

/* --- ends --------------------------------------------------------------------------------------------------- */

/* A grammar's line is all of it; it is there when the model ends it, or when nothing else may follow. */
static int is_held(vb_cast *c, vb_slot_of *s, int ended, int cut)
{
    size_t bytes = (size_t)c->info.vocab / 8 + 1;
    if (ended) return 1;
    if (!vb_grammar_may_end(s->grammar)) return 0;
    if (cut) return 1;
    if (vb_grammar_mask(s->grammar, c->mask, bytes, NULL) < 0) return 0;
    for (int id = 0; id < c->info.vocab; id++)
        if (c->mask[id / 8] >> (id % 8) & 1 && !vb_token_ends(c->model, id)) return 0;
    return 1;
}

vb_status vb_saying_line(vb_cast *c, const vb_saying *line, const char *text, size_t len, vb_stopped *out)
{
    const vb_role *r = &c->roles[line->role];
    if (r->grammar != NULL) {
        *out = (vb_stopped){.met = 1, .len = len, .end = VB_LINE_HELD};
        return VB_OK;
    }
    int last = line->n > line->n_prompt ? line->tokens[line->n - 1] : -1;
    int ended = last >= 0 && vb_token_ends(c->model, last), cut = line->n - line->n_prompt >= r->is.max_tokens;
    return vb_stop_find(r->stop, text, len, ended ? VB_TEXT_ENDED : cut ? VB_TEXT_CUT : VB_TEXT_GROWS, out, NULL);
}

static int is_banned(const vb_role *r, const char *text, size_t len)
{
    return r->filter != NULL && vb_filter_find(r->filter, text, len, 0, NULL) != NULL;
}

/* A word that a line of this rule could not leave out any more. */
static int is_spoilt(const vb_role *r, vb_slot_of *s)
{
    return r->filter != NULL && r->is.stop != VB_STOP_REGEX && vb_filter_find(r->filter, s->text, s->len, 1, &s->clean) != NULL;
}

/* --- attempts ----------------------------------------------------------------------------------------------- */

static vb_status begin_attempt(vb_cast *c, vb_slot_of *s, vb_saying *line, vb_err *err)
{
    vb_role *r = &c->roles[line->role];
    s->len = s->held = s->clean = 0;
    vb_grammar_close(s->grammar);
    s->grammar = NULL;
    if (r->grammar != NULL) VB_TRY(vb_grammar_fork(&s->grammar, r->grammar, err));
    for (int i = line->n_prompt; i < line->n; i++) { /* what was chosen before it was saved */
        if (s->grammar != NULL) VB_TRY(vb_grammar_accept(s->grammar, line->tokens[i], err));
        spell(c, s, s->text, line->tokens[i]);
    }
    return VB_OK;
}

static void finish(vb_cast *c, vb_slot_of *s, vb_saying *line, vb_line_end end)
{
    line->end = end;
    line->state = VB_SAYING_DONE;
    vb_slot_clear(c, s);
}

void vb_saying_fail(vb_saying *line, const vb_err *err)
{
    line->failed = err->code;
    line->baked = 0;
    line->n = line->n_prompt;
    line->request_len = (size_t)snprintf(line->request, sizeof err->text, "%s", err->text);
    line->state = VB_SAYING_DONE;
}

void vb_slot_fail(vb_cast *c, vb_slot_of *s, const vb_err *err)
{
    vb_saying_fail(&c->lines[s->line], err);
    vb_slot_clear(c, s);
}

/* The line is there; what the entity remembers of it may fail. */
static void finish_with(vb_cast *c, vb_slot_of *s, vb_saying *line, const char *text, size_t len)
{
    vb_err err;
    if (vb_past_remember(c, line, text, len, &err) < 0) vb_slot_fail(c, s, &err);
    else finish(c, s, line, line->end);
}

static void next_attempt(vb_cast *c, vb_slot_of *s, vb_saying *line)
{
    const vb_role *r = &c->roles[line->role];
    vb_err err;
    line->n = line->n_prompt;
    if (++line->attempt >= r->is.attempts) {
        line->end = VB_LINE_FALLBACK;
        finish_with(c, s, line, r->is.fallback, strlen(r->is.fallback));
        return;
    }
    if (vb_session_rewind(s->session, line->n_prompt - 1, &err) < 0 || begin_attempt(c, s, line, &err) < 0)
        vb_slot_fail(c, s, &err);
}

/* What the token makes of the line; `ended`: it is one that ends a generation. */
static void look(vb_cast *c, vb_slot_of *s, vb_saying *line, int ended)
{
    const vb_role *r = &c->roles[line->role];
    int over = ended || line->n - line->n_prompt >= r->is.max_tokens;
    vb_stopped found = {0};
    if (over) make_certain(s, s->text, 1);
    int there = r->grammar == NULL || is_held(c, s, ended, over);
    if (there && vb_saying_line(c, line, s->text, s->len, &found) < 0) found.met = 0, over = 1;
    if (found.met) {
        if (found.len == 0 || is_banned(r, s->text + found.from, found.len)) {
            next_attempt(c, s, line);
        } else {
            line->end = found.end;
            finish_with(c, s, line, s->text + found.from, found.len);
        }
    } else if (over || is_spoilt(r, s)) {
        next_attempt(c, s, line);
    }
}

/* --- choosing ----------------------------------------------------------------------------------------------- */

static vb_status choose(vb_cast *c, vb_slot_of *s, const vb_saying *line, vb_token *id, vb_err *err)
{
    vb_sampling how = c->roles[line->role].is.sampling;
    vb_line_key key = line->key;
    int n_vocab;
    key.draw += (uint64_t)line->attempt << 32;
    vb_line_stream(&key, &how.seed, &how.stream);
    const float *logits = vb_session_logits(s->session, &n_vocab);
    vb_sample_input in = {.logits = logits, .n_vocab = n_vocab, .past = line->tokens, .n_past = line->n, .grammar = s->grammar,
                          .room = c->logits, .sorting = c->sorting};
    if (logits == NULL) VB_FAIL(err, VB_E_ARGUMENT, "line: the session has no logits");
    VB_TRY(vb_sample_given(&in, &how, id, err));
    return s->grammar == NULL ? VB_OK : vb_grammar_accept(s->grammar, *id, err);
}

void vb_slot_choose(vb_cast *c, vb_slot_of *s)
{
    vb_saying *line = &c->lines[s->line];
    vb_token id;
    vb_err err;
    vb_status status = choose(c, s, line, &id, &err);
    if (status == VB_E_NOT_FOUND) { /* the grammar leads nowhere */
        next_attempt(c, s, line);
        return;
    }
    if (status < 0) {
        vb_slot_fail(c, s, &err);
        return;
    }
    line->tokens[line->n++] = id;
    line->chosen++;
    int ended = vb_token_ends(c->model, id);
    if (!ended) spell(c, s, s->text, id);
    look(c, s, line, ended);
}

/* --- slots -------------------------------------------------------------------------------------------------- */

static int common(const vb_token *a, int n_a, const vb_token *b, int n_b)
{
    int n = 0;
    while (n < n_a && n < n_b && a[n] == b[n]) n++;
    return n;
}

/* The session gets as much of the prompt as the role's beginning has evaluated of it; the last token is left, for its
 * logits. */
static vb_status adopt(const vb_role *r, vb_slot_of *s, const vb_saying *line, vb_err *err)
{
    int held, same = 0;
    if (r->beginning != NULL) {
        const vb_token *ids = vb_session_tokens(r->beginning, &held);
        same = common(ids, held, line->tokens, line->n_prompt);
    }
    if (same == line->n_prompt) same--;
    if (same <= 0) return vb_session_rewind(s->session, 0, err);
    return vb_session_adopt(s->session, r->beginning, same, err);
}

vb_status vb_slot_begin(vb_cast *c, vb_slot_of *s, vb_saying *line, vb_err *err)
{
    s->line = (int)(line - c->lines);
    line->slot = (int)(s - c->slots);
    line->state = VB_SAYING_SPEAKS;
    VB_TRY(adopt(&c->roles[line->role], s, line, err));
    return begin_attempt(c, s, line, err);
}

int vb_slot_missing(const vb_cast *c, const vb_slot_of *s)
{
    int n = 0;
    if (s->line < 0) return 0;
    vb_session_tokens(s->session, &n);
    return c->lines[s->line].n - n;
}

void vb_slot_clear(vb_cast *c, vb_slot_of *s)
{
    vb_saying *line = &c->lines[s->line];
    vb_grammar_close(s->grammar);
    s->grammar = NULL;
    s->line = -1;
    line->slot = -1;
}
