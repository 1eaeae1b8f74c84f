/* pickle_call.c - the names that state dicts use, what their calls mean, and how the result is read.
 *
 *   OrderedDict()                                           an empty dict
 *   _rebuild_tensor_v2(storage, offset, dims, strides, ...) a tensor
 *   _rebuild_parameter(tensor, ...)                         that tensor
 *   _rebuild_from_type_v2(function, type, args, state)      function(args)
 *   persistent id ("storage", type, key, place, numbers)    a storage
 */
#include "convert/pickle_parts.h"

#include <stdlib.h>
#include <string.h>

enum { CALL_NONE, CALL_DICT, CALL_TENSOR, CALL_PARAMETER, CALL_TYPE, CALL_SIZE };

/* `type`: of a storage, the kind of its numbers, or -1 where no source knows it; -2: of something else. */
static const struct {
    const char *module, *name;
    int call, type;
} names[] = {
    {"collections", "OrderedDict", CALL_DICT, -2},
    {"torch._utils", "_rebuild_tensor_v2", CALL_TENSOR, -2},
    {"torch._utils", "_rebuild_tensor", CALL_TENSOR, -2},
    {"torch._utils", "_rebuild_parameter", CALL_PARAMETER, -2},
    {"torch._utils", "_rebuild_parameter_with_state", CALL_PARAMETER, -2},
    {"torch._tensor", "_rebuild_from_type_v2", CALL_TYPE, -2},
    {"torch", "Size", CALL_SIZE, -2},
    {"torch", "Tensor", CALL_NONE, -2},
    {"torch.nn.parameter", "Parameter", CALL_NONE, -2},
    {"torch", "FloatStorage", CALL_NONE, VB_NUM_F32},
    {"torch", "HalfStorage", CALL_NONE, VB_NUM_F16},
    {"torch", "BFloat16Storage", CALL_NONE, VB_NUM_BF16},
    {"torch", "DoubleStorage", CALL_NONE, VB_NUM_F64},
    {"torch", "LongStorage", CALL_NONE, VB_NUM_I64},
    {"torch", "IntStorage", CALL_NONE, VB_NUM_I32},
    {"torch", "ShortStorage", CALL_NONE, VB_NUM_I16},
    {"torch", "CharStorage", CALL_NONE, VB_NUM_I8},
    {"torch", "ByteStorage", CALL_NONE, VB_NUM_U8},
    {"torch", "BoolStorage", CALL_NONE, VB_NUM_BOOL},
    {"torch", "ComplexFloatStorage", CALL_NONE, -1},
    {"torch", "ComplexDoubleStorage", CALL_NONE, -1},
    {"torch", "QInt8Storage", CALL_NONE, -1},
    {"torch", "QUInt8Storage", CALL_NONE, -1},
    {"torch", "QInt32Storage", CALL_NONE, -1},
};

vb_status vb_py_name(vb_py_machine *m, const char *module, const char *name, const vb_py **out, vb_err *err)
{
    size_t i = 0, n = sizeof names / sizeof names[0];
    while (i < n && (strcmp(names[i].module, module) != 0 || strcmp(names[i].name, name) != 0)) i++;
    if (i == n)
        return vb_py_fail(m, VB_E_FORMAT, err,
                          "expected a name that state dicts use, found \"%.80s.%.80s\"; nothing was run", module, name);
    vb_py *v = vb_py_new(m, VB_PY_NAME, err);
    if (v == NULL) return err->code;
    v->number = (int64_t)i;
    *out = v;
    return VB_OK;
}

static int call_of(const vb_py *v)
{
    return v->kind == VB_PY_NAME ? names[v->number].call : CALL_NONE;
}

/* --- storages and tensors --------------------------------------------------------------------------------------- */

