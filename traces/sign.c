/* sign.c - see sign.h, and `trace keygen` and `trace sign`.
 *
 * Invariant: a file is signed only after every byte of it was proved, and the signature is added by one write behind the
 * end record: a signed trace is an unsigned one with a record more.
 */
#include "traces/sign.h"

#include "traces/read.h"
#include "traces/write.h"

#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PUBLIC = 32, MESSAGE = 64 };

struct vb_trace_key {
    EVP_PKEY *pkey;
    uint8_t public_key[PUBLIC];
};

static EVP_PKEY *only_ed25519(EVP_PKEY *pkey)
{
    if (pkey == NULL || EVP_PKEY_id(pkey) == EVP_PKEY_ED25519) return pkey;
    EVP_PKEY_free(pkey);
    return NULL;
}

/* Without a callback libcrypto would ask the terminal for a pass phrase. */
static int no_phrase(char *buf, int size, int writing, void *ud)
{
    (void)buf, (void)size, (void)writing, (void)ud;
    return -1;
}

static int public_of(const EVP_PKEY *pkey, uint8_t out[PUBLIC])
{
    size_t n = PUBLIC;
    return EVP_PKEY_get_raw_public_key(pkey, out, &n) == 1 && n == PUBLIC;
}

vb_status vb_trace_key_open(vb_trace_key **out, const char *path, vb_err *err)
{
    *out = NULL;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        VB_FAIL(err, errno == ENOENT ? VB_E_NOT_FOUND : VB_E_IO, "%s: cannot read: %s", path, strerror(errno));
    EVP_PKEY *pkey = only_ed25519(PEM_read_PrivateKey(file, NULL, no_phrase, NULL));
    fclose(file);
    if (pkey == NULL) VB_FAIL(err, VB_E_FORMAT, "%s: expected a private Ed25519 key in PEM, found something else", path);
    vb_trace_key *key = calloc(1, sizeof *key);
    if (key == NULL || !public_of(pkey, key->public_key)) {
        EVP_PKEY_free(pkey);
        free(key);
        VB_FAIL(err, VB_E_MEMORY, "%s: out of memory", path);
    }
    key->pkey = pkey;
    *out = key;
    return VB_OK;
}

void vb_trace_key_close(vb_trace_key *key)
{
    if (key == NULL) return;
    EVP_PKEY_free(key->pkey);
    free(key);
}

static void message(uint8_t out[MESSAGE], const uint8_t link[32], const uint8_t info_seal[32])
{
    memcpy(out, link, 32);
    memcpy(out + 32, info_seal, 32);
}

vb_status vb_trace_key_seal(const vb_trace_key *key, const uint8_t link[32], const uint8_t info_seal[32],
                            vb_trace_seal *out, vb_err *err)
{
    uint8_t text[MESSAGE];
    size_t n = sizeof out->signature;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    message(text, link, info_seal);
    memcpy(out->key, key->public_key, sizeof out->key);
    int done = ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) == 1 &&
               EVP_DigestSign(ctx, out->signature, &n, text, sizeof text) == 1;
    EVP_MD_CTX_free(ctx);
    if (!done) VB_FAIL(err, VB_E_MEMORY, "signature: out of memory");
    return VB_OK;
}

/* A point of small order as a key has no owner: signatures by it can be made for anything, one of zeros among them. */
static int is_nobodys(const uint8_t key[PUBLIC])
{
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    uint8_t point[PUBLIC], without_sign[PUBLIC];
    memcpy(without_sign, key, PUBLIC);
    without_sign[PUBLIC - 1] &= 0x7f;
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        if (vb_unhex(point, points[i], PUBLIC) && memcmp(point, without_sign, PUBLIC) == 0) return 1;
    return 0;
}

int vb_trace_seal_fits(const vb_trace_seal *seal, const uint8_t link[32], const uint8_t info_seal[32])
{
    uint8_t text[MESSAGE];
    if (is_nobodys(seal->key)) return 0;
    EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, seal->key, sizeof seal->key);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    message(text, link, info_seal);
    int fits = pkey != NULL && ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
               EVP_DigestVerify(ctx, seal->signature, sizeof seal->signature, text, sizeof text) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return fits;
}

/* --- keys on disk ---------------------------------------------------------------------------------------- */

