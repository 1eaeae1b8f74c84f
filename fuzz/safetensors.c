/* safetensors.c - fuzz target: any bytes as a safetensors file; what joins the source can be read, what does not has a
 * reason. */
#include "fuzz/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_source(vb_safetensors_add, data, size);
    return 0;
}
