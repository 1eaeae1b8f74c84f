/* pace.c - steps of machines with known costs find their size. */
#include "serve/pace.h"

#include <criterion/criterion.h>

enum { MS = 1000000 };

/* What a step of the size that was found takes on a machine with these costs, in ms; *room is that size. */
static double settle(double fixed, double each, int decoding, int *room)
{
    vb_pace p = {.decoding = {0.0, 0.0}};
    double ms = 0.0;
    for (int i = 0; i < 60; i++) {
        *room = i % 3 < 2 ? vb_pace_room(&p, decoding, 50 * (int64_t)MS) : 0;
        ms = fixed + each * (decoding + *room);
        vb_pace_note(&p, decoding + *room, *room, (int64_t)(ms * MS));
    }
    *room = vb_pace_room(&p, decoding, 50 * (int64_t)MS);
    return fixed + each * (decoding + *room);
}

Test(pace, quick_machine)
{
    int room;
    double ms = settle(2.0, 0.2, 8, &room);
    cr_assert(ms > 45.0 && ms < 55.0, "a step takes %g ms with %d tokens", ms, room);
    settle(1.0, 0.001, 8, &room);
    cr_assert(room == VB_PACE_MOST, "%d tokens", room);
}

Test(pace, weights_cost_more_than_tokens)
{
    int room;
    double ms = settle(40.0, 0.25, 4, &room);
    cr_assert(ms > 72.0 && ms < 88.0 && room > 100, "a step takes %g ms with %d tokens", ms, room);
    ms = settle(400.0, 40.0, 2, &room);
    cr_assert(room == VB_PACE_LEAST, "a step takes %g ms with %d tokens", ms, room);
}

Test(pace, nothing_known)
{
    vb_pace p = {.decoding = {0.0, 0.0}};
    cr_assert(vb_pace_room(&p, 3, 50 * (int64_t)MS) == VB_PACE_LEAST);
    vb_pace_note(&p, 3, 0, 5 * MS);
    cr_assert(vb_pace_room(&p, 3, 50 * (int64_t)MS) == VB_PACE_LEAST);
    vb_pace_note(&p, 100, 97, 0);
    cr_assert(vb_pace_room(&p, 3, 50 * (int64_t)MS) >= VB_PACE_LEAST);
}
