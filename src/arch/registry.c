/* registry.c - families by name. */
#include "arch/arch.h"

#include <string.h>

static const vb_arch *const families[] = {
#define VB_ARCH(id, text) &vb_arch_##id,
#include "arch/families.def"
};

const vb_arch *vb_arch_find(const char *name)
{
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        if (strcmp(families[i]->name, name) == 0) return families[i];
    return NULL;
}

const char *vb_arch_names(void)
{
    static const char names[] =
#define VB_ARCH(id, text) ", " text
#include "arch/families.def"
        ;
    return names + 2;
}
