/* reply.c - where in a reply we are, and which marks lead on from there.
 *
 *            open of a thought                  open of a call
 *   START ------------------> THOUGHT   TEXT ------------------> CALL      START: nothing but blanks so far
 *     |  anything else          | its close ^ <------------------ |
 *     `-----------> TEXT <------'           |       its close
 *
 *   with channels:   HEAD --<|message|>--> THOUGHT, TEXT or CALL --<|end|>, <|call|>, ...--> HEAD
 *
 * Text that may be the beginning of a mark is held, and so are blanks whose fate a mark decides: those around thoughts and
 * in front of calls belong to nobody.
 */
#include "reply/reply.h"

#include "reply/calls.h"

#include <stdlib.h>
#include <string.h>

typedef enum { START, TEXT, THOUGHT, CALL, BARE, HEAD } place;
enum { MARKS_MOST = 12 };

typedef struct {
    char *data;
    size_t len, cap;
} bytes;

struct vb_reply {
    vb_reply_style style;
    json_t *tools, *calls; /* calls: all of them, [{"name", "arguments"}] */
    size_t given;          /* calls that were handed out */
    int most, failed;
    int spoke;    /* a channel was opened */
    int wrote;    /* there was content */
    int demanded; /* it has to be a call */
    place at;
    int trimming;          /* blanks that come next belong to nobody */
    bytes held, blanks;    /* not looked at yet; blanks behind the last text */
    bytes body;            /* of the call, or of the channel's head */
    char name[128];        /* the call's, told by its channel; "" otherwise */
    bytes content, thinking; /* what the next piece brings */
    vb_reply_call *pieces;
};

