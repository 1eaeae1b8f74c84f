/* pickle.c - the machine: a stack, a memo, one instruction after the other. Every instruction makes at most one value
 * and takes at least one byte, which bounds them all; there is no recursion. */
#include "convert/pickle_parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 32 << 20, MOST_VALUES = 4 << 20 };

vb_status vb_py_fail(const vb_py_machine *m, vb_status code, vb_err *err, const char *format, ...)
{
    char what[300];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return vb_fail(err, code, "%s: byte %zu: %s", m->name, m->op, what);
}

static vb_status no_memory(const vb_py_machine *m, vb_err *err)
{
    return vb_py_fail(m, VB_E_MEMORY, err, "no memory");
}

vb_py *vb_py_new(vb_py_machine *m, vb_py_kind kind, vb_err *err)
{
    vb_py *value = m->values < MOST_VALUES ? vb_arena_alloc(&m->out->arena, sizeof *value) : NULL;
    if (m->values++ >= MOST_VALUES) vb_py_fail(m, VB_E_FORMAT, err, "expected at most %d values", MOST_VALUES);
    else if (value == NULL) no_memory(m, err);
    else value->kind = kind;
    return value;
}

vb_status vb_py_append(vb_py_machine *m, vb_py *to, const vb_py *item, vb_err *err)
{
    if (to->n == to->cap) {
        uint32_t cap = to->cap * 2 + 4;
        const vb_py **items = vb_arena_array(&m->out->arena, cap, sizeof *items);
        if (items == NULL) return no_memory(m, err);
        if (to->n > 0) memcpy(items, to->items, to->n * sizeof *items);
        to->items = items;
        to->cap = cap;
    }
    to->items[to->n++] = item;
    return VB_OK;
}

/* --- the stack and the memo ------------------------------------------------------------------------------------- */

static vb_status grow(const vb_py_machine *m, const vb_py ***list, size_t *cap, size_t n, vb_err *err)
{
    if (n <= *cap) return VB_OK;
    size_t more = n + n / 2 + 64;
    const vb_py **room = realloc(*list, more * sizeof *room);
    if (room == NULL) return no_memory(m, err);
    *list = room;
    *cap = more;
    return VB_OK;
}

static vb_status push(vb_py_machine *m, const vb_py *value, vb_err *err)
{
    if (value == NULL) return err->code;
    VB_TRY(grow(m, &m->stack, &m->cap_stack, m->depth + 1, err));
    m->stack[m->depth++] = value;
    return VB_OK;
}

/* The top value, which is none of the marks. */
static vb_status pop(vb_py_machine *m, const vb_py **out, vb_err *err)
{
    if (m->depth == 0 || m->stack[m->depth - 1]->kind == VB_PY_MARK)
        return vb_py_fail(m, VB_E_FORMAT, err, "expected a value on the stack");
    *out = m->stack[--m->depth];
    return VB_OK;
}

/* Where the values above the last mark begin. */
static vb_status find_mark(const vb_py_machine *m, size_t *first, vb_err *err)
{
    size_t at = m->depth;
    while (at > 0 && m->stack[at - 1]->kind != VB_PY_MARK) at--;
    if (at == 0) return vb_py_fail(m, VB_E_FORMAT, err, "expected a mark on the stack");
    *first = at;
    return VB_OK;
}

static vb_status remember(vb_py_machine *m, uint64_t at, vb_err *err)
{
    if (at > m->size || m->depth == 0)
        return vb_py_fail(m, VB_E_FORMAT, err, "expected a place in the memo and a value");
    VB_TRY(grow(m, &m->memo, &m->cap_memo, at + 1, err));
    while (m->n_memo <= at) m->memo[m->n_memo++] = NULL;
    m->memo[at] = m->stack[m->depth - 1];
    return VB_OK;
}

static vb_status recall(vb_py_machine *m, uint64_t at, vb_err *err)
{
    if (at >= m->n_memo || m->memo[at] == NULL || m->memo[at]->kind == VB_PY_MARK)
        return vb_py_fail(m, VB_E_FORMAT, err, "expected a place of the memo that was filled, found %llu",
                          (unsigned long long)at);
    return push(m, m->memo[at], err);
}

/* --- arguments in the text --------------------------------------------------------------------------------------- */

static vb_status take(vb_py_machine *m, uint64_t n, const uint8_t **bytes, vb_err *err)
{
    if (n > m->size - m->at)
        return vb_py_fail(m, VB_E_FORMAT, err, "expected %llu more bytes, found %zu", (unsigned long long)n,
                          m->size - m->at);
    *bytes = m->data + m->at;
    m->at += n;
    return VB_OK;
}

