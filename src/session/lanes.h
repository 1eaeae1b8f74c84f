/* lanes.h - passes over all logits in sixteen lanes, which compilers turn into a few instructions. A maximum does not
 * depend on the order of comparing, so no bit depends on the lanes.
 */
#ifndef VB_SESSION_LANES_H
#define VB_SESSION_LANES_H
#include "base/canon.h"

enum { VB_LANES = 16 };

/* The largest of n >= 1 numbers that are no NaN. */
static inline float vb_highest(const float *x, int n)
{
    float m[VB_LANES], highest = x[0];
    int i = 0;
    for (int k = 0; k < VB_LANES; k++) m[k] = x[0];
    for (; i + VB_LANES <= n; i += VB_LANES)
        for (int k = 0; k < VB_LANES; k++) m[k] = x[i + k] > m[k] ? x[i + k] : m[k];
    for (int k = 0; k < VB_LANES; k++) highest = m[k] > highest ? m[k] : highest;
    for (; i < n; i++) highest = x[i] > highest ? x[i] : highest;
    return highest;
}

/* Whether one of VB_LANES * 4 numbers is `least` or above. */
static inline int vb_any_from(const float *x, float least)
{
    int32_t above[VB_LANES] = {0}, any = 0;
    for (int i = 0; i < 4 * VB_LANES; i += VB_LANES)
        for (int k = 0; k < VB_LANES; k++) above[k] |= x[i + k] >= least ? -1 : 0;
    for (int k = 0; k < VB_LANES; k++) any |= above[k];
    return any != 0;
}

#endif