static void add(vb_reply *r, bytes *b, const char *data, size_t len)
{
    if (b->len + len + 1 > b->cap) {
        size_t cap = (b->len + len + 1) * 2;
        char *more = realloc(b->data, cap);
        r->failed |= more == NULL;
        if (more == NULL) return;
        b->data = more;
        b->cap = cap;
    }
    if (len > 0) memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

static int is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* --- text out -------------------------------------------------------------------------------------------- */

/* Blanks wait until it is known whether something follows them. */
static void put(vb_reply *r, bytes *to, const char *text, size_t len)
{
    size_t from = 0, end = len;
    while (r->trimming && from < len && is_blank(text[from])) from++;
    if (from == len) return;
    r->trimming = 0;
    while (end > from && is_blank(text[end - 1])) end--;
    if (end > from) {
        add(r, to, r->blanks.data, r->blanks.len);
        add(r, to, text + from, end - from);
        r->blanks.len = 0;
        r->wrote |= to == &r->content;
    }
    add(r, &r->blanks, text + end, len - end);
}

/* Blanks that wait are dropped, and so are those that follow. */
static void trim(vb_reply *r)
{
    r->blanks.len = 0;
    r->trimming = 1;
}

/* --- calls ----------------------------------------------------------------------------------------------- */

/* The call's text is read, or becomes content. */
static void end_call(vb_reply *r, const char *open, const char *close)
{
    const char *text = r->body.data != NULL ? r->body.data : "";
    size_t len = r->body.len;
    int read = r->name[0] != '\0' ? vb_call_named(r->calls, r->name, text, len)
                                  : vb_calls_read(r->calls, r->tools, r->at == BARE, text, len);
    if (read) {
        trim(r);
    } else {
        add(r, &r->content, r->blanks.data, r->blanks.len);
        r->blanks.len = 0;
        r->wrote = 1;
        add(r, &r->content, open, strlen(open));
        add(r, &r->content, text, len);
        add(r, &r->content, close, strlen(close));
    }
    r->body.len = 0;
    r->name[0] = '\0';
    r->at = r->style.channels ? HEAD : TEXT;
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

/* --- channels --------------------------------------------------------------------------------------------- */

/* "<|channel|>analysis", " to=functions.f<|channel|>commentary json", ... */
static void read_head(vb_reply *r)
{
    const char *head = r->body.data != NULL ? r->body.data : "", *to = strstr(head, "to=functions.");
    r->at = strstr(head, "analysis") != NULL ? THOUGHT : TEXT;
    if (to != NULL && r->tools != NULL) {
        to += strlen("to=functions.");
        size_t n = strspn(to, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
        if (n > 0 && n < sizeof r->name) {
            memcpy(r->name, to, n);
            r->name[n] = '\0';
            r->at = CALL;
        }
    }
    r->body.len = 0;
    r->trimming = r->spoke = 1;
}

static void channel_mark(vb_reply *r, const char *mark)
{
    if (r->at == CALL) end_call(r, "", "");
    if (r->at == HEAD && strcmp(mark, "<|message|>") == 0) {
        read_head(r);
        return;
    }
    if (r->at != HEAD) trim(r);
    r->at = HEAD;
    r->body.len = 0;
    if (strcmp(mark, "<|channel|>") == 0) add(r, &r->body, mark, strlen(mark));
}

/* --- marks ------------------------------------------------------------------------------------------------ */

static int marks_here(const vb_reply *r, const char **out)
{
    static const char *const head[] = {"<|message|>"}, *const within[] = {"<|end|>", "<|call|>", "<|return|>", "<|start|>", "<|channel|>"};
    const vb_call_marks *c = r->style.calls;
    const vb_thought_marks *t = r->style.thoughts;
    int n = 0;
    if (r->style.channels) {
        n = r->at == HEAD ? 1 : 5;
        memcpy(out, r->at == HEAD ? head : within, (size_t)n * sizeof *out);
        return n;
    }
    if (r->at == THOUGHT) out[n++] = t->close;
    if (r->at == START && t != NULL) out[n++] = t->open;
    if (r->at == CALL && c->close != NULL) out[n++] = c->close;
    for (int i = 0; r->at <= TEXT && i < VB_MARKS_DROPPED; i++)
        if (c->drop[i] != NULL) out[n++] = c->drop[i];
    if (r->tools == NULL || c->open == NULL) return n;
    if (r->at <= TEXT || (r->at == CALL && c->close == NULL)) out[n++] = c->open;
    return n;
}

/* A mark was read. */
static void take_mark(vb_reply *r, const char *mark)
{
    const vb_call_marks *c = r->style.calls;
    const vb_thought_marks *t = r->style.thoughts;
    if (r->style.channels) {
        channel_mark(r, mark);
    } else if (r->at == THOUGHT) {
        trim(r);
        r->at = TEXT;
    } else if (r->at == CALL) {
        if (c->whole) add(r, &r->body, mark, strlen(mark));
        end_call(r, c->whole ? "" : or_empty(c->open), c->whole ? "" : or_empty(c->close));
        if (mark == c->open) r->at = CALL;
    } else if (r->at == START && t != NULL && mark == t->open) {
        trim(r);
        r->at = THOUGHT;
    } else if (mark == c->open) {
        r->at = CALL;
        if (c->whole) add(r, &r->body, mark, strlen(mark));
    } else {
        trim(r);
    }
}

/* The earliest mark in what is held; NULL: none, and from *at on it may become one. */
static const char *find_mark(const vb_reply *r, size_t *at)
{
    const char *marks[MARKS_MOST], *found = NULL;
    int n = marks_here(r, marks);
    *at = r->held.len;
    for (int i = 0; i < n; i++) {
        size_t len = strlen(marks[i]);
        for (size_t p = 0; p < *at; p++) {
            size_t left = r->held.len - p < len ? r->held.len - p : len;
            if (memcmp(r->held.data + p, marks[i], left) != 0) continue;
            found = left == len ? marks[i] : NULL;
            *at = p;
        }
    }
    return found;
}

/* Does the answer begin as JSON of a call? Where calls have no marks, or need none, it may be the whole answer. */
static int begins_bare(const vb_reply *r, char c)
{
    return r->tools != NULL && !r->style.channels && (r->demanded || r->style.calls->bare) && (c == '{' || c == '[');
}

/* Text in front of a mark, or that belongs to none. */
static void take_text(vb_reply *r, const char *text, size_t len)
{
    size_t i = 0;
    if (r->at == START || (r->at == TEXT && !r->wrote && r->trimming)) {
        while (i < len && is_blank(text[i])) i++;
        if (r->at == START && !r->trimming) add(r, &r->blanks, text, i);
        if (i == len) return;
        text += i;
        len -= i;
        r->at = begins_bare(r, text[0]) ? BARE : TEXT;
    }
    if (r->at == THOUGHT) put(r, &r->thinking, text, len);
    else if (r->at == TEXT) put(r, &r->content, text, len);
    else add(r, &r->body, text, len);
}

static void run(vb_reply *r)
{
    for (;;) {
        size_t at;
        const char *mark = find_mark(r, &at);
        place before = r->at;
        if (at > 0) take_text(r, r->held.data, at);
        size_t used = at;
        /* What stood in front of the mark may have decided that it is none. */
        if (mark != NULL && (r->at == before || r->at == TEXT)) {
            used += strlen(mark);
            if (before == START && r->at == TEXT && at > 0 && r->style.thoughts != NULL && mark == r->style.thoughts->open) used = at;
            else take_mark(r, mark);
        }
        memmove(r->held.data, r->held.data + used, r->held.len - used);
        r->held.len -= used;
        if (used == 0 || r->held.len == 0 || (mark == NULL && r->at == before)) return;
    }
}

/* --- in and out ------------------------------------------------------------------------------------------- */

static void give_calls(vb_reply *r, vb_reply_piece *out)
{
    size_t n = json_array_size(r->calls);
    if (r->most > 0 && n > (size_t)r->most) n = (size_t)r->most;
    if (n <= r->given) return;
    vb_reply_call *pieces = realloc(r->pieces, n * sizeof *pieces);
    r->failed |= pieces == NULL;
    if (pieces == NULL) return;
    r->pieces = pieces;
    for (size_t i = r->given; i < n; i++) {
        const json_t *call = json_array_get(r->calls, i);
        pieces[i].name = json_string_value(json_object_get(call, "name"));
        pieces[i].arguments = json_string_value(json_object_get(call, "arguments"));
    }
    out->calls = pieces + r->given;
    out->n_calls = (int)(n - r->given);
    r->given = n;
}

static vb_status give(vb_reply *r, vb_reply_piece *out, vb_err *err)
{
    *out = (vb_reply_piece){.content = r->content.len > 0 ? r->content.data : "", .content_len = r->content.len,
                            .thinking = r->thinking.len > 0 ? r->thinking.data : "", .thinking_len = r->thinking.len};
    give_calls(r, out);
    if (r->failed) VB_FAIL(err, VB_E_MEMORY, "reply: out of memory");
    return VB_OK;
}

vb_status vb_reply_add(vb_reply *r, const char *text, size_t len, vb_reply_piece *out, vb_err *err)
{
    r->content.len = r->thinking.len = 0;
    add(r, &r->held, text, len);
    if (!r->failed && len > 0) run(r);
    return give(r, out, err);
}

vb_status vb_reply_end(vb_reply *r, const char *text, size_t len, vb_reply_piece *out, vb_err *err)
{
    const vb_call_marks *c = r->style.calls;
    r->content.len = r->thinking.len = 0;
    add(r, &r->held, text, len);
    if (!r->failed && len > 0) run(r);
    if (r->held.len > 0) take_text(r, r->held.data, r->held.len);
    r->held.len = 0;
    if (r->at == CALL) end_call(r, c->whole || r->style.channels ? "" : or_empty(c->open), "");
    else if (r->at == BARE) end_call(r, "", "");
    else if (r->at == HEAD && !r->spoke) add(r, &r->content, r->body.data, r->body.len);
    if (r->at != THOUGHT && json_array_size(r->calls) == 0) add(r, &r->content, r->blanks.data, r->blanks.len);
    r->blanks.len = r->body.len = 0;
    return give(r, out, err);
}

int vb_reply_thinks(const vb_reply *r)
{
    return r->at == THOUGHT;
}

/* --- opening ---------------------------------------------------------------------------------------------- */

/* Does the text end with `what`, but for blanks? */
static int ends_with(const char *text, size_t len, const char *what)
{
    size_t n = strlen(what);
    while (len > 0 && is_blank(text[len - 1])) len--;
    while (n > 0 && is_blank(what[n - 1])) n--;
    return n > 0 && len >= n && memcmp(text + len - n, what, n) == 0;
}

const char *vb_reply_unthink(const vb_reply_style *style, const char *prompt, size_t len)
{
    const vb_thought_marks *t = style->thoughts;
    return t != NULL && prompt != NULL && ends_with(prompt, len, t->open) ? t->close : NULL;
}

/* In front of the first piece: what the prompt has begun already. */
static void begin(vb_reply *r, const vb_reply_opts *opts)
{
    r->at = r->style.channels ? HEAD : START;
    if (vb_reply_unthink(&r->style, opts->prompt, opts->prompt_len) != NULL) {
        r->at = THOUGHT;
        r->trimming = 1;
    }
    r->demanded = opts->begun != NULL;
    if (!r->demanded) return;
    add(r, &r->held, opts->begun, strlen(opts->begun));
    if (r->held.len > 0) run(r);
}

vb_status vb_reply_open(vb_reply **out, const vb_reply_opts *opts, vb_err *err)
{
    vb_reply *r = calloc(1, sizeof *r);
    *out = NULL;
    if (r == NULL) VB_FAIL(err, VB_E_MEMORY, "reply: out of memory");
    r->style = *opts->style;
    r->most = opts->most_calls;
    r->calls = json_array();
    if (opts->tools != NULL) r->tools = json_deep_copy(opts->tools);
    r->failed = r->calls == NULL || (opts->tools != NULL && r->tools == NULL);
    begin(r, opts);
    if (r->failed) {
        vb_reply_close(r);
        VB_FAIL(err, VB_E_MEMORY, "reply: out of memory");
    }
    *out = r;
    return VB_OK;
}

void vb_reply_close(vb_reply *r)
{
    if (r == NULL) return;
    json_decref(r->tools);
    json_decref(r->calls);
    free(r->held.data);
    free(r->blanks.data);
    free(r->body.data);
    free(r->content.data);
    free(r->thinking.data);
    free(r->pieces);
    free(r);
}
