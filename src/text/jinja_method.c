/* jinja_method.c - methods of texts, dicts, lists and loops. Those that would change their value are known by name, so
 * that a template which calls one gets a clear error.
 */
#include "text/jinja_eval.h"

#include <string.h>
#include <utf8proc.h>

/* --- texts: case and trimming -------------------------------------------------------------------------- */

#define CASE_METHOD(name, how)                                          \
    static vb_status name(vb_jinja *j, const vb_jcall *c, vb_jval *out) \
    {                                                                   \
        return vb_j_case(j, &c->self, how, out);                        \
    }
CASE_METHOD(upper, VB_J_UPPER)
CASE_METHOD(lower, VB_J_LOWER)
CASE_METHOD(capitalize, VB_J_CAPITALIZE)
CASE_METHOD(title, VB_J_WORDS)
CASE_METHOD(swapcase, VB_J_SWAP)

static const vb_jval *given(const vb_jval *arg)
{
    return arg == NULL || arg->type == VB_J_NONE ? NULL : arg;
}

static vb_status trim_sides(vb_jinja *j, const vb_jcall *c, int sides, vb_jval *out)
{
    const vb_jval *chars = given(c->arg[0]);
    if (chars != NULL) VB_TRY(vb_j_need_str(j, chars, "characters to strip"));
    VB_TRY(vb_j_step(j, (c->self.len / 64 + 1) * (chars != NULL ? chars->len + 1 : 1)));
    *out = vb_j_trim(&c->self, chars, sides);
    return VB_OK;
}

static vb_status strip(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return trim_sides(j, c, VB_J_TRIM_LEFT | VB_J_TRIM_RIGHT, out);
}

static vb_status lstrip(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return trim_sides(j, c, VB_J_TRIM_LEFT, out);
}

static vb_status rstrip(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return trim_sides(j, c, VB_J_TRIM_RIGHT, out);
}

/* --- texts: looking ------------------------------------------------------------------------------------ */

/* self[arg[1]:arg[2]]; *chars is how many characters it begins behind the start of self. */
static vb_status window(vb_jinja *j, const vb_jcall *c, vb_jval *out, int64_t *chars)
{
    vb_jval part[3] = {vb_j_none, vb_j_none, vb_j_none};
    if (given(c->arg[1])) part[0] = *c->arg[1];
    if (given(c->arg[2])) part[1] = *c->arg[2];
    VB_TRY(vb_j_slice(j, &c->self, part, out));
    *chars = (int64_t)vb_j_count(c->self.u.s, (size_t)(out->u.s - c->self.u.s));
    return VB_OK;
}

static int has_affix(const vb_jval *text, const vb_jval *affix, int at_end)
{
    if (affix->len > text->len) return 0;
    return memcmp(text->u.s + (at_end ? text->len - affix->len : 0), affix->u.s, affix->len) == 0;
}

static vb_status affix(vb_jinja *j, const vb_jcall *c, int at_end, vb_jval *out)
{
    vb_jval text;
    int64_t start;
    VB_TRY(window(j, c, &text, &start));
    *out = vb_j_bool(0);
    if (c->arg[0]->type != VB_J_TUPLE) {
        VB_TRY(vb_j_need_str(j, c->arg[0], "a text or tuple of texts to compare with"));
        *out = vb_j_bool(has_affix(&text, c->arg[0], at_end));
        return VB_OK;
    }
    for (size_t i = 0; i < c->arg[0]->u.list->n; i++) {
        VB_TRY(vb_j_need_str(j, &c->arg[0]->u.list->items[i], "a text to compare with"));
        if (has_affix(&text, &c->arg[0]->u.list->items[i], at_end)) *out = vb_j_bool(1);
    }
    return VB_OK;
}

static vb_status startswith(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return affix(j, c, 0, out);
}

static vb_status endswith(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return affix(j, c, 1, out);
}