vb_status vb_py_storage(vb_py_machine *m, const vb_py *id, const vb_py **out, vb_err *err)
{
    const vb_py *const *item = id->items;
    int fits = id->kind == VB_PY_TUPLE && id->n == 5 && item[0]->kind == VB_PY_TEXT &&
               strcmp(item[0]->text, "storage") == 0 && item[1]->kind == VB_PY_NAME &&
               names[item[1]->number].type >= -1 && item[2]->kind == VB_PY_TEXT && item[4]->kind == VB_PY_INT &&
               item[4]->number >= 0;
    if (!fits) return vb_py_fail(m, VB_E_FORMAT, err, "expected (\"storage\", type, key, place, numbers)");
    vb_py *v = vb_py_new(m, VB_PY_STORAGE, err);
    if (v == NULL) return err->code;
    v->number = item[4]->number;
    VB_TRY(vb_py_append(m, v, item[1], err));
    VB_TRY(vb_py_append(m, v, item[2], err));
    *out = v;
    return VB_OK;
}

static vb_status read_sizes(vb_py_machine *m, const vb_py *tuple, uint64_t *out, vb_err *err)
{
    if (tuple->kind != VB_PY_TUPLE || tuple->n > VB_SOURCE_DIMS)
        return vb_py_fail(m, VB_E_FORMAT, err, "expected a tuple of at most %d dimensions", VB_SOURCE_DIMS);
    for (uint32_t i = 0; i < tuple->n; i++) {
        if (tuple->items[i]->kind != VB_PY_INT || tuple->items[i]->number < 0)
            return vb_py_fail(m, VB_E_FORMAT, err, "expected dimensions and strides from 0 on");
        out[i] = (uint64_t)tuple->items[i]->number;
    }
    return VB_OK;
}

static vb_status outside(const vb_py_machine *m, const vb_pickle_tensor *t, vb_err *err)
{
    return vb_py_fail(m, VB_E_FORMAT, err, "expected a tensor inside its storage of %llu numbers, found one outside",
                      (unsigned long long)t->storage_n);
}

/* All numbers lie in the storage, and no two at one place: ordered by stride, each dimension steps over all before. */
static vb_status check_places(const vb_py_machine *m, const vb_pickle_tensor *t, vb_err *err)
{
    uint64_t last = 0, step, total = 1;
    int order[VB_SOURCE_DIMS], n = 0;
    for (int i = 0; i < t->n_dims; i++) {
        if (__builtin_mul_overflow(total, t->dims[i], &total) || total > INT64_MAX / 8) return outside(m, t, err);
        if (t->dims[i] == 1) continue;
        int at = n++;
        for (; at > 0 && t->strides[order[at - 1]] > t->strides[i]; at--) order[at] = order[at - 1];
        order[at] = i;
    }
    for (int i = 0; total > 0 && i < n; i++) {
        const int d = order[i];
        if (t->strides[d] <= last)
            return vb_py_fail(m, VB_E_UNSUPPORTED, err, "expected a tensor whose numbers have places of their own");
        if (__builtin_mul_overflow(t->dims[d] - 1, t->strides[d], &step) || __builtin_add_overflow(last, step, &last))
            return outside(m, t, err);
    }
    if (total == 0) return VB_OK;
    if (__builtin_add_overflow(last, t->offset, &last) || last >= t->storage_n) return outside(m, t, err);
    return VB_OK;
}

static vb_status make_tensor(vb_py_machine *m, const vb_py *args, const vb_py **out, vb_err *err)
{
    if (args->n < 4 || args->items[0]->kind != VB_PY_STORAGE || args->items[1]->kind != VB_PY_INT ||
        args->items[1]->number < 0)
        return vb_py_fail(m, VB_E_FORMAT, err, "expected a tensor of a storage, an offset, dimensions and strides");
    const vb_py *storage = args->items[0];
    vb_pickle_tensor t = {.storage = storage->items[1]->text,
                          .storage_n = (uint64_t)storage->number,
                          .type = names[storage->items[0]->number].type,
                          .offset = (uint64_t)args->items[1]->number,
                          .n_dims = (int)args->items[2]->n};
    VB_TRY(read_sizes(m, args->items[2], t.dims, err));
    VB_TRY(read_sizes(m, args->items[3], t.strides, err));
    if (args->items[3]->n != args->items[2]->n)
        return vb_py_fail(m, VB_E_FORMAT, err, "expected as many strides as dimensions");
    VB_TRY(check_places(m, &t, err));
    if (m->n_made == m->cap_made) {
        uint64_t cap = m->cap_made * 2 + 64;
        vb_pickle_tensor *more = realloc(m->made, cap * sizeof *more);
        if (more == NULL) return vb_py_fail(m, VB_E_MEMORY, err, "no memory");
        m->made = more;
        m->cap_made = cap;
    }
    vb_py *v = vb_py_new(m, VB_PY_TENSOR, err);
    if (v == NULL) return err->code;
    v->number = (int64_t)m->n_made;
    m->made[m->n_made++] = t;
    *out = v;
    return VB_OK;
}

