#version 450
#include "linear_int8.glsl"
