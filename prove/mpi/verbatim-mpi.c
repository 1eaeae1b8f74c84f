/* verbatim-mpi.c - one vote a machine: gathers what each rank of `mpirun verbatim doctor --prove --quorum` has proved.
 *
 *   verbatim-mpi [--json] FINGERPRINT TEXT      TEXT: the first difference, or why nothing was proved; "": proved
 *
 * A program of its own, so that the command line needs no MPI. Rank 0 prints and judges: the fingerprint that most of
 * those who proved it have is expected of all. Exit code 0: all agree, 1: somebody does not.
 */
#include <jansson.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    char host[256], fingerprint[96], text[704];
} vote;

static int votes_for(const vote *votes, int n, const vote *v)
{
    int count = 0;
    for (int i = 0; i < n; i++)
        count += strcmp(votes[i].fingerprint, v->fingerprint) == 0 && strcmp(votes[i].text, v->text) == 0;
    return count;
}

/* The vote that counts; who has proved counts before who has not. */
static const vote *expected_vote(const vote *votes, int n)
{
    const vote *best = &votes[0];
    for (int i = 1; i < n; i++) {
        int proved = votes[i].text[0] == 0, best_proved = best->text[0] == 0;
        if (proved < best_proved) continue;
        if (proved > best_proved || votes_for(votes, n, &votes[i]) > votes_for(votes, n, best)) best = &votes[i];
    }
    return best;
}

static int agrees(const vote *v, const vote *expected)
{
    return v->text[0] == 0 && strcmp(v->fingerprint, expected->fingerprint) == 0;
}

static void print_text(const vote *votes, int n, const vote *expected, int first, int agree)
{
    for (int i = 0; i < n; i++)
        printf("rank %d  %s  %s  %s%s\n", i, votes[i].host, votes[i].fingerprint,
               agrees(&votes[i], expected) ? "agrees" : "differs: ",
               agrees(&votes[i], expected) ? "" : votes[i].text[0] ? votes[i].text : "another fingerprint");
    printf("quorum: %d of %d agree", agree, n);
    if (first >= 0) printf("; the first that does not: rank %d on %s", first, votes[first].host);
    putchar('\n');
}

static void print_json(const vote *votes, int n, const vote *expected, int first, int agree)
{
    json_t *ranks = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(ranks, json_pack("{s:i, s:s, s:s, s:b, s:s}", "rank", i, "host", votes[i].host,
                                               "fingerprint", votes[i].fingerprint, "agrees",
                                               agrees(&votes[i], expected), "text", votes[i].text));
    json_t *all = json_pack("{s:s, s:i, s:o, s:o}", "fingerprint", expected->fingerprint, "agree", agree, "first",
                            first < 0 ? json_null() : json_integer(first), "ranks", ranks);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static int judge(const vote *votes, int n, int json)
{
    int first = -1, agree = 0;
    const vote *expected = expected_vote(votes, n);
    for (int i = 0; i < n; i++) {
        agree += agrees(&votes[i], expected);
        if (first < 0 && !agrees(&votes[i], expected)) first = i;
    }
    if (json) print_json(votes, n, expected, first, agree);
    else print_text(votes, n, expected, first, agree);
    return fflush(stdout) != 0 ? 4 : first >= 0;
}

static int gather(int json, const char *fingerprint, const char *text)
{
    int rank, n, code = 0;
    vote mine = {.host = ""}, *votes = NULL;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n);
    gethostname(mine.host, sizeof mine.host - 1);
    snprintf(mine.fingerprint, sizeof mine.fingerprint, "%s", fingerprint);
    snprintf(mine.text, sizeof mine.text, "%s", text);
    if (rank == 0 && (votes = calloc((size_t)n, sizeof *votes)) == NULL) {
        fprintf(stderr, "verbatim-mpi: out of memory\n");
        MPI_Abort(MPI_COMM_WORLD, 5);
    }
    MPI_Gather(&mine, sizeof mine, MPI_BYTE, votes, sizeof mine, MPI_BYTE, 0, MPI_COMM_WORLD);
    if (rank == 0) code = judge(votes, n, json);
    free(votes);
    return code;
}

int main(int argc, char **argv)
{
    int json = argc > 1 && strcmp(argv[1], "--json") == 0;
    if (argc != 3 + json) {
        fprintf(stderr, "usage: verbatim-mpi [--json] FINGERPRINT TEXT, as `verbatim doctor --prove --quorum` calls it\n");
        return 2;
    }
    if (MPI_Init(NULL, NULL) != MPI_SUCCESS) return 3;
    int code = gather(json, argv[1 + json], argv[2 + json]);
    MPI_Finalize();
    return code;
}