/* The last place of `what`; (size_t)-1 if nowhere. */
static vb_status search_last(vb_jinja *j, const vb_jval *text, const vb_jval *what, size_t *at)
{
    *at = (size_t)-1;
    if (what->len > text->len) return VB_OK;
    for (size_t i = text->len - what->len + 1; i-- > 0;) {
        if (i % 64 == 0) VB_TRY(vb_j_step(j, what->len + 1));
        if (memcmp(text->u.s + i, what->u.s, what->len) != 0) continue;
        *at = i;
        return VB_OK;
    }
    return VB_OK;
}

static vb_status find_text(vb_jinja *j, const vb_jcall *c, int last, int must, vb_jval *out)
{
    vb_jval text;
    int64_t start;
    VB_TRY(vb_j_need_str(j, c->arg[0], "a text to find"));
    VB_TRY(window(j, c, &text, &start));
    VB_TRY(vb_j_step(j, text.len / 64));
    size_t at = vb_j_search(text.u.s, text.len, 0, c->arg[0]->u.s, c->arg[0]->len);
    if (last) VB_TRY(search_last(j, &text, c->arg[0], &at));
    if (at == (size_t)-1 && must) VB_J_BAD(j, "expected to find a text inside another, found it nowhere");
    *out = vb_j_int(at == (size_t)-1 ? -1 : start + (int64_t)vb_j_count(text.u.s, at));
    return VB_OK;
}

static vb_status find(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return find_text(j, c, 0, 0, out);
}

static vb_status rfind(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return find_text(j, c, 1, 0, out);
}

static vb_status find_index(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return find_text(j, c, 0, 1, out);
}

static vb_status rindex_text(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return find_text(j, c, 1, 1, out);
}

static vb_status count(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval text;
    int64_t n = 0, start;
    VB_TRY(vb_j_need_str(j, c->arg[0], "a text to count"));
    VB_TRY(window(j, c, &text, &start));
    VB_TRY(vb_j_step(j, text.len / 16));
    if (c->arg[0]->len == 0) n = (int64_t)vb_j_count(text.u.s, text.len) + 1;
    for (size_t at = 0; c->arg[0]->len > 0; n++, at += c->arg[0]->len) {
        at = vb_j_search(text.u.s, text.len, at, c->arg[0]->u.s, c->arg[0]->len);
        if (at == (size_t)-1) break;
    }
    *out = vb_j_int(n);
    return VB_OK;
}

enum { IS_ALPHA, IS_DIGIT, IS_ALNUM, IS_SPACE, IS_UPPER, IS_LOWER, IS_ASCII };

/* Is the character of this kind? Cased kinds: 2 where it may stand among them but does not make one. */
static int char_is(const char *s, size_t n, uint32_t code, int kind)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)code);
    int letter = c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
    switch (kind) {
    case IS_ALPHA: return letter;
    case IS_DIGIT: return c == UTF8PROC_CATEGORY_ND;
    case IS_ALNUM: return letter || (c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO);
    case IS_SPACE: return vb_j_space(s, n) > 0;
    case IS_UPPER: return c == UTF8PROC_CATEGORY_LU ? 1 : c == UTF8PROC_CATEGORY_LL ? 0 : 2;
    case IS_LOWER: return c == UTF8PROC_CATEGORY_LL ? 1 : c == UTF8PROC_CATEGORY_LU ? 0 : 2;
    default: return code < 128;
    }
}

static vb_status all_are(vb_jinja *j, const vb_jcall *c, int kind, vb_jval *out)
{
    int all = 1, some = kind == IS_ASCII;
    VB_TRY(vb_j_step(j, c->self.len / 8));
    for (size_t i = 0, n; i < c->self.len && all; i += n) {
        uint32_t code;
        n = vb_j_char(c->self.u.s + i, c->self.len - i, &code);
        int is = char_is(c->self.u.s + i, n, code, kind);
        all = is != 0;
        some |= is == 1;
    }
    *out = vb_j_bool(all && some);
    return VB_OK;
}

#define KIND_METHOD(name, kind)                                         \
    static vb_status name(vb_jinja *j, const vb_jcall *c, vb_jval *out) \
    {                                                                   \
        return all_are(j, c, kind, out);                                \
    }
