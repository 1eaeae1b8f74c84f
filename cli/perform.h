/* perform.h - a whole script, scene by scene: for `simulate` and `bake`. */
#ifndef VB_CLI_PERFORM_H
#define VB_CLI_PERFORM_H
#include "opts.h"
#include "verbatim_dialogue.h"

typedef struct {
    int64_t lines, remembered, tokens, baked, fallbacks;
    uint8_t digest[16]; /* of all lines, in the script's order (lines.h) */
    double seconds;
} vb_performed;

/* Has `cast` perform the script at `path`; each scene's lines are printed as JSON in the script's order if `prints`. With
 * --shuffle a second cast performs it too, in another order, and must say the same. 0, or an exit code after saying why. */
int vb_perform(const vb_args *args, vb_cast *cast, const char *path, int prints, vb_performed *out);

#endif
