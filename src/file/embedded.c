/* embedded.c - the small model that the library brings along: data/tales-1m.gguf, byte for byte, where the program's
 * constants are. Nothing is copied: its pages are read when somebody looks at them, as those of a mapped file are.
 */
#include "file/embedded.h"

#include <string.h>

__asm__(".section .rodata\n"
        ".balign 64\n"
        ".hidden vb_tales_1m, vb_tales_1m_end\n"
        ".globl vb_tales_1m, vb_tales_1m_end\n"
        "vb_tales_1m:\n"
        ".incbin \"data/tales-1m.gguf\"\n"
        "vb_tales_1m_end:\n"
        ".byte 0\n"
        ".previous\n");

__attribute__((visibility("hidden"))) extern const uint8_t vb_tales_1m[], vb_tales_1m_end[];

const uint8_t *vb_embedded(const char *model, uint64_t *size)
{
    static const char prefix[] = "embedded:";
    if (strncmp(model, prefix, sizeof prefix - 1) == 0) model += sizeof prefix - 1;
    if (strcmp(model, "tales-1m") != 0) return NULL;
    *size = (uint64_t)(vb_tales_1m_end - vb_tales_1m);
    return vb_tales_1m;
}
