/* run.h - the player named "cpu": a plan on threads and vector kernels, with the bits of docs/ARITHMETIC.md. */
#ifndef VB_RUN_RUN_H
#define VB_RUN_RUN_H
#include "plan/player.h"

extern const vb_player vb_cpu_player;

#endif