KIND_METHOD(isalpha_text, IS_ALPHA)
KIND_METHOD(isdigit_text, IS_DIGIT)
KIND_METHOD(isalnum_text, IS_ALNUM)
KIND_METHOD(isspace_text, IS_SPACE)
KIND_METHOD(isupper_text, IS_UPPER)
KIND_METHOD(islower_text, IS_LOWER)
KIND_METHOD(isascii_text, IS_ASCII)

/* --- texts: taking apart ------------------------------------------------------------------------------- */

static vb_status add_cut(vb_jinja *j, const vb_jval *list, const vb_jval *text, size_t from, size_t to)
{
    vb_jval part = vb_j_cut(text, from, to - from);
    return vb_j_list_add(j, list, &part);
}

static vb_status split_words(vb_jinja *j, const vb_jval *text, int64_t most, const vb_jval *out)
{
    size_t at = 0, n, from;
    uint32_t code;
    for (;; most--) {
        while ((n = vb_j_space(text->u.s + at, text->len - at)) > 0) at += n;
        if (at == text->len) return VB_OK;
        from = at;
        if (most == 0) return add_cut(j, out, text, from, text->len);
        while (at < text->len && vb_j_space(text->u.s + at, text->len - at) == 0)
            at += vb_j_char(text->u.s + at, text->len - at, &code);
        VB_TRY(add_cut(j, out, text, from, at));
    }
}

static vb_status split_arguments(vb_jinja *j, const vb_jcall *c, int64_t *most, vb_jval *out)
{
    *most = -1;
    if (given(c->arg[0])) {
        VB_TRY(vb_j_need_str(j, c->arg[0], "a text to split at"));
        if (c->arg[0]->len == 0) VB_J_BAD(j, "expected a text to split at, found an empty one");
    }
    if (given(c->arg[1])) VB_TRY(vb_j_need_int(j, c->arg[1], "number of splits", most));
    VB_TRY(vb_j_step(j, c->self.len / 16));
    return vb_j_list_new(j, VB_J_LIST, 0, out);
}

static vb_status split(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    int64_t most;
    size_t from = 0, hit;
    VB_TRY(split_arguments(j, c, &most, out));
    if (!given(c->arg[0])) return split_words(j, &c->self, most, out);
    for (; most != 0; most--) {
        hit = vb_j_search(c->self.u.s, c->self.len, from, c->arg[0]->u.s, c->arg[0]->len);
        if (hit == (size_t)-1) break;
        VB_TRY(add_cut(j, out, &c->self, from, hit));
        from = hit + c->arg[0]->len;
    }
    return add_cut(j, out, &c->self, from, c->self.len);
}

/* Where a word begins that ends at `end`. */
static size_t word_start(const vb_jval *text, size_t end)
{
    while (end > 0 && vb_j_space_before(text->u.s, end) == 0) {
        end--;
        while (end > 0 && ((unsigned char)text->u.s[end] & 0xc0) == 0x80) end--;
    }
    return end;
}

/* From the end, so the parts are found in reverse. */
static vb_status rsplit_parts(vb_jinja *j, const vb_jcall *c, int64_t most, const vb_jval *parts)
{
    vb_jval left = c->self;
    size_t n;
    for (;; most--) {
        if (!given(c->arg[0])) {
            while ((n = vb_j_space_before(left.u.s, left.len)) > 0) left.len -= n;
            if (left.len == 0) return VB_OK;
        }
        size_t from = given(c->arg[0]) ? 0 : word_start(&left, left.len);
        if (given(c->arg[0])) VB_TRY(search_last(j, &left, c->arg[0], &from));
        if (most == 0 || from == (size_t)-1) break;
        size_t skip = given(c->arg[0]) ? c->arg[0]->len : 0;
        VB_TRY(add_cut(j, parts, &left, from + skip, left.len));
        left.len = from;
    }
    return vb_j_list_add(j, parts, &left);
}

static vb_status rsplit(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval parts;
    int64_t most;
    VB_TRY(split_arguments(j, c, &most, &parts));
    VB_TRY(rsplit_parts(j, c, most, &parts));
    VB_TRY(vb_j_list_new(j, VB_J_LIST, parts.u.list->n, out));
    for (size_t i = parts.u.list->n; i > 0; i--) VB_TRY(vb_j_list_add(j, out, &parts.u.list->items[i - 1]));
    return VB_OK;
}

