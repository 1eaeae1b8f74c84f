/* spm.h - SentencePiece's BPE: neighbours whose text together is a token are joined, best score first.
 *
 * Spaces are written U+2581 (three bytes). A character that ends up as no token becomes the tokens of its bytes,
 * `<0x00>` to `<0xFF>`, so any bytes come back unchanged.
 */
#ifndef VB_TEXT_SPM_H
#define VB_TEXT_SPM_H
#include "base/err.h"
#include "text/ids.h"
#include "text/vocab.h"

typedef struct {
    const vb_vocab *vocab;
    vb_token byte[256];    /* -1: the vocabulary has none */
    uint8_t crosses[256];  /* 1: some token has U+2581 behind this byte */
} vb_spm;

#define VB_SPM_SPACE "\xe2\x96\x81"
enum { VB_SPM_SPACE_LEN = 3, VB_SPM_SPACE_CP = 0x2581 };

/* crosses[b] becomes 1 if some text of the vocabulary has U+2581 behind byte b. */
void vb_spm_find_crosses(uint8_t crosses[256], const vb_vocab *vocab);
void vb_spm_open(vb_spm *s, const vb_vocab *vocab);
/* With `prefix` the text is encoded as if a space stood before it. */
vb_status vb_spm_encode(const vb_spm *s, const char *text, size_t len, int prefix, vb_ids *out, vb_err *err);

#endif
