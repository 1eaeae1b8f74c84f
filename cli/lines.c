/* lines.c - see lines.h. Options are put into the cast's JSON, which knows all of them. */
#include "lines.h"

#include "input.h"
#include "out.h"
#include "torn.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What `path` says with the options in it, as text. A file that is no JSON object is left to who reads it. */
static int cast_text(const vb_args *args, const char *path, int speakers, vb_buffer *out)
{
    int code = path != NULL ? vb_read_all(path, out) : 0;
    if (code != 0 || (speakers == 0 && args->table == NULL)) return code;
    json_t *cast = path != NULL ? json_loadb(out->data, out->len, JSON_REJECT_DUPLICATES, NULL) : json_object();
    if (!json_is_object(cast)) {
        json_decref(cast);
        return path != NULL ? 0 : vb_no_memory();
    }
    int bad = 0;
    if (speakers != 0) bad |= json_object_set_new(cast, "speakers", json_integer(speakers));
    if (args->table != NULL) bad |= json_object_set_new(cast, "table", vb_json_string(args->table));
    char *text = bad ? NULL : json_dumps(cast, JSON_COMPACT);
    out->len = 0;
    code = text == NULL ? vb_no_memory() : vb_buffer_add(out, text, strlen(text));
    free(text);
    json_decref(cast);
    return code;
}

int vb_lines_open(vb_cast **out, const vb_args *args, const char *path, int speakers)
{
    vb_buffer text = {0};
    vb_err err = {0};
    *out = NULL;
    int code = cast_text(args, path, speakers != 0 ? speakers : args->speakers, &text);
    if (code == 0) {
        vb_torn_watch();
        vb_status status = vb_cast_open_json(out, text.data, text.len, &args->model, &err);
        if (status < 0 && path != NULL) vb_say("%s: %s", path, err.text[0] ? err.text : vb_status_name(status));
        else if (status < 0) vb_report(status, &err);
        if (status < 0) code = status == VB_E_ARGUMENT && path != NULL ? VB_EXIT_INPUT : vb_exit_code(status);
    }
    free(text.data);
    return code;
}

static const char *end_name(vb_line_end end)
{
    switch (end) {
    case VB_LINE_SENTENCE: return "sentence";
    case VB_LINE_BREAK: return "line";
    case VB_LINE_MATCH: return "regex";
    case VB_LINE_LENGTH: return "length";
    case VB_LINE_ENDED: return "token";
    case VB_LINE_HELD: return "grammar";
    case VB_LINE_FALLBACK: return "fallback";
    }
    return "unknown";
}

/* Above 2^63 - 1 as a text of digits. */
static json_t *number(uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return value <= INT64_MAX ? json_integer((json_int_t)value) : json_string(text);
}

static void put_u64(uint8_t *at, uint64_t value, int big_endian)
{
    for (int i = 0; i < 8; i++) at[i] = (uint8_t)(value >> 8 * (big_endian ? 7 - i : i));
}

static json_t *digits(uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return json_string(text);
}

json_t *vb_lines_json(const vb_line *line, const char *name)
{
    uint64_t seed, stream;
    uint8_t key[16];
    vb_line_stream(&line->key, &seed, &stream);
    put_u64(key, stream, 1);
    put_u64(key + 8, seed, 1);
    json_t *who = name != NULL ? vb_json_string(name) : number(line->key.entity);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:s, s:i, s:i, s:i, s:o, s:o, s:o, s:b}", "entity", who, "tick",
                     number(line->key.tick), "draw", number(line->key.draw), "persona", vb_json_string(line->persona), "line",
                     vb_json_text(line->text, line->len), "end", end_name(line->end), "attempts", line->attempts,
                     "prompt_tokens", line->prompt_tokens, "tokens", line->tokens, "key", vb_json_hex(key, sizeof key),
                     "stream", digits(stream), "seed", digits(seed), "baked", line->baked);
}

void vb_lines_digest(vb_digest *digest, const vb_line *line)
{
    const uint64_t numbers[] = {line->key.world, line->key.entity, line->key.tick, line->key.draw, line->len};
    uint8_t bytes[5 * 8];
    for (int i = 0; i < 5; i++) put_u64(bytes + 8 * i, numbers[i], 0);
    vb_digest_add(digest, bytes, sizeof bytes);
    vb_digest_add(digest, line->text, line->len);
}
