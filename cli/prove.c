/* prove.c - what a proof looks like: a line for each published digest, a fingerprint; or one vote among machines. */
#include "cli/prove.h"

#include "input.h"
#include "out.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int count(void *ud, int asked)
{
    const int *person = ud;
    if (*person && asked % 20 == 0) fprintf(stderr, "\r%d conditions ", asked);
    return vb_interrupted();
}

void vb_proving_run(vb_proving *p, int every)
{
    int person = isatty(STDERR_FILENO);
    *p = (vb_proving){0};
    vb_interrupt_catch();
    p->status = vb_prove(&p->proof, every, count, &person, &p->err);
    if (person) fputs("\r\033[K", stderr);
}

void vb_proving_print(const vb_proving *p)
{
    char digits[33];
    for (int i = 0; i < VB_PROOF_QUESTIONS && p->proof.answers[i].conditions > 0; i++) {
        const vb_proof_answer *a = &p->proof.answers[i];
        vb_hex_text(digits, a->found, sizeof a->found);
        printf("proof     %-8s %-4s %-4s %s, %d conditions, ", a->model, a->arith, a->kv, digits, a->conditions);
        printf("%s%s%s\n", vb_colour(stdout, a->different ? "31" : "32"), a->different ? "differs" : "all as published",
               vb_colour(stdout, "0"));
        if (a->different) printf("          %d differ, the first: %s\n", a->different, a->first);
    }
    if (p->status < 0 && p->proof.different == 0) printf("proof     %sfailed%s (%s)\n", vb_colour(stdout, "31"),
                                                         vb_colour(stdout, "0"), p->err.text);
    if (p->proof.fingerprint[0] != 0) printf("machine   %s\n", p->proof.fingerprint);
}

json_t *vb_proving_json(const vb_proving *p)
{
    json_t *answers = json_array();
    for (int i = 0; i < VB_PROOF_QUESTIONS && p->proof.answers[i].conditions > 0; i++) {
        const vb_proof_answer *a = &p->proof.answers[i];
        json_array_append_new(answers, json_pack("{s:s, s:s, s:s, s:o, s:o, s:i, s:i, s:o}", "model", a->model, "arithmetic", a->arith, "kv",
                                                 a->kv, "published", vb_json_hex(a->published, 16), "found",
                                                 vb_json_hex(a->found, 16), "conditions", a->conditions, "different",
                                                 a->different, "first", vb_json_string(a->first)));
    }
    return json_pack("{s:b, s:s, s:o, s:o, s:i, s:i, s:o, s:o}", "proved", p->status == VB_OK, "fingerprint",
                     p->proof.fingerprint, "model_sha256", vb_json_hex(p->proof.model, 32), "plan_sha256",
                     vb_json_hex(p->proof.plan, 32), "conditions", p->proof.conditions, "different",
                     p->proof.different, "text", vb_json_string(p->status < 0 ? p->err.text : ""), "answers", answers);
}

int vb_proving_code(const vb_proving *p)
{
    if (p->status == VB_E_STOPPED) return VB_EXIT_INTERRUPTED;
    return p->status == VB_OK ? VB_EXIT_OK : p->status == VB_E_DIFFERS ? VB_EXIT_DIFFERS : vb_exit_code(p->status);
}

/* --- quorums ------------------------------------------------------------------------------------------------- */

int vb_proving_gather(const vb_proving *p, int json)
{
    static const char name[] = "verbatim-mpi";
    char beside[4096];
    ssize_t n = readlink("/proc/self/exe", beside, sizeof beside - sizeof name);
    const char *text = p->status < 0 ? p->err.text : "";
    char *const words[] = {(char[]){"verbatim-mpi"}, json ? (char[]){"--json"} : (char *)p->proof.fingerprint,
                           json ? (char *)p->proof.fingerprint : (char *)text, json ? (char *)text : NULL, NULL};
    if (n > 0) {
        beside[n] = 0;
        char *slash = strrchr(beside, '/');
        memcpy(slash + 1, name, sizeof name);
        execv(beside, words);
    }
    execvp(name, words);
    vb_say("doctor: --quorum: expected the program verbatim-mpi (made where OpenMPI is installed), found none: %s; "
           "`verbatim trace quorum FILE...` compares files", strerror(errno));
    return VB_EXIT_INPUT;
}