static vb_status splitlines(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return vb_j_lines(j, &c->self, c->arg[0] != NULL && vb_j_truth(c->arg[0]), out);
}

static vb_status parts_at(vb_jinja *j, const vb_jcall *c, int last, vb_jval *out)
{
    VB_TRY(vb_j_need_str(j, c->arg[0], "a text to split at"));
    VB_TRY(vb_j_step(j, c->self.len / 16));
    size_t at = vb_j_search(c->self.u.s, c->self.len, 0, c->arg[0]->u.s, c->arg[0]->len);
    if (last) VB_TRY(search_last(j, &c->self, c->arg[0], &at));
    VB_TRY(vb_j_list_new(j, VB_J_TUPLE, 3, out));
    if (at == (size_t)-1) {
        size_t mine = last ? 2 : 0;
        for (size_t i = 0; i < 3; i++) VB_TRY(add_cut(j, out, &c->self, 0, i == mine ? c->self.len : 0));
        return VB_OK;
    }
    size_t behind = at + c->arg[0]->len;
    VB_TRY(add_cut(j, out, &c->self, 0, at));
    VB_TRY(add_cut(j, out, &c->self, at, behind));
    return add_cut(j, out, &c->self, behind, c->self.len);
}

static vb_status partition(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return parts_at(j, c, 0, out);
}

static vb_status rpartition(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return parts_at(j, c, 1, out);
}

static vb_status removeprefix(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    VB_TRY(vb_j_need_str(j, c->arg[0], "a text as prefix"));
    size_t n = has_affix(&c->self, c->arg[0], 0) ? c->arg[0]->len : 0;
    *out = vb_j_cut(&c->self, n, c->self.len - n);
    return VB_OK;
}

static vb_status removesuffix(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    VB_TRY(vb_j_need_str(j, c->arg[0], "a text as suffix"));
    size_t n = has_affix(&c->self, c->arg[0], 1) ? c->arg[0]->len : 0;
    *out = vb_j_cut(&c->self, 0, c->self.len - n);
    return VB_OK;
}

/* --- texts: putting together --------------------------------------------------------------------------- */

static vb_status replace(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    int64_t most = -1;
    VB_TRY(vb_j_need_str(j, c->arg[0], "a text to replace"));
    VB_TRY(vb_j_need_str(j, c->arg[1], "a text as replacement"));
    if (given(c->arg[2])) VB_TRY(vb_j_need_int(j, c->arg[2], "count", &most));
    vb_jval from = *c->arg[0], to = *c->arg[1];
    if (c->self.owner) VB_TRY(vb_j_escape(j, c->arg[0], &from));
    if (c->self.owner) VB_TRY(vb_j_escape(j, c->arg[1], &to));
    VB_TRY(vb_j_replace(j, &c->self, &from, &to, most, out));
    out->owner = c->self.owner;
    return VB_OK;
}

static vb_status join(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval items;
    vb_jbuf buf = {0};
    VB_TRY(vb_j_items(j, c->arg[0], &items));
    for (size_t i = 0; i < items.u.list->n; i++) {
        VB_TRY(vb_j_need_str(j, &items.u.list->items[i], "texts to join"));
        if (i > 0) VB_TRY(vb_j_add_str(j, &buf, &c->self));
        VB_TRY(vb_j_add_str(j, &buf, &items.u.list->items[i]));
    }
    *out = vb_j_done(&buf);
    return VB_OK;
}

static vb_status format(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return vb_j_format_braces(j, &c->self, c->all, out);
}

static vb_status pad(vb_jinja *j, const vb_jcall *c, int align, vb_jval *out)
{
    vb_jval blank = vb_j_text(" ");
    int64_t width;
    VB_TRY(vb_j_need_int(j, c->arg[0], "width", &width));
    if (c->arg[1] != NULL) VB_TRY(vb_j_need_str(j, c->arg[1], "a character to fill with"));
    return vb_j_pad(j, &c->self, width, c->arg[1] != NULL ? c->arg[1] : &blank, align, out);
}

