/* registry.c - the list of families; the only place that knows them all. */
#include "arch/arch.h"

#include <string.h>

static const vb_arch *const families[] = {&vb_arch_llama, &vb_arch_granite, &vb_arch_gemma3};

const vb_arch *vb_arch_find(const char *name)
{
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        if (strcmp(families[i]->name, name) == 0) return families[i];
    return NULL;
}

const char *vb_arch_names(void)
{
    return "llama, granite, gemma3";
}
