/* prove.h - `verbatim doctor --prove` and its quorums, as parts of commands. */
#ifndef VB_CLI_PROVE_H
#define VB_CLI_PROVE_H
#include "prove/prove.h"

#include <jansson.h>

/* A proof with its outcome: VB_OK, VB_E_DIFFERS, or why nothing could be proved. */
typedef struct {
    vb_proof proof;
    vb_status status;
    vb_err err;
} vb_proving;

void vb_proving_run(vb_proving *p, int every); /* counts on a terminal while it works */
void vb_proving_print(const vb_proving *p);
json_t *vb_proving_json(const vb_proving *p);
int vb_proving_code(const vb_proving *p); /* exit code */
/* Becomes verbatim-mpi, which compares the ranks of mpirun; returns an exit code if that cannot be. */
int vb_proving_gather(const vb_proving *p, int json);

/* Says which trace files stand against the majority; returns the exit code. */
int vb_print_quorum(char *const *paths, int n, int json);

#endif
