/* sign.h - Ed25519 signatures of traces (libcrypto). What is signed are the 64 bytes of a trace's end link and the seal
 * of its information, which depend on every byte before them.
 */
#ifndef VB_TRACES_SIGN_H
#define VB_TRACES_SIGN_H
#include "traces/format.h"

typedef struct vb_trace_key vb_trace_key;

/* A private key in PEM. */
vb_status vb_trace_key_open(vb_trace_key **out, const char *path, vb_err *err);
void vb_trace_key_close(vb_trace_key *key);
vb_status vb_trace_key_seal(const vb_trace_key *key, const uint8_t link[32], const uint8_t seal[32],
                            vb_trace_seal *out, vb_err *err);
/* 1: the signature is one of these bytes by the key beside it. */
int vb_trace_seal_fits(const vb_trace_seal *seal, const uint8_t link[32], const uint8_t info_seal[32]);

#endif