static vb_status number(vb_py_machine *m, int bytes, uint64_t *value, vb_err *err)
{
    const uint8_t *at = NULL;
    VB_TRY(take(m, (uint64_t)bytes, &at, err));
    *value = 0;
    for (int i = 0; i < bytes; i++) *value |= (uint64_t)at[i] << 8 * i;
    return VB_OK;
}

/* Text up to a line end, which is stepped over. */
static vb_status line(vb_py_machine *m, char *buf, size_t cap, vb_err *err)
{
    const uint8_t *end = memchr(m->data + m->at, '\n', m->size - m->at);
    size_t len = end != NULL ? (size_t)(end - m->data) - m->at : cap;
    if (len >= cap) return vb_py_fail(m, VB_E_FORMAT, err, "expected a line of less than %zu bytes", cap);
    memcpy(buf, m->data + m->at, len);
    buf[len] = 0;
    m->at += len + 1;
    return VB_OK;
}

static vb_status push_int(vb_py_machine *m, int64_t value, vb_err *err)
{
    vb_py *v = vb_py_new(m, VB_PY_INT, err);
    if (v != NULL) v->number = value;
    return push(m, v, err);
}

static vb_status push_text(vb_py_machine *m, vb_py_kind kind, int bytes, vb_err *err)
{
    uint64_t len;
    const uint8_t *at = NULL;
    VB_TRY(number(m, bytes, &len, err));
    VB_TRY(take(m, len, &at, err));
    vb_py *v = vb_py_new(m, kind, err);
    if (v == NULL) return err->code;
    v->text = vb_arena_text(&m->out->arena, (const char *)at, len);
    v->len = len;
    return v->text != NULL ? push(m, v, err) : no_memory(m, err);
}

/* Integers of any length: those of more than 64 bits are no size of a tensor and no place in a file. */
static vb_status push_long(vb_py_machine *m, int bytes, vb_err *err)
{
    uint64_t len, value = 0;
    const uint8_t *at = NULL;
    VB_TRY(number(m, bytes, &len, err));
    if (len > 8)
        return vb_py_fail(m, VB_E_FORMAT, err, "LONG: expected at most 8 bytes, found %llu", (unsigned long long)len);
    VB_TRY(take(m, len, &at, err));
    for (uint64_t i = 0; i < len; i++) value |= (uint64_t)at[i] << 8 * i;
    if (len > 0 && len < 8 && at[len - 1] >> 7) value |= UINT64_MAX << 8 * len;
    return push_int(m, (int64_t)value, err);
}

/* "12\n", "12L\n"; "00\n" and "01\n" are booleans. */
static vb_status push_line(vb_py_machine *m, vb_err *err)
{
    char text[32], *end;
    VB_TRY(line(m, text, sizeof text, err));
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || errno != 0 || (*end != 0 && strcmp(end, "L") != 0))
        return vb_py_fail(m, VB_E_FORMAT, err, "expected an integer of 64 bits");
    if (strcmp(text, "00") != 0 && strcmp(text, "01") != 0) return push_int(m, value, err);
    return push(m, vb_py_new(m, VB_PY_BOOL, err), err);
}

static vb_status push_name(vb_py_machine *m, vb_err *err)
{
    char module[256], name[256];
    const vb_py *value;
    VB_TRY(line(m, module, sizeof module, err));
    VB_TRY(line(m, name, sizeof name, err));
    VB_TRY(vb_py_name(m, module, name, &value, err));
    return push(m, value, err);
}

static vb_status push_stacked_name(vb_py_machine *m, vb_err *err)
{
    const vb_py *name, *module, *value;
    VB_TRY(pop(m, &name, err));
    VB_TRY(pop(m, &module, err));
    if (name->kind != VB_PY_TEXT || module->kind != VB_PY_TEXT)
        return vb_py_fail(m, VB_E_FORMAT, err, "STACK_GLOBAL: expected two texts");
    VB_TRY(vb_py_name(m, module->text, name->text, &value, err));
    return push(m, value, err);
}

/* --- containers ------------------------------------------------------------------------------------------------- */

/* The values from `first` on, as a new container in their place. */
static vb_status gather(vb_py_machine *m, vb_py_kind kind, size_t first, size_t drop, vb_err *err)
{
    vb_py *v = vb_py_new(m, kind, err);
    if (v == NULL) return err->code;
    if (kind == VB_PY_DICT && (m->depth - first) % 2 != 0)
        return vb_py_fail(m, VB_E_FORMAT, err, "expected keys with values");
    for (size_t i = first; i < m->depth; i++) VB_TRY(vb_py_append(m, v, m->stack[i], err));
    m->depth = first - drop;
    return push(m, v, err);
}

static vb_status gather_marked(vb_py_machine *m, vb_py_kind kind, vb_err *err)
{
    size_t first;
    VB_TRY(find_mark(m, &first, err));
    return gather(m, kind, first, 1, err);
}

