/* arch.h - the families: how each one's hyper-parameters are settled and its plan is emitted.
 *
 * A family is one file with two functions and one line in families.def. settle() fills what the files of this family
 * leave out and refuses what it cannot be; emit() calls the builder of plan/plan.h and is the family's table of
 * tensors at the same time: each weight is asked for with the shape it must have.
 */
#ifndef VB_ARCH_ARCH_H
#define VB_ARCH_ARCH_H
#include "model/params.h"
#include "plan/plan.h"

typedef struct {
    const char *name; /* general.architecture */
    vb_status (*settle)(vb_params *h, vb_err *err);
    void (*emit)(vb_plan *p, const vb_params *h);
} vb_arch;

const vb_arch *vb_arch_find(const char *name); /* NULL: unknown */
const char *vb_arch_names(void);               /* "gemma3, granite, llama", for errors */

#define VB_ARCH(id, text) extern const vb_arch vb_arch_##id;
#include "arch/families.def"

#endif
