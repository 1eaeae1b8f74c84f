/* embedded.h - the model inside the library, tales-1m (data/README.md). */
#ifndef VB_FILE_EMBEDDED_H
#define VB_FILE_EMBEDDED_H
#include "base/err.h"

/* The bytes of "tales-1m", also called "embedded:tales-1m"; NULL: another name. */
const uint8_t *vb_embedded(const char *model, uint64_t *size);

#endif
