/* figures.h - a model in a few words, as lists show it and manifests' configurations keep it. */
#ifndef VB_STORE_FIGURES_H
#define VB_STORE_FIGURES_H
#include "verbatim.h"

typedef struct {
    char family[48], format[16], parameters[16]; /* "llama", "Q4_K_M", "134.52M" */
    int context, width, embeds;                  /* embeds: made for embeddings */
} vb_figures;
void vb_figures_of(const vb_model *model, vb_figures *out);

#endif