static vb_status tuple_of(vb_py_machine *m, size_t n, vb_err *err)
{
    size_t first = m->depth;
    while (first > 0 && m->depth - first < n && m->stack[first - 1]->kind != VB_PY_MARK) first--;
    if (m->depth - first < n) return vb_py_fail(m, VB_E_FORMAT, err, "expected %zu values on the stack", n);
    return gather(m, VB_PY_TUPLE, first, 0, err);
}

/* The values from `first` on join the container below them; `drop` of what lies between goes. */
static vb_status extend(vb_py_machine *m, vb_py_kind kind, size_t first, size_t drop, vb_err *err)
{
    if (first < drop + 1 || m->stack[first - drop - 1]->kind != kind)
        return vb_py_fail(m, VB_E_FORMAT, err, "expected a %s to extend", kind == VB_PY_LIST ? "list" : "dict");
    if (kind == VB_PY_DICT && (m->depth - first) % 2 != 0)
        return vb_py_fail(m, VB_E_FORMAT, err, "expected keys with values");
    vb_py *to = (vb_py *)(uintptr_t)m->stack[first - drop - 1];
    for (size_t i = first; i < m->depth; i++) VB_TRY(vb_py_append(m, to, m->stack[i], err));
    m->depth = first - drop;
    return VB_OK;
}

static vb_status extend_marked(vb_py_machine *m, vb_py_kind kind, vb_err *err)
{
    size_t first;
    VB_TRY(find_mark(m, &first, err));
    return extend(m, kind, first, 1, err);
}

static vb_status extend_by(vb_py_machine *m, vb_py_kind kind, size_t n, vb_err *err)
{
    if (m->depth < n) return vb_py_fail(m, VB_E_FORMAT, err, "expected %zu values on the stack", n);
    for (size_t i = m->depth - n; i < m->depth; i++)
        if (m->stack[i]->kind == VB_PY_MARK) return vb_py_fail(m, VB_E_FORMAT, err, "expected a value, found a mark");
    return extend(m, kind, m->depth - n, 0, err);
}

/* --- calls ------------------------------------------------------------------------------------------------------ */

static vb_status reduce(vb_py_machine *m, vb_err *err)
{
    const vb_py *args, *function, *value;
    VB_TRY(pop(m, &args, err));
    VB_TRY(pop(m, &function, err));
    VB_TRY(vb_py_call(m, function, args, &value, err));
    return push(m, value, err);
}

/* State beside the entries: a dict's _metadata, a parameter's attributes. It is not needed. */
static vb_status build(vb_py_machine *m, vb_err *err)
{
    const vb_py *state, *object;
    VB_TRY(pop(m, &state, err));
    VB_TRY(pop(m, &object, err));
    if (object->kind != VB_PY_DICT && object->kind != VB_PY_TENSOR)
        return vb_py_fail(m, VB_E_FORMAT, err, "BUILD: expected a dict or a tensor");
    return push(m, object, err);
}

static vb_status persistent(vb_py_machine *m, vb_err *err)
{
    const vb_py *id, *value;
    VB_TRY(pop(m, &id, err));
    VB_TRY(vb_py_storage(m, id, &value, err));
    return push(m, value, err);
}

/* --- instructions ----------------------------------------------------------------------------------------------- */

static vb_status do_number(vb_py_machine *m, uint8_t op, vb_err *err)
{
    uint64_t value = 0;
    if (op == 0x8a || op == 0x8b) return push_long(m, op == 0x8a ? 1 : 4, err);
    if (op == 'I' || op == 'L') return push_line(m, err);
    VB_TRY(number(m, op == 'J' ? 4 : op == 'K' ? 1 : op == 'M' ? 2 : 8, &value, err));
    if (op == 'G') return push(m, vb_py_new(m, VB_PY_FLOAT, err), err);
    return push_int(m, op == 'J' ? (int32_t)(uint32_t)value : (int64_t)value, err);
}

static vb_status do_text(vb_py_machine *m, uint8_t op, vb_err *err)
{
    vb_py_kind kind = op == 'B' || op == 'C' || op == 0x8e ? VB_PY_BYTES : VB_PY_TEXT;
    return push_text(m, kind, op == 'X' || op == 'T' || op == 'B' ? 4 : op == 0x8d || op == 0x8e ? 8 : 1, err);
}

static vb_status do_memo(vb_py_machine *m, uint8_t op, vb_err *err)
{
    uint64_t at = m->n_memo;
    if (op != 0x94) VB_TRY(number(m, op == 'q' || op == 'h' ? 1 : 4, &at, err));
    return op == 'h' || op == 'j' ? recall(m, at, err) : remember(m, at, err);
}

