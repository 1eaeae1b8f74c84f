/* stop.c - where a line ends (see stop.h).
 *
 *   sentence   sentence.c
 *   line       the first line break behind something else than white space
 *   regex      PCRE2 reads as far as the text is there. A match that touches its end is none yet (PCRE2_PARTIAL_HARD): what
 *              follows could make it longer, shorter or void. So what is found is what would be found in all of the text.
 *              A match of nothing at all does not count, and nothing is read behind a byte that is no UTF-8.
 *   length     the end
 *
 * A pattern that needs too much backtracking fails the line (LIMIT steps, ROOM bytes): time and memory of a step are known.
 * PCRE2 gets its memory from a block that belongs to the rule.
 */
#include "cast/stop.h"

#include "base/os.h"
#include "cast/letters.h"

#include <stdlib.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

enum { LIMIT = 200000, ROOM = 4 << 20, HEAP_KIB = 1024, LONGEST_REGEX = 4096 };

struct vb_stop {
    vb_stop_rule rule;
    int keep_quotes;
    pcre2_code *code;
    pcre2_general_context *general;
    pcre2_match_context *context;
    pcre2_match_data *match;
    char *room;
    size_t used, base; /* base: what is taken at opening */
    int live;          /* blocks behind the base */
};

/* PCRE2 asks for few and ever larger blocks. Some of its versions keep them for the next match, others give all of them
 * back at the end of one: then the room is as it was. */
static void *take(size_t size, void *ud)
{
    vb_stop *s = ud;
    size_t at = (s->used + 15) & ~(size_t)15;
    if (at > ROOM || size > ROOM - at) return NULL;
    s->used = at + size;
    s->live++;
    return s->room + at;
}

static void give(void *block, void *ud)
{
    vb_stop *s = ud;
    if (block == NULL || (char *)block < s->room + s->base || --s->live > 0) return;
    s->used = s->base;
}

uint64_t vb_stop_bytes(vb_stop_rule rule)
{
    return sizeof(vb_stop) + (rule == VB_STOP_REGEX ? (uint64_t)ROOM : 0);
}

static vb_status compile(vb_stop *s, const char *regex, vb_err *err)
{
    int code;
    PCRE2_SIZE at;
    char why[120];
    if (regex == NULL || *regex == 0) VB_FAIL(err, VB_E_ARGUMENT, "regex: expected a pattern, found none");
    size_t len = strlen(regex);
    if (len > LONGEST_REGEX) VB_FAIL(err, VB_E_ARGUMENT, "regex: expected at most %d bytes, found %zu", LONGEST_REGEX, len);
    s->room = vb_pages_reserve(ROOM);
    if (s->room == NULL) VB_FAIL(err, VB_E_MEMORY, "regex: out of memory");
    uint32_t how = PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C;
    s->code = pcre2_compile((PCRE2_SPTR)regex, len, how, &code, &at, NULL);
    if (s->code == NULL) {
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
        VB_FAIL(err, VB_E_ARGUMENT, "regex: byte %zu of \"%.80s\": %s", (size_t)at, regex, why);
    }
    s->general = pcre2_general_context_create(take, give, s);
    s->context = pcre2_match_context_create(s->general);
    s->match = pcre2_match_data_create(2, s->general);
    if (s->general == NULL || s->context == NULL || s->match == NULL) VB_FAIL(err, VB_E_MEMORY, "regex: out of memory");
    pcre2_set_match_limit(s->context, LIMIT);
    pcre2_set_depth_limit(s->context, LIMIT);
    pcre2_set_heap_limit(s->context, HEAP_KIB);
    s->base = s->used;
    s->live = 0;
    return VB_OK;
}

