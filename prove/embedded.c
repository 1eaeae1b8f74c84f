/* embedded.c - the model of the proof, brought along: prove/model.gguf, byte for byte. */
#include "prove/prove.h"

__asm__(".section .rodata\n"
        ".balign 64\n"
        ".globl vb_proof_model, vb_proof_model_end\n"
        "vb_proof_model:\n"
        ".incbin \"prove/model.gguf\"\n"
        "vb_proof_model_end:\n"
        ".byte 0\n"
        ".previous\n");
