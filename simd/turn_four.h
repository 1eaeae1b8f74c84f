/* turn_four.h - vf_turn where a vf is four registers of four lanes; before it stands turn4, which turns four of them. */
#ifndef VB_SIMD_TURN_FOUR_H
#define VB_SIMD_TURN_FOUR_H

/* 16 vectors turned: lane j of vector i goes to lane i of vector j, by squares of four. */
VB_INLINE void vf_turn(vf x[16])
{
    v4f from[16][4], to[16][4];
    memcpy(from, x, sizeof from);
    for (int i = 0; i < 16; i += 4)
        for (int k = 0; k < 4; k++) {
            v4f y[4] = {from[i][k], from[i + 1][k], from[i + 2][k], from[i + 3][k]};
            turn4(y);
            for (int j = 0; j < 4; j++) to[4 * k + j][i / 4] = y[j];
        }
    memcpy(x, to, sizeof to);
}

#endif