static vb_status ljust(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return pad(j, c, VB_J_LEFT, out);
}

static vb_status rjust(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return pad(j, c, VB_J_RIGHT, out);
}

static vb_status center(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return pad(j, c, VB_J_CENTER, out);
}

static vb_status zfill(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval zero = vb_j_text("0"), padded, sign = vb_j_cut(&c->self, 0, 0);
    int64_t width;
    VB_TRY(vb_j_need_int(j, c->arg[0], "width", &width));
    if (c->self.len > 0 && (*c->self.u.s == '-' || *c->self.u.s == '+')) sign = vb_j_cut(&c->self, 0, 1);
    vb_jval digits = vb_j_cut(&c->self, sign.len, c->self.len - sign.len);
    VB_TRY(vb_j_pad(j, &digits, width - (int64_t)(width > 0 ? sign.len : 0), &zero, VB_J_RIGHT, &padded));
    return vb_j_concat(j, &sign, &padded, out);
}

/* --- dicts and lists ----------------------------------------------------------------------------------- */

static vb_status get(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval *found;
    VB_TRY(vb_j_dict_find(j, c->self.u.dict, c->arg[0], &found));
    *out = found != NULL ? *found : c->arg[1] != NULL ? *c->arg[1] : vb_j_none;
    return VB_OK;
}

static vb_status view(vb_jinja *j, const vb_jcall *c, const char *name, int key, int value, vb_jval *out)
{
    const vb_jdict *dict = c->self.u.dict;
    VB_TRY(vb_j_list_new(j, VB_J_VIEW, dict->n, out));
    out->u.list->name = name;
    for (size_t i = 0; i < dict->n; i++) {
        vb_jval item = key ? dict->pairs[i].key : dict->pairs[i].value;
        if (key && value) VB_TRY(vb_j_pair(j, &dict->pairs[i].key, &dict->pairs[i].value, &item));
        VB_TRY(vb_j_list_add(j, out, &item));
    }
    return VB_OK;
}

static vb_status items(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return view(j, c, "dict_items", 1, 1, out);
}

static vb_status keys(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return view(j, c, "dict_keys", 1, 0, out);
}

static vb_status values(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    return view(j, c, "dict_values", 0, 1, out);
}

static vb_status copy(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    (void)j;
    *out = c->self;
    return VB_OK;
}

static vb_status list_index(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    for (size_t i = 0; i < c->self.u.list->n; i++) {
        int same;
        VB_TRY(vb_j_equal(j, &c->self.u.list->items[i], c->arg[0], &same));
        *out = vb_j_int((int64_t)i);
        if (same) return VB_OK;
    }
    VB_J_BAD(j, "expected to find a value in a list, found it nowhere");
}

static vb_status list_count(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    int64_t n = 0;
    for (size_t i = 0; i < c->self.u.list->n; i++) {
        int same;
        VB_TRY(vb_j_step(j, 1));
        VB_TRY(vb_j_equal(j, &c->self.u.list->items[i], c->arg[0], &same));
        n += same;
    }
    *out = vb_j_int(n);
    return VB_OK;
}

/* --- loops and cyclers --------------------------------------------------------------------------------- */

static vb_status loop_cycle(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    if (c->all->pos.n == 0) VB_J_BAD(j, "expected something to cycle through");
    *out = c->all->pos.items[c->self.u.loop->index % c->all->pos.n];
    return VB_OK;
}

static vb_status loop_changed(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jval now;
    int same = 0;
    VB_TRY(vb_j_list_new(j, VB_J_TUPLE, c->all->pos.n, &now));
    for (size_t i = 0; i < c->all->pos.n; i++) VB_TRY(vb_j_list_add(j, &now, &c->all->pos.items[i]));
    VB_TRY(vb_j_equal(j, &now, &c->self.u.loop->seen, &same));
    c->self.u.loop->seen = now;
    *out = vb_j_bool(!same);
    return VB_OK;
}

static vb_status cycler_next(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    vb_jlist *list = c->self.u.list;
    (void)j;
    *out = list->items[list->pos];
    list->pos = (list->pos + 1) % list->n;
    return VB_OK;
}

