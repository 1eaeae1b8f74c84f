/* grammar.c - any text as GBNF. */
#include "grammar/gbnf.h"

#include "fuzz/vocabulary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_grammar(vb_gbnf_read, data, size);
    return 0;
}