static vb_status do_pop(vb_py_machine *m, uint8_t op, vb_err *err)
{
    size_t first;
    const vb_py *gone;
    if (op == '0' && m->depth > 0 && m->stack[m->depth - 1]->kind != VB_PY_MARK) return pop(m, &gone, err);
    VB_TRY(find_mark(m, &first, err));
    m->depth = first - 1;
    return VB_OK;
}

/* What only says how the rest is written. */
static vb_status do_frame(vb_py_machine *m, uint8_t op, vb_err *err)
{
    uint64_t value;
    VB_TRY(number(m, op == 0x80 ? 1 : 8, &value, err));
    if (op == 0x80 && (value < 2 || value > 5))
        return vb_py_fail(m, VB_E_UNSUPPORTED, err, "expected protocol 2 to 5, found %llu", (unsigned long long)value);
    return VB_OK;
}

static vb_status do_container(vb_py_machine *m, uint8_t op, vb_err *err)
{
    switch (op) {
    case ')':
        return push(m, vb_py_new(m, VB_PY_TUPLE, err), err);
    case ']':
        return push(m, vb_py_new(m, VB_PY_LIST, err), err);
    case '}':
        return push(m, vb_py_new(m, VB_PY_DICT, err), err);
    case 't':
        return gather_marked(m, VB_PY_TUPLE, err);
    case 'l':
        return gather_marked(m, VB_PY_LIST, err);
    case 'd':
        return gather_marked(m, VB_PY_DICT, err);
    case 'a':
        return extend_by(m, VB_PY_LIST, 1, err);
    case 's':
        return extend_by(m, VB_PY_DICT, 2, err);
    case 'e':
        return extend_marked(m, VB_PY_LIST, err);
    case 'u':
        return extend_marked(m, VB_PY_DICT, err);
    default:
        return tuple_of(m, op - 0x84u, err);
    }
}

static vb_status step(vb_py_machine *m, uint8_t op, vb_err *err)
{
    switch (op) {
    case 0x80:
    case 0x95:
        return do_frame(m, op, err);
    case '(':
        return push(m, vb_py_new(m, VB_PY_MARK, err), err);
    case '0':
    case '1':
        return do_pop(m, op, err);
    case 'N':
        return push(m, vb_py_new(m, VB_PY_NONE, err), err);
    case 0x88:
    case 0x89:
        return push(m, vb_py_new(m, VB_PY_BOOL, err), err);
    case 'J':
    case 'K':
    case 'M':
    case 'G':
    case 'I':
    case 'L':
    case 0x8a:
    case 0x8b:
        return do_number(m, op, err);
    case 'X':
    case 'T':
    case 'U':
    case 'B':
    case 'C':
    case 0x8c:
    case 0x8d:
    case 0x8e:
        return do_text(m, op, err);
    case ')':
    case ']':
    case '}':
    case 't':
    case 'l':
    case 'd':
    case 'a':
    case 's':
    case 'e':
    case 'u':
    case 0x85:
    case 0x86:
    case 0x87:
        return do_container(m, op, err);
    case 'q':
    case 'r':
    case 0x94:
    case 'h':
    case 'j':
        return do_memo(m, op, err);
    case 'c':
        return push_name(m, err);
    case 0x93:
        return push_stacked_name(m, err);
    case 'R':
        return reduce(m, err);
    case 'b':
        return build(m, err);
    case 'Q':
        return persistent(m, err);
    default:
        return vb_py_fail(m, VB_E_FORMAT, err, "expected an instruction that state dicts use, found 0x%02x", op);
    }
}

static vb_status run(vb_py_machine *m, vb_err *err)
{
    const vb_py *top;
    while (m->at < m->size) {
        m->op = m->at;
        uint8_t op = m->data[m->at++];
        if (op != '.') {
            VB_TRY(step(m, op, err));
            continue;
        }
        VB_TRY(pop(m, &top, err));
        return vb_py_result(m, top, err);
    }
    return vb_py_fail(m, VB_E_FORMAT, err, "expected STOP, found the end");
}

vb_status vb_pickle_read(vb_pickle *p, const uint8_t *data, size_t size, const char *name, vb_err *err)
{
    vb_err why = {0};
    *p = (vb_pickle){0};
    if (size > MOST_BYTES)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected at most %d bytes, found %zu", name, MOST_BYTES, size);
    vb_py_machine m = {.out = p, .name = name, .data = data, .size = size};
    vb_status s = run(&m, &why);
    if (s < 0 && err != NULL) *err = why;
    free(m.stack);
    free(m.memo);
    free(m.made);
    return s;
}

void vb_pickle_free(vb_pickle *p)
{
    vb_arena_free(&p->arena);
    *p = (vb_pickle){0};
}
