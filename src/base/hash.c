/* hash.c - thin covers over libcrypto and xxhash, and the public streaming digest. */
#include "base/hash.h"

#include "base/err.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <xxhash.h>

/* An EVP_MD_CTX under our own name, so that no caller includes OpenSSL. */
static EVP_MD_CTX *ctx(vb_sha256 *hash)
{
    return (EVP_MD_CTX *)(void *)hash;
}

vb_sha256 *vb_sha256_new(void)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (c != NULL && EVP_DigestInit_ex(c, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(c);
        c = NULL;
    }
    return (vb_sha256 *)(void *)c;
}

void vb_sha256_add(vb_sha256 *hash, const void *data, size_t len)
{
    if (len > 0) EVP_DigestUpdate(ctx(hash), data, len);
}

void vb_sha256_add_u64(vb_sha256 *hash, uint64_t value)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(value >> (8 * i));
    vb_sha256_add(hash, bytes, sizeof bytes);
}

void vb_sha256_add_u32(vb_sha256 *hash, uint32_t value)
{
    uint8_t bytes[4];
    for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(value >> (8 * i));
    vb_sha256_add(hash, bytes, sizeof bytes);
}

void vb_sha256_add_text(vb_sha256 *hash, const char *text, size_t len)
{
    vb_sha256_add_u64(hash, len);
    vb_sha256_add(hash, text, len);
}

void vb_sha256_end(vb_sha256 *hash, uint8_t out[32])
{
    unsigned int len = 32;
    EVP_DigestFinal_ex(ctx(hash), out, &len);
    EVP_MD_CTX_free(ctx(hash));
}

void vb_sha256_of(const void *data, size_t len, uint8_t out[32])
{
    unsigned int out_len = 32;
    EVP_Digest(data, len, out, &out_len, EVP_sha256(), NULL);
}

static void canonical(uint8_t out[16], XXH128_hash_t value)
{
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, value);
    for (int i = 0; i < 16; i++) out[i] = c.digest[i];
}

uint64_t vb_xxh64_of(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}

void vb_xxh128_of(const void *data, size_t len, uint8_t out[16])
{
    canonical(out, XXH3_128bits(data, len));
}

void vb_xxh128_seeded(const void *data, size_t len, uint64_t seed, uint8_t out[16])
{
    canonical(out, XXH3_128bits_withSeed(data, len, seed));
}

void vb_hex(char *out, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = 0;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

int vb_unhex(uint8_t *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int high = digit(text[2 * i]);
        int low = high < 0 ? -1 : digit(text[2 * i + 1]);
        if (low < 0) return 0;
        out[i] = (uint8_t)(high * 16 + low);
    }
    return 1;
}

struct vb_digest {
    XXH3_state_t *state;
};

VB_API vb_status vb_digest_open(vb_digest **out, vb_err *err)
{
    vb_digest *digest = calloc(1, sizeof *digest);
    *out = NULL;
    if (digest != NULL) digest->state = XXH3_createState();
    if (digest == NULL || digest->state == NULL) {
        free(digest);
        VB_FAIL(err, VB_E_MEMORY, "digest: out of memory");
    }
    XXH3_128bits_reset(digest->state);
    *out = digest;
    return VB_OK;
}

VB_API void vb_digest_add(vb_digest *digest, const void *data, size_t len)
{
    if (len > 0) XXH3_128bits_update(digest->state, data, len);
}

VB_API void vb_digest_get(const vb_digest *digest, uint8_t out[16])
{
    canonical(out, XXH3_128bits_digest(digest->state));
}

VB_API void vb_digest_close(vb_digest *digest)
{
    if (digest == NULL) return;
    XXH3_freeState(digest->state);
    free(digest);
}
