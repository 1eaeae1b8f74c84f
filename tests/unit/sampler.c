/* sampler.c - the sampler against its naive twin, over random logits, settings and pasts; and its edges. */
#include "oracle/oracle.h"
#include "session/sampler.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 88172645463325252u;

static uint32_t word(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

static float unit(void)
{
    return (float)(word() & 0xffffff) * 0x1p-24f;
}

/* Many ties on purpose: logits on a coarse grid. */
static void fill(float *logits, int n, int grid)
{
    for (int i = 0; i < n; i++) {
        float l = (unit() - 0.5f) * 20.0f;
        logits[i] = grid ? (float)(int)(l * 2.0f) * 0.5f : l;
    }
}

static vb_sampling settings(int n)
{
    vb_sampling s = {.seed = (uint64_t)word() << 32 | word(), .stream = word()};
    uint32_t on = word();
    s.temperature = on & 1 ? 0.1f + 2.0f * unit() : 0.0f;
    if (on & 2) s.top_k = 1 + (int)(word() % (uint32_t)n);
    if (on & 4) s.top_p = unit();
    if (on & 8) s.min_p = 0.2f * unit();
    if (on & 16) s.typical = unit();
    if (on & 32) s.repeat = 0.5f + unit();
    if (on & 64) s.presence = unit() * 2.0f - 1.0f;
    if (on & 128) s.frequency = unit() * 2.0f - 1.0f;
    if (on & 256) s.repeat_last = (int)(word() % 12) - 1;
    return s;
}

Test(sampler, equals_its_naive_twin)
{
    enum { MOST = 500, PAST = 100 };
    float logits[MOST];
    vb_token past[PAST];
    for (int round = 0; round < 20000; round++) {
        int n = 1 + (int)(word() % MOST), n_past = (int)(word() % PAST);
        vb_token fast = -1, slow = -1;
        vb_err err = {0};
        fill(logits, n, round & 1);
        vb_sampling s = settings(n);
        for (int i = 0; i < n_past; i++) past[i] = (vb_token)(word() % (uint32_t)n);
        cr_assert_eq(vb_sample_logits(logits, n, past, n_past, &s, &fast, &err), VB_OK, "%s", err.text);
        cr_assert_eq(vb_oracle_sample(logits, n, past, n_past, &s, &slow), VB_OK);
        cr_assert_eq(fast, slow, "round %d: sampler %d, twin %d", round, fast, slow);
        float a = vb_logprob(logits, n, fast), b = vb_oracle_logprob(logits, n, fast);
        cr_assert(a == b, "round %d: log-probability %a, twin %a", round, (double)a, (double)b);
    }
}

Test(sampler, biases_are_logits_that_were_raised)
{
    enum { MOST = 300, PAST = 20, BIASES = 6 };
    float logits[MOST], raised[MOST], room[MOST];
    vb_token past[PAST], fast, slow;
    for (int round = 0; round < 5000; round++) {
        int n = BIASES + (int)(word() % (MOST - BIASES)), n_past = (int)(word() % PAST);
        vb_bias biases[BIASES];
        fill(logits, n, round & 1);
        memcpy(raised, logits, sizeof raised);
        for (int i = 0; i < BIASES; i++) {
            biases[i] = (vb_bias){i * (n / BIASES), (float)((int)(word() % 41) - 20)};
            raised[biases[i].id] = raised[biases[i].id] + biases[i].add;
        }
        vb_sampling s = settings(n);
        for (int i = 0; i < n_past; i++) past[i] = (vb_token)(word() % (uint32_t)n);
        vb_sample_from from = {.logits = logits, .n_vocab = n, .past = past, .n_past = n_past, .biases = biases, .n_biases = BIASES};
        room[0] = NAN;
        if (round & 2) from.room = room;
        cr_assert_eq(vb_sample_among(&from, &s, &fast, NULL), VB_OK);
        cr_assert_eq(vb_oracle_sample(raised, n, past, n_past, &s, &slow), VB_OK);
        cr_assert_eq(fast, slow, "round %d: sampler %d, twin %d", round, fast, slow);
        cr_assert_eq(isnan(room[0]), (round & 2) == 0, "the work area, and no other, is used where there is one");
    }
    vb_bias wrong[] = {{-1, 1}, {MOST, 1}, {0, 101}, {0, NAN}};
    for (size_t i = 0; i < 4; i++) {
        vb_sample_from from = {.logits = logits, .n_vocab = BIASES, .biases = &wrong[i], .n_biases = 1};
        cr_expect_eq(vb_sample_among(&from, &(vb_sampling){0}, &fast, NULL), VB_E_ARGUMENT);
    }
}

Test(sampler, draws_follow_the_probabilities)
{
    enum { N = 8, DRAWS = 40000 };
    float logits[N] = {1.0f, 0.5f, 0.0f, -0.5f, 1.5f, -1.0f, 0.25f, 0.75f};
    double p[N], sum = 0.0, chi = 0.0;
    int count[N] = {0};
    for (int i = 0; i < N; i++) sum += p[i] = exp((double)logits[i] / 0.8);
    for (int i = 0; i < DRAWS; i++) {
        vb_token id;
        vb_sampling s = {.temperature = 0.8f, .seed = 7, .stream = (uint64_t)i};
        cr_assert_eq(vb_sample_logits(logits, N, NULL, 0, &s, &id, NULL), VB_OK);
        count[id]++;
    }
    for (int i = 0; i < N; i++) {
        double expected = p[i] / sum * DRAWS;
        chi += (count[i] - expected) * (count[i] - expected) / expected;
    }
    cr_assert_lt(chi, 24.3, "chi-square %g over 7 degrees of freedom (0.1 %%)", chi);
}

Test(sampler, greedy_takes_the_lower_id_of_a_tie)
{
    float logits[4] = {1.0f, 3.0f, 3.0f, 2.0f};
    vb_sampling s = {0};
    vb_token id;
    cr_assert_eq(vb_sample_logits(logits, 4, NULL, 0, &s, &id, NULL), VB_OK);
    cr_assert_eq(id, 1);
}

Test(sampler, refuses_what_is_out_of_range)
{
    float logits[2] = {0.0f, NAN};
    vb_token id;
    vb_err err = {0};
    vb_sampling bad[] = {{.temperature = -1.0f}, {.temperature = NAN}, {.top_p = 1.5f}, {.min_p = -0.1f},
                         {.repeat = 0.001f},     {.top_k = -1},        {.repeat_last = -2}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(vb_sampling_check(&bad[i], &err), VB_E_ARGUMENT, "case %zu", i);
    vb_sampling ok = {0};
    cr_assert_eq(vb_sample_logits(logits, 2, NULL, 0, &ok, &id, &err), VB_E_ARGUMENT);
}

Test(sampler, what_is_no_number_is_found_wherever_it_stands)
{
    enum { N = 53 };
    float logits[N], bad[] = {INFINITY, -INFINITY, NAN};
    vb_sampling greedy = {0};
    vb_token id;
    vb_err err;
    char expected[32];
    for (int i = 0; i < N * 3; i++) {
        for (int k = 0; k < N; k++) logits[k] = (float)(k % 7);
        cr_assert_eq(vb_sample_logits(logits, N, NULL, 0, &greedy, &id, &err), VB_OK);
        cr_assert_eq(id, 6);
        logits[i / 3] = bad[i % 3];
        cr_assert_eq(vb_sample_logits(logits, N, NULL, 0, &greedy, &id, &err), VB_E_ARGUMENT);
        snprintf(expected, sizeof expected, "logit %d is not", i / 3);
        cr_assert_not_null(strstr(err.text, expected), "%s", err.text);
    }
}

Test(sampler, the_largest_come_in_order_ties_to_the_lower_id)
{
    enum { N = 9001 };
    float logits[N];
    vb_token ids[N];
    for (int round = 0; round < 300; round++) {
        int n = 1 + (round < 150 ? round : round * 61) % N, k = 1 + round % 40;
        for (int i = 0; i < n; i++) logits[i] = (float)(word() % (round & 1 ? 256 : 65536)) - 100.0f;
        int got = vb_top_ids(logits, n, ids, k);
        cr_assert_eq(got, k < n ? k : n);
        for (int i = 0; i < got; i++) {
            int before = 0; /* how many others come first */
            for (int j = 0; j < n; j++) before += logits[j] > logits[ids[i]] || (logits[j] == logits[ids[i]] && j < ids[i]);
            cr_assert_eq(before, i, "round %d: place %d", round, i);
        }
    }
}
