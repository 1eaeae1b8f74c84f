/* gguf.c - fuzz target: any bytes as a GGUF file; what opens is walked from end to end, what does not has a reason. */
#include "tests/gguf_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    vb_err err = {0};
    vb_gguf *g;
    if (vb_gguf_open_memory(&g, data, size, "input", &err) == VB_OK) {
        __asm__ volatile("" : : "r"(walk_gguf(g))); /* the sum counts as used */
        vb_gguf_close(g);
    } else if (g != NULL || err.code >= 0 || strncmp(err.text, "input: ", 7) != 0) {
        abort();
    }
    return 0;
}
