/* prove.c - the published questions, asked of this machine.
 *
 *   the model that the program brings along        its SHA-256 must be the published one; tales-1m is known by its answers
 *   the oracle, the definition in plain C          its digests must be the published ones
 *   every condition of prove/conditions.h          must give the oracle's bytes
 *
 * The fingerprint is made from what was found, not from what was published: two machines with the same fingerprint have
 * given the same answers.
 */
#include "prove/prove.h"

#include "prove/walk.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TOKENS = 24, LAST_FEW = 4 };
typedef enum { MIXED, TALES } proof_model;

static const struct {
    proof_model model;
    vb_arith arith;
    vb_kv kv;
    const char *digest;
} published[] = {
#define VB_PROVED_MODEL(digest)
#define VB_PROVED(model, arith, kv, digest) {model, VB_ARITH_##arith, VB_KV_##kv, digest},
#include "prove/digests.def"
};
_Static_assert(sizeof published / sizeof published[0] == VB_PROOF_QUESTIONS, "an answer for each published digest");

static const char published_model[] =
#define VB_PROVED_MODEL(digest) digest
#define VB_PROVED(model, arith, kv, digest)
#include "prove/digests.def"
    ;

typedef struct {
    vb_proof *out;
    vb_proof_answer *answer; /* to the question asked now */
    int (*progress)(void *ud, int asked);
    void *ud;
    char dir[512], model[528];
    vb_err *err;
} proof;

__attribute__((format(printf, 3, 4))) static vb_status fail(vb_err *err, vb_status code, const char *fmt, ...)
{
    va_list args;
    if (err == NULL) return code;
    va_start(args, fmt);
    err->code = code;
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    return code;
}

static void hex(char *to, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) snprintf(to + 2 * i, 3, "%02x", bytes[i]);
}

static void unhex(uint8_t *to, const char *digits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char two[3] = {digits[2 * i], digits[2 * i + 1], 0};
        to[i] = (uint8_t)strtoul(two, NULL, 16);
    }
}

/* --- the model as a file ----------------------------------------------------------------------------------------- */