/* --- calls ------------------------------------------------------------------------------------------------------ */

static vb_status first_of(vb_py_machine *m, const vb_py *args, vb_py_kind kind, const vb_py **out, vb_err *err)
{
    if (args->n == 0 || args->items[0]->kind != kind)
        return vb_py_fail(m, VB_E_FORMAT, err, "expected a %s as first argument",
                          kind == VB_PY_TENSOR ? "tensor" : "tuple");
    *out = args->items[0];
    return VB_OK;
}

static vb_status make_dict(vb_py_machine *m, const vb_py *args, const vb_py **out, vb_err *err)
{
    if (args->n != 0) return vb_py_fail(m, VB_E_FORMAT, err, "OrderedDict: expected no arguments");
    *out = vb_py_new(m, VB_PY_DICT, err);
    return *out != NULL ? VB_OK : err->code;
}

vb_status vb_py_call(vb_py_machine *m, const vb_py *function, const vb_py *args, const vb_py **out, vb_err *err)
{
    int call = call_of(function);
    if (call == CALL_TYPE && args->kind == VB_PY_TUPLE && args->n == 4) { /* once: it may not name itself */
        function = args->items[0];
        args = args->items[2];
        call = call_of(function);
    }
    if (args->kind != VB_PY_TUPLE) return vb_py_fail(m, VB_E_FORMAT, err, "REDUCE: expected a tuple of arguments");
    if (call == CALL_DICT) return make_dict(m, args, out, err);
    if (call == CALL_TENSOR) return make_tensor(m, args, out, err);
    if (call == CALL_PARAMETER) return first_of(m, args, VB_PY_TENSOR, out, err);
    if (call == CALL_SIZE) return first_of(m, args, VB_PY_TUPLE, out, err);
    return vb_py_fail(m, VB_E_FORMAT, err, "REDUCE: expected a function that state dicts use");
}

/* --- the state dict --------------------------------------------------------------------------------------------- */

/* Entries that are no tensors (a version, a name) are passed over. */
vb_status vb_py_result(vb_py_machine *m, const vb_py *top, vb_err *err)
{
    if (top->kind != VB_PY_DICT) return vb_py_fail(m, VB_E_FORMAT, err, "expected a dict of tensors");
    vb_pickle *p = m->out;
    p->tensors = vb_arena_array(&p->arena, top->n / 2, sizeof *p->tensors);
    if (p->tensors == NULL && top->n > 0) return vb_py_fail(m, VB_E_MEMORY, err, "no memory");
    for (uint32_t i = 0; i + 1 < top->n; i += 2) {
        const vb_py *key = top->items[i], *value = top->items[i + 1];
        if (value->kind != VB_PY_TENSOR) continue;
        if (key->kind != VB_PY_TEXT || key->len == 0 || memchr(key->text, 0, key->len) != NULL)
            return vb_py_fail(m, VB_E_FORMAT, err, "expected a name for each tensor");
        p->tensors[p->n] = m->made[value->number];
        p->tensors[p->n++].name = key->text;
    }
    if (p->n == 0) return vb_py_fail(m, VB_E_FORMAT, err, "expected a dict of tensors, found none in it");
    return VB_OK;
}

int vb_pickle_is_whole(const vb_pickle_tensor *t)
{
    uint64_t step = 1;
    for (int i = t->n_dims - 1; i >= 0; i--) {
        if (t->dims[i] == 0) return 1;
        if (t->dims[i] != 1 && t->strides[i] != step) return 0;
        step *= t->dims[i];
    }
    return 1;
}