vb_status vb_stop_open(vb_stop **out, vb_stop_rule rule, const char *regex, int keep_quotes, vb_err *err)
{
    vb_status status = VB_OK;
    *out = NULL;
    if (rule < VB_STOP_SENTENCE || rule > VB_STOP_LENGTH)
        VB_FAIL(err, VB_E_ARGUMENT, "stop: expected a rule from 0 to %d, found %d", VB_STOP_LENGTH, (int)rule);
    vb_stop *s = calloc(1, sizeof *s);
    if (s == NULL) VB_FAIL(err, VB_E_MEMORY, "stop: out of memory");
    s->rule = rule;
    s->keep_quotes = keep_quotes;
    if (rule == VB_STOP_REGEX) VB_TRY_OUT(status, compile(s, regex, err));
    *out = s;
    s = NULL;
out:
    vb_stop_close(s);
    return status;
}

void vb_stop_close(vb_stop *stop)
{
    if (stop == NULL) return;
    pcre2_code_free(stop->code);
    vb_pages_release(stop->room, ROOM);
    free(stop);
}

/* --- rules --------------------------------------------------------------------------------------------- */

static void found(vb_stopped *out, size_t from, size_t len, vb_line_end end)
{
    out->met = 1;
    out->from = from;
    out->len = len;
    out->end = end;
}

static void find_break(const char *text, size_t len, vb_text_state state, vb_stopped *out)
{
    vb_reading r = vb_reading_of(text, len, state != VB_TEXT_GROWS);
    size_t step, begun = 0;
    for (size_t at = 0; at < r.len; at += step) {
        uint32_t c = vb_read(&r, at, &step);
        begun |= !vb_is_space(c);
        if (begun && vb_is_break(c)) {
            found(out, 0, at, VB_LINE_BREAK);
            return;
        }
    }
    if (state == VB_TEXT_ENDED && begun) found(out, 0, r.len, VB_LINE_ENDED);
}

/* The bytes before the first that belongs to no character. */
static size_t valid_part(const vb_reading *r)
{
    size_t at = 0, len;
    for (uint32_t c = vb_read(r, 0, &len); len > 0 && c != VB_NO_LETTER; c = vb_read(r, at, &len)) at += len;
    return at;
}

static vb_status find_match(const vb_stop *s, const char *text, size_t len, vb_text_state state, vb_stopped *out, vb_err *err)
{
    vb_reading r = vb_reading_of(text, len, state == VB_TEXT_ENDED);
    size_t valid = valid_part(&r);
    int whole = state == VB_TEXT_ENDED && valid == r.len;
    uint32_t how = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY | (whole ? 0 : PCRE2_PARTIAL_HARD);
    int n = pcre2_match(s->code, (PCRE2_SPTR)text, valid, 0, how, s->match, s->context);
    if (n == PCRE2_ERROR_NOMATCH || n == PCRE2_ERROR_PARTIAL) return VB_OK;
    if (n < 0) {
        char why[120];
        pcre2_get_error_message(n, (PCRE2_UCHAR *)why, sizeof why);
        VB_FAIL(err, VB_E_FULL, "regex: %s", why);
    }
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(s->match);
    const PCRE2_SIZE *group = n >= 2 || n == 0 ? at + 2 : at;
    if (group[0] == PCRE2_UNSET || group[1] < group[0]) group = at;
    if (group[1] < group[0]) return VB_OK;
    found(out, group[0], group[1] - group[0], VB_LINE_MATCH);
    return VB_OK;
}

vb_status vb_stop_find(const vb_stop *stop, const char *text, size_t len, vb_text_state state, vb_stopped *out, vb_err *err)
{
    size_t end = 0;
    *out = (vb_stopped){0};
    if (stop->rule == VB_STOP_SENTENCE) end = vb_sentence_end(text, len, state);
    if (end > 0) found(out, 0, end, VB_LINE_SENTENCE);
    if (stop->rule == VB_STOP_LINE) find_break(text, len, state, out);
    if (stop->rule == VB_STOP_REGEX) VB_TRY(find_match(stop, text, len, state, out, err));
    if (stop->rule == VB_STOP_LENGTH && state != VB_TEXT_GROWS)
        found(out, 0, len, state == VB_TEXT_ENDED ? VB_LINE_ENDED : VB_LINE_LENGTH);
    if (out->met) vb_line_trim(text, &out->from, &out->len, !stop->keep_quotes);
    return VB_OK;
}
