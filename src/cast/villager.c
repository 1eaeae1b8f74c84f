/* villager.c - the cast that is built in: one villager with an answer to everything, spoken by tales-1m. */
#include "cast/cast_json.h"

const char vb_villager[] =
    "{\n"
    "  \"model\": \"tales-1m\",\n"
    "  \"personas\": [\n"
    "    {\n"
    "      \"name\": \"villager\",\n"
    "      \"prompt\": \"A man was asked \\\"${text}\\\". He smiled and said, \\\"\",\n"
    "      \"sampling\": {\"temperature\": 0.9, \"top_k\": 40},\n"
    "      \"stop\": \"sentence\",\n"
    "      \"max_tokens\": 60\n"
    "    }\n"
    "  ]\n"
    "}\n";
