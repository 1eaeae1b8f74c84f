/* pickle_parts.h - the interpreter's values. They are made once and referred to by pointers, so that a pickle which
 * pushes the same value a million times has one of it. */
#ifndef VB_CONVERT_PICKLE_PARTS_H
#define VB_CONVERT_PICKLE_PARTS_H
#include "convert/pickle.h"

typedef enum {
    VB_PY_MARK,
    VB_PY_NONE,
    VB_PY_BOOL,
    VB_PY_INT,
    VB_PY_FLOAT, /* its value is nobody's business */
    VB_PY_TEXT,
    VB_PY_BYTES,
    VB_PY_TUPLE,
    VB_PY_LIST,
    VB_PY_DICT, /* items: key, value, key, value ... */
    VB_PY_NAME, /* of a function or a type; number: its place in the list of names */
    VB_PY_STORAGE, /* number: numbers in it; items[0]: its type's name, items[1]: its key */
    VB_PY_TENSOR,  /* number: its place in pickle->tensors */
} vb_py_kind;

typedef struct vb_py vb_py;
struct vb_py {
    vb_py_kind kind;
    int64_t number;
    const char *text; /* NUL-terminated copy */
    size_t len;
    const vb_py **items;
    uint32_t n, cap;
};

typedef struct {
    vb_pickle *out;
    vb_pickle_tensor *made; /* every tensor that was built; the state dict chooses among them */
    uint64_t n_made, cap_made;
    const char *name;
    const uint8_t *data;
    size_t size, at, op; /* op: where the current instruction starts */
    uint64_t values;
    const vb_py **stack, **memo;
    size_t depth, cap_stack, n_memo, cap_memo;
} vb_py_machine;

/* A value of its own; NULL with *err filled where there is no memory, or too many. */
vb_py *vb_py_new(vb_py_machine *m, vb_py_kind kind, vb_err *err);
vb_status vb_py_append(vb_py_machine *m, vb_py *to, const vb_py *item, vb_err *err);
/* "FILE: byte N: what" */
vb_status vb_py_fail(const vb_py_machine *m, vb_status code, vb_err *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* pickle_call.c: a name by module and name; what a call of it would give; a storage; the result. */
vb_status vb_py_name(vb_py_machine *m, const char *module, const char *name, const vb_py **out, vb_err *err);
vb_status vb_py_call(vb_py_machine *m, const vb_py *function, const vb_py *args, const vb_py **out, vb_err *err);
vb_status vb_py_storage(vb_py_machine *m, const vb_py *id, const vb_py **out, vb_err *err);
vb_status vb_py_result(vb_py_machine *m, const vb_py *top, vb_err *err);

#endif
