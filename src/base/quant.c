/* quant.c - base/quant.def as one table; the formats with kernels stand first, in enum order. */
#include "base/quant.h"

#include <string.h>

static const vb_format_info table[] = {
#define VB_FORMAT(ID, text, gguf, block, bytes, ACT) {text, gguf, block, bytes, VB_ACT_##ACT, VB_FMT_##ID},
#include "base/quant.def"
#define VB_FORMAT_KNOWN(text, gguf, block, bytes) {text, gguf, block, bytes, VB_ACT_F32, VB_FMT_NONE},
#include "base/quant.def"
};
enum { ENTRIES = sizeof table / sizeof table[0] };

const vb_format_info *vb_format_of(vb_format format)
{
    return &table[format];
}

const vb_format_info *vb_format_of_gguf(unsigned long type)
{
    for (int i = 0; i < ENTRIES; i++)
        if ((unsigned long)table[i].gguf == type) return &table[i];
    return NULL;
}

const vb_format_info *vb_format_by_name(const char *name)
{
    for (int i = 0; i < ENTRIES; i++)
        if (strcmp(table[i].name, name) == 0) return &table[i];
    return NULL;
}
