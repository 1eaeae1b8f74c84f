#version 450
/* linear_dot.comp - linear_int8 for devices that multiply and add four small integers at once. */
#extension GL_EXT_spirv_intrinsics : enable
#define INTEGER_DOT
#include "linear_int8.glsl"