static vb_status cycler_reset(vb_jinja *j, const vb_jcall *c, vb_jval *out)
{
    (void)j;
    c->self.u.list->pos = 0;
    *out = vb_j_none;
    return VB_OK;
}

static const vb_jfunc of_text[] = {
    {"upper", "", 0, upper}, {"lower", "", 0, lower}, {"casefold", "", 0, lower}, {"capitalize", "", 0, capitalize},
    {"title", "", 0, title}, {"swapcase", "", 0, swapcase},
    {"strip", "chars", 0, strip}, {"lstrip", "chars", 0, lstrip}, {"rstrip", "chars", 0, rstrip},
    {"startswith", "prefix start end", 1, startswith}, {"endswith", "suffix start end", 1, endswith},
    {"find", "sub start end", 1, find}, {"rfind", "sub start end", 1, rfind},
    {"index", "sub start end", 1, find_index}, {"rindex", "sub start end", 1, rindex_text},
    {"count", "sub start end", 1, count},
    {"isalpha", "", 0, isalpha_text}, {"isdigit", "", 0, isdigit_text}, {"isdecimal", "", 0, isdigit_text},
    {"isnumeric", "", 0, isdigit_text}, {"isalnum", "", 0, isalnum_text}, {"isspace", "", 0, isspace_text},
    {"isupper", "", 0, isupper_text}, {"islower", "", 0, islower_text}, {"isascii", "", 0, isascii_text},
    {"split", "sep maxsplit", 0, split}, {"rsplit", "sep maxsplit", 0, rsplit},
    {"splitlines", "keepends", 0, splitlines},
    {"partition", "sep", 1, partition}, {"rpartition", "sep", 1, rpartition},
    {"removeprefix", "prefix", 1, removeprefix}, {"removesuffix", "suffix", 1, removesuffix},
    {"replace", "old new count", 2, replace}, {"join", "iterable", 1, join}, {"format", "*", 0, format},
    {"ljust", "width fillchar", 1, ljust}, {"rjust", "width fillchar", 1, rjust},
    {"center", "width fillchar", 1, center}, {"zfill", "width", 1, zfill},
    {NULL, NULL, 0, NULL},
};
static const vb_jfunc of_dict[] = {
    {"get", "key default", 1, get}, {"items", "", 0, items}, {"keys", "", 0, keys}, {"values", "", 0, values},
    {"copy", "", 0, copy}, {NULL, NULL, 0, NULL},
};
static const vb_jfunc of_list[] = {
    {"index", "value", 1, list_index}, {"count", "value", 1, list_count}, {"copy", "", 0, copy}, {NULL, NULL, 0, NULL},
};
static const vb_jfunc of_loop[] = {
    {"cycle", "*", 0, loop_cycle}, {"changed", "*", 0, loop_changed}, {NULL, NULL, 0, NULL},
};
static const vb_jfunc of_cycler[] = {
    {"next", "", 0, cycler_next}, {"reset", "", 0, cycler_reset}, {NULL, NULL, 0, NULL},
};

const vb_jfunc *vb_j_method(vb_jtype type, const char *name, size_t len)
{
    switch (type) {
    case VB_J_STR: return vb_j_find(of_text, name, len);
    case VB_J_DICT: return vb_j_find(of_dict, name, len);
    case VB_J_LIST:
    case VB_J_TUPLE: return vb_j_find(of_list, name, len);
    case VB_J_LOOP: return vb_j_find(of_loop, name, len);
    case VB_J_CYCLER: return vb_j_find(of_cycler, name, len);
    default: return NULL;
    }
}

int vb_j_is_unsafe(vb_jtype type, const char *name, size_t len)
{
    static const char lists[] = "append clear extend insert pop remove reverse sort";
    static const char dicts[] = "clear pop popitem setdefault update";
    const char *names = type == VB_J_LIST ? lists : type == VB_J_DICT ? dicts : "";
    while (*names) {
        size_t n = strcspn(names, " ");
        if (n == len && memcmp(names, name, n) == 0) return 1;
        names += n + (names[n] == ' ');
    }
    return 0;
}
