/* hash.h - the two digests of the project, by libraries: SHA-256 (libcrypto) identifies models, plans and chains
 * records; XXH3-128 (xxhash) summarises logits. Bytes go in little-endian order, digests come out in canonical
 * (printed) order.
 */
#ifndef VB_BASE_HASH_H
#define VB_BASE_HASH_H
#include <stddef.h>
#include <stdint.h>

typedef struct vb_sha256 vb_sha256;
vb_sha256 *vb_sha256_new(void); /* NULL: out of memory */
void vb_sha256_add(vb_sha256 *hash, const void *data, size_t len);
void vb_sha256_add_u32(vb_sha256 *hash, uint32_t value); /* little endian */
void vb_sha256_add_u64(vb_sha256 *hash, uint64_t value);
void vb_sha256_add_text(vb_sha256 *hash, const char *text, size_t len); /* length as u64, then the bytes */
void vb_sha256_end(vb_sha256 *hash, uint8_t out[32]);                   /* and frees */
void vb_sha256_of(const void *data, size_t len, uint8_t out[32]);

void vb_xxh128_of(const void *data, size_t len, uint8_t out[16]);
uint64_t vb_xxh64_of(const void *data, size_t len); /* XXH3-64 */
void vb_xxh128_seeded(const void *data, size_t len, uint64_t seed, uint8_t out[16]);

/* 2n lower-case digits and a NUL. */
void vb_hex(char *out, const uint8_t *bytes, size_t n);
/* Exactly n bytes from 2n digits; 0 if a character is no hexadecimal digit. */
int vb_unhex(uint8_t *out, const char *text, size_t n);

#endif