/* The key as PEM in a new file; the file is removed again if it cannot be written whole. */
static vb_status write_pem(EVP_PKEY *pkey, const char *path, int is_private, vb_err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, is_private ? 0600 : 0644);
    if (fd < 0 && errno == EEXIST)
        VB_FAIL(err, VB_E_IO, "%s: expected no such file, found one; keys are never overwritten", path);
    if (fd < 0) VB_FAIL(err, VB_E_IO, "%s: cannot create: %s", path, strerror(errno));
    FILE *file = fdopen(fd, "w");
    errno = 0;
    int done = file != NULL && (is_private ? PEM_write_PKCS8PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL)
                                           : PEM_write_PUBKEY(file, pkey)) == 1;
    if (done) done = fflush(file) == 0 && fsync(fd) == 0;
    int reason = errno;
    if (file != NULL) done &= fclose(file) == 0;
    else close(fd);
    if (done) return VB_OK;
    unlink(path);
    VB_FAIL(err, VB_E_IO, "%s: cannot write: %s", path, strerror(reason != 0 ? reason : EIO));
}

VB_API vb_status vb_trace_keygen(const char *path, vb_err *err)
{
    size_t n = strlen(path) + sizeof ".pub";
    char *beside = malloc(n);
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (beside == NULL || pkey == NULL) {
        free(beside);
        EVP_PKEY_free(pkey);
        VB_FAIL(err, VB_E_MEMORY, "%s: cannot make a key: out of memory or random numbers", path);
    }
    snprintf(beside, n, "%s.pub", path);
    vb_status s = write_pem(pkey, path, 1, err);
    if (s == VB_OK) {
        s = write_pem(pkey, beside, 0, err);
        if (s < 0) unlink(path);
    }
    free(beside);
    EVP_PKEY_free(pkey);
    return s;
}

VB_API vb_status vb_trace_public_key(const char *key, uint8_t out[32], vb_err *err)
{
    if (strlen(key) == 2 * PUBLIC && vb_unhex(out, key, PUBLIC)) return VB_OK;
    FILE *file = fopen(key, "re");
    if (file == NULL)
        VB_FAIL(err, errno == ENOENT ? VB_E_NOT_FOUND : VB_E_IO, "%s: cannot read: %s", key, strerror(errno));
    EVP_PKEY *pkey = only_ed25519(PEM_read_PUBKEY(file, NULL, no_phrase, NULL));
    fclose(file);
    int found = pkey != NULL && public_of(pkey, out);
    EVP_PKEY_free(pkey);
    if (found) return VB_OK;
    VB_FAIL(err, VB_E_FORMAT, "%s: expected a public Ed25519 key in PEM, found something else", key);
}

/* --- signing what has ended ------------------------------------------------------------------------------ */

/* Reads to the end and signs what stands there. */
static vb_status seal_of(vb_trace_reader *r, const vb_trace_key *key, vb_trace_seal *out, vb_err *err)
{
    vb_trace_record record;
    int more = 1;
    if (r->version < 2)
        VB_FAIL(err, VB_E_UNSUPPORTED, "%s: expected format 2, which has signatures, found %d", r->name, r->version);
    while (more) VB_TRY(vb_trace_next(r, &record, &more, err));
    if (!r->ended || r->at < r->size)
        VB_FAIL(err, VB_E_FORMAT, "%s: expected a whole trace, found one that was cut: it cannot be signed", r->name);
    if (r->is_signed) VB_FAIL(err, VB_E_UNSUPPORTED, "%s: expected no signature, found one", r->name);
    return vb_trace_key_seal(key, r->data + r->at - VB_TRACE_LINK, r->data + r->seal, out, err);
}

static vb_status append_seal(const vb_trace_reader *r, const vb_trace_seal *seal, vb_err *err)
{
    vb_trace_writer w;
    VB_TRY(vb_trace_writer_append(&w, r->name, r->size, r->data + r->at - VB_TRACE_LINK, err));
    vb_trace_encode_seal(&w.pending, seal);
    vb_status s = vb_trace_writer_write(&w, err);
    vb_status closed = vb_trace_writer_close(&w, 1, s < 0 ? NULL : err);
    return s < 0 ? s : closed;
}

VB_API vb_status vb_trace_sign(const char *path, const char *key, vb_err *err)
{
    vb_trace_file file;
    vb_trace_key *k;
    vb_trace_seal seal;
    VB_TRY(vb_trace_key_open(&k, key, err));
    vb_status s = vb_trace_file_open(&file, path, err);
    if (s == VB_OK) {
        s = seal_of(&file.reader, k, &seal, err);
        if (s == VB_OK) s = append_seal(&file.reader, &seal, err);
        vb_trace_file_close(&file);
    }
    vb_trace_key_close(k);
    return s;
}
