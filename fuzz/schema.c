/* schema.c - any text as a JSON Schema. */
#include "grammar/schema.h"

#include "fuzz/vocabulary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_grammar(vb_schema_read, data, size);
    return 0;
}
