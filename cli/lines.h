/* lines.h - a cast as the options say, and what it says: as JSON, and all of it in one digest.
 *
 *   digest of lines = XXH3-128 of, for each line,  world, entity, tick, draw, length    five u64, little endian
 *                                                  text                                 bytes
 */
#ifndef VB_CLI_LINES_H
#define VB_CLI_LINES_H
#include "opts.h"
#include "verbatim_dialogue.h"

#include <jansson.h>

/* The cast of the file at `path`; NULL: the one that is built in. --speakers, --table, --threads and --isa are heeded;
 * `speakers` not 0 stands in for the first. 0, or an exit code. */
int vb_lines_open(vb_cast **out, const vb_args *args, const char *path, int speakers);

/* {"entity", "tick", "draw", "persona", "line", "end", "attempts", "prompt_tokens", "tokens", "key", "stream", "seed",
 * "baked"}; `name` is the entity's if it has one. NULL: out of memory. */
json_t *vb_lines_json(const vb_line *line, const char *name);
void vb_lines_digest(vb_digest *digest, const vb_line *line);

#endif
