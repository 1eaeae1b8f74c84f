/* pace.h - how many tokens of prompts go into a step beside those that decode.
 *
 *   ns   |            x  steps with prompts        a step costs `fixed` + `each` for every token: weights are read and
 *        |      x                                  unpacked once, whatever comes with them. The line goes through two
 *        | o  steps that only decode               points, the means of both kinds of steps; old ones fade.
 *        +------------- tokens
 *
 * A step may take `step_ns`, and twice what is fixed where that is more: a handful of tokens at a time would pay for the
 * weights again and again, and everybody would wait longer.
 */
#ifndef VB_SERVE_PACE_H
#define VB_SERVE_PACE_H
#include <stdint.h>

enum { VB_PACE_LEAST = 16, VB_PACE_MOST = 512 };

typedef struct {
    double tokens, ns; /* 0: none yet */
} vb_pace_mean;

/* All zero: nothing is known. */
typedef struct {
    vb_pace_mean decoding, filling; /* filling: with prompts */
} vb_pace;

/* What a step of so many tokens, some of them prompts', took. */
static inline void vb_pace_note(vb_pace *p, int tokens, int of_prompts, int64_t ns)
{
    vb_pace_mean *m = of_prompts > 0 ? &p->filling : &p->decoding;
    double weight = m->tokens > 0.0 ? 0.3 : 1.0;
    if (of_prompts > 0 && of_prompts < VB_PACE_LEAST / 2) return;
    m->tokens += weight * ((double)tokens - m->tokens);
    m->ns += weight * ((double)ns - m->ns);
}

/* How many tokens of prompts go with `decoding` others. */
static inline int vb_pace_room(const vb_pace *p, int decoding, int64_t step_ns)
{
    const vb_pace_mean *few = &p->decoding, *many = &p->filling;
    if (many->tokens <= 0.0) return VB_PACE_LEAST;
    double most = many->ns / many->tokens, each = most;
    if (few->tokens > 0.0 && many->tokens > few->tokens + VB_PACE_LEAST / 2)
        each = (many->ns - few->ns) / (many->tokens - few->tokens);
    if (each < most / 16.0) each = most / 16.0;
    if (each > most) each = most;
    double fixed = many->ns - each * many->tokens;
    double time = (double)step_ns > 2.0 * fixed ? (double)step_ns : 2.0 * fixed;
    double n = (time - fixed) / each - decoding;
    return n < VB_PACE_LEAST ? VB_PACE_LEAST : n > VB_PACE_MOST ? VB_PACE_MOST : (int)n;
}

#endif