static vb_status write_model(proof *p)
{
    const char *tmp = getenv("TMPDIR");
    size_t n = (size_t)(vb_proof_model_end - vb_proof_model);
    if (tmp == NULL || tmp[0] == 0 || strlen(tmp) > 400) tmp = "/tmp";
    snprintf(p->dir, sizeof p->dir, "%s/verbatim-proof-XXXXXX", tmp);
    if (mkdtemp(p->dir) == NULL) {
        p->dir[0] = 0;
        return fail(p->err, VB_E_IO, "%s: expected room for the proof's model: %s", tmp, strerror(errno));
    }
    snprintf(p->model, sizeof p->model, "%s/model.gguf", p->dir);
    FILE *to = fopen(p->model, "wb");
    int good = to != NULL && fwrite(vb_proof_model, 1, n, to) == n;
    if (to != NULL && fclose(to) != 0) good = 0;
    return good ? VB_OK : fail(p->err, VB_E_IO, "%s: expected room for %zu bytes: %s", p->model, n, strerror(errno));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

/* The published model, or this program is damaged. */
static vb_status know_model(proof *p)
{
    char found[65];
    vb_model *m;
    vb_model_info info;
    vb_model_opts o = {.threads = 1};
    vb_status status = vb_model_open(&m, p->model, &o, p->err);
    if (status < 0) return status;
    vb_model_describe(m, &info);
    memcpy(p->out->plan, info.plan_digest, sizeof p->out->plan);
    status = vb_model_sha256(m, p->out->model, p->err);
    if (status == VB_OK && vb_model_fingerprint(m, p->out->fingerprint, sizeof p->out->fingerprint, p->err) < 0)
        status = VB_E_IO;
    vb_model_close(m);
    if (status < 0) return status;
    hex(found, p->out->model, 32);
    if (strcmp(found, published_model) == 0) return VB_OK;
    return fail(p->err, VB_E_DIFFERS, "the proof's model inside this program: expected SHA-256 %s, found %s",
                published_model, found);
}

/* --- the questions ----------------------------------------------------------------------------------------------- */

static void spread(vb_token ids[TOKENS], int vocab)
{
    uint32_t x = 12345;
    for (int i = 0; i < TOKENS; i++) {
        x = x * 1664525u + 1013904223u;
        ids[i] = (vb_token)(x % (uint32_t)vocab);
    }
}

/* The first one's answer stands for all that differ. */
static void note_difference(proof *p, const vb_question *q, const char *condition, const char *difference)
{
    vb_proof_answer *a = p->answer;
    a->different++;
    if (a->first[0] != 0) return;
    snprintf(a->first, sizeof a->first, "%s: %s", condition, difference);
    if (q->found != NULL) vb_question_digest(q, q->found, a->found, NULL);
}

static int told(void *ud, const vb_question *q, const vb_condition *c, const char *difference)
{
    char condition[256];
    proof *p = ud;
    p->answer->conditions++;
    p->out->conditions++;
    if (difference[0] != 0) {
        vb_condition_text(condition, sizeof condition, q, c);
        note_difference(p, q, condition, difference);
    }
    return p->progress(p->ud, p->out->conditions);
}

static void judge_oracle(proof *p)
{
    char expected[33], found[33];
    vb_proof_answer *a = p->answer;
    a->conditions++;
    p->out->conditions++;
    if (memcmp(a->found, a->published, sizeof a->found) == 0) return;
    hex(expected, a->published, 16);
    hex(found, a->found, 16);
    a->different++;
    snprintf(a->first, sizeof a->first, "%s oracle: digest: expected %s, found %s", a->arith, expected, found);
}

static vb_status ask(proof *p, int i, vb_walk *w)
{
    vb_token ids[TOKENS];
    vb_question q = {.path = p->model, .cache = p->dir, .ids = ids, .n = TOKENS,
                     .arith = published[i].arith, .kv = published[i].kv};
    if (published[i].model == TALES) {
        q.path = VB_MODEL_EMBEDDED;
        q.want = LAST_FEW;
    }
    p->answer = &p->out->answers[i];
    p->answer->model = published[i].model == TALES ? "tales-1m" : "mixed";
    p->answer->arith = q.arith == VB_ARITH_F32 ? "f32" : "int8";
    p->answer->kv = q.kv == VB_KV_F16 ? "f16" : q.kv == VB_KV_F32 ? "f32" : "q8_0";
    unhex(p->answer->published, published[i].digest, 16);
    vb_status status = vb_question_open(&q, p->err);
    if (status < 0) return status;
    spread(ids, q.row);
    status = vb_question_settle(&q, p->err);
    if (status == VB_OK) status = vb_question_digest(&q, q.expected, p->answer->found, p->err);
    if (status == VB_OK) judge_oracle(p);
    if (status == VB_OK) status = vb_walk_conditions(w, &q, p->err);
    vb_question_close(&q);
    p->out->different += p->answer->different;
    return status;
}

/* The model's fingerprint goes on with what was answered. */
static vb_status finish(proof *p)
{
    uint8_t digest[16];
    char digits[33];
    vb_digest *d;
    vb_status status = vb_digest_open(&d, p->err);
    if (status < 0) return status;
    for (int i = 0; i < VB_PROOF_QUESTIONS; i++) vb_digest_add(d, p->out->answers[i].found, 16);
    vb_digest_get(d, digest);
    vb_digest_close(d);
    hex(digits, digest, 16);
    size_t n = strlen(p->out->fingerprint);
    snprintf(p->out->fingerprint + n, sizeof p->out->fingerprint - n, "-%.16s", digits);
    for (int i = 0; i < VB_PROOF_QUESTIONS; i++)
        if (p->out->answers[i].different > 0)
            return fail(p->err, VB_E_DIFFERS, "%.500s", p->out->answers[i].first);
    return VB_OK;
}

vb_status vb_prove(vb_proof *out, int every, int (*progress)(void *ud, int asked), void *ud, vb_err *err)
{
    proof p = {.out = out, .progress = progress, .ud = ud, .err = err};
    vb_walk w = {.every = every, .told = told, .ud = &p};
    *out = (vb_proof){0};
    vb_status status = write_model(&p);
    if (status == VB_OK) status = know_model(&p);
    for (int i = 0; i < VB_PROOF_QUESTIONS && status == VB_OK; i++) status = ask(&p, i, &w);
    if (status == VB_OK) status = finish(&p);
    if (status == VB_E_STOPPED) fail(err, status, "stopped after %d conditions", out->conditions);
    if (p.dir[0] != 0) nftw(p.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return status;
}
