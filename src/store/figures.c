/* figures.c - the words that Ollama uses for what a file says about itself. */
#include "store/figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* GGUF's general.file_type by its number. */
static const char *file_type(int64_t n)
{
    static const char *const names[] = {
        "F32",  "F16",     "Q4_0",   "Q4_1",   NULL,     NULL,    NULL,     "Q8_0",   "Q5_0",    "Q5_1",
        "Q2_K", "Q3_K_S",  "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K",   "IQ2_XXS",
        "IQ2_XS", "Q2_K_S", "IQ3_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ3_M", "IQ2_S",  "IQ2_M",
        "IQ4_XS", "IQ1_M", "BF16"};
    return n >= 0 && n < (int64_t)(sizeof names / sizeof names[0]) ? names[n] : NULL;
}

/* As Ollama writes counts: 134.52M, 7B, 1.2B. */
static void human(uint64_t n, char *text, size_t cap)
{
    double b = (double)n / 1e9, m = (double)n / 1e6;
    if (n >= 1000000000) snprintf(text, cap, floor(b) == b ? "%.0fB" : "%.1fB", b);
    else if (n >= 1000000) snprintf(text, cap, floor(m) == m ? "%.0fM" : "%.2fM", m);
    else if (n >= 1000) snprintf(text, cap, "%.0fK", (double)n / 1e3);
    else snprintf(text, cap, "%llu", (unsigned long long)n);
}

static int64_t number(const vb_model *model, const char *arch, const char *key, int64_t otherwise)
{
    char name[128], text[32];
    snprintf(name, sizeof name, "%s%s%s", arch, arch[0] != '\0' ? "." : "", key);
    int64_t n = vb_model_meta(model, name, text, sizeof text - 1);
    if (n <= 0 || n >= (int64_t)sizeof text) return otherwise;
    text[n] = '\0';
    return strtoll(text, NULL, 10);
}

void vb_figures_of(const vb_model *model, vb_figures *out)
{
    vb_model_info info;
    vb_model_describe(model, &info);
    const char *type = file_type(number(model, "", "general.file_type", -1));
    snprintf(out->family, sizeof out->family, "%s", info.arch);
    snprintf(out->format, sizeof out->format, "%s", type != NULL ? type : info.format);
    human(info.parameters, out->parameters, sizeof out->parameters);
    out->context = (int)number(model, info.arch, "context_length", 0);
    out->width = (int)number(model, info.arch, "embedding_length", 0);
    out->embeds = number(model, info.arch, "pooling_type", -1) >= 0;
}
