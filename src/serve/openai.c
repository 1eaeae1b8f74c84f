/* openai.c - OpenAI's API: its routes. */
#include "serve/serve.h"

const vb_route vb_openai_routes[] = {
    {NULL, NULL, NULL},
};
