/* perform.c - see perform.h. Memory is that of one scene, however long the script is. */
#include "perform.h"

#include "input.h"
#include "lines.h"
#include "out.h"
#include "scene.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR = 24, WIDTH = 70 }; /* columns: of the bar, of a terminal that has room for it */

typedef struct {
    const vb_args *args;
    vb_cast *cast, *other; /* other: NULL, or who performs it once more */
    vb_script *script;
    vb_scene *scene;
    vb_digest *digest;
    vb_frames *frames;
    vb_performed *sum;
    vb_manner once, again;
    int prints, terminal, told; /* told: items of the scene that were printed */
    double before, share; /* of the script: what was done before this scene, what one performance of it adds */
    int64_t items, tokens; /* of all performances before this one */
    int64_t begun, shown; /* ns */
} performance;

/* --- how far it is --------------------------------------------------------------------------------------- */

static void put_bar(double done)
{
    static const char full[] = "########################", rest[] = "------------------------";
    int filled = (int)(done * BAR);
    fprintf(stderr, "%3d %%  [%.*s%.*s]  ", (int)(done * 100), filled, full, BAR - filled, rest);
}

static int has_room(void)
{
    struct winsize size = {0};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_col >= WIDTH;
}

static void show(performance *p)
{
    int64_t now = vb_cast_now(), tokens;
    int n = vb_scene_count(p->scene), done = vb_scene_done(p->scene, &tokens);
    if (!p->terminal || now - p->shown < 100000000) return;
    p->shown = now;
    fputc('\r', stderr);
    if (p->share >= 0 && has_room()) put_bar(p->before + p->share * done / n);
    fprintf(stderr, "%lld lines  %.0f tokens/s\033[K", (long long)p->items + done,
            (double)(p->tokens + tokens) / (double)(now - p->begun) * 1e9);
}

static void clear(const performance *p)
{
    if (p->terminal && p->shown != 0) fputs("\r\033[K", stderr);
}

/* --- scenes ---------------------------------------------------------------------------------------------- */

static int print(const vb_line *line, const char *name)
{
    json_t *value = vb_lines_json(line, name);
    if (value == NULL) return vb_no_memory();
    int failed = json_dumpf(value, stdout, JSON_COMPACT) != 0;
    json_decref(value);
    return putchar('\n') == EOF || failed ? vb_out_flush() : 0;
}

/* What is done in front of the first item that is not. */
static int tell(performance *p)
{
    int code = 0;
    if (p->prints && p->told < vb_scene_count(p->scene) && vb_scene_has(p->scene, p->told)) clear(p);
    for (; p->told < vb_scene_count(p->scene) && vb_scene_has(p->scene, p->told) && code == 0; p->told++) {
        const vb_line *line = vb_scene_line(p->scene, p->told);
        p->sum->remembered += line == NULL;
        if (line == NULL) continue;
        vb_lines_digest(p->digest, line);
        p->sum->lines++;
        p->sum->tokens += line->tokens;
        p->sum->baked += line->baked;
        p->sum->fallbacks += line->end == VB_LINE_FALLBACK;
        if (p->prints) code = print(line, vb_scene_item(p->scene, p->told)->name);
    }
    return code != 0 ? code : vb_out_flush();
}

static int between(void *ud)
{
    performance *p = ud;
    int code = p->other == NULL ? tell(p) : 0;
    show(p);
    return code == 0 && vb_interrupted() ? VB_EXIT_INTERRUPTED : code;
}

static int perform_once(performance *p, vb_cast *cast, const vb_manner *manner)
{
    int64_t tokens;
    int code = vb_scene_perform(p->scene, cast, manner);
    p->items += vb_scene_done(p->scene, &tokens);
    p->tokens += tokens;
    p->before += p->share;
    return code;
}

static int perform_scene(performance *p)
{
    double done = vb_script_done(p->script);
    p->share = done >= 0 ? (done - p->before) / (p->other != NULL ? 2 : 1) : -1;
    int code = perform_once(p, p->cast, &p->once);
    if (code != 0 || p->other == NULL) return code;
    vb_scene_keep(p->scene);
    p->again.random += 1;
    code = perform_once(p, p->other, &p->again);
    return code == 0 ? vb_scene_compare(p->scene) : code;
}

static int perform_all(performance *p)
{
    for (;;) {
        int code = vb_scene_read(p->scene, p->script);
        if (code == 0 && vb_scene_count(p->scene) == 0) return 0;
        p->told = 0;
        if (code == 0) code = perform_scene(p);
        if (code == 0) code = tell(p);
        if (code != 0) return code;
    }
}

/* --- the whole ------------------------------------------------------------------------------------------- */

static int open_all(performance *p, const char *path)
{
    vb_err err = {0};
    const vb_args *args = p->args;
    int shuffled = vb_opt_given(args, "shuffle");
    p->once = (vb_manner){.frame_ms = (double)args->frame, .between = between, .ud = p};
    p->again = (vb_manner){.shuffled = 1, .random = args->shuffle * 1000003, .between = between, .ud = p};
    vb_status status = vb_digest_open(&p->digest, &err);
    if (status < 0) return vb_report(status, &err);
    int code = vb_script_open(&p->script, path);
    if (code == 0) code = vb_scene_open(&p->scene, args->sampling.seed);
    if (code == 0 && args->frame > 0) code = (p->frames = p->once.frames = calloc(1, sizeof *p->frames)) == NULL ? vb_no_memory() : 0;
    /* Between 1 and 64 speakers, as the seed wants it. */
    if (code == 0 && shuffled) code = vb_lines_open(&p->other, args, args->cast, 1 + (int)((args->shuffle * 7 + 12) % 64));
    return code;
}

static void say_frames(const performance *p)
{
    const vb_frames *f = p->frames;
    vb_say("%lld frames of %g ms; beyond it p50 %.0f us, p99 %.0f us, p99.9 %.0f us, most %.0f us", (long long)f->n,
           (double)p->args->frame, vb_frames_at(f, 0.5), vb_frames_at(f, 0.99), vb_frames_at(f, 0.999), f->worst_us);
}

int vb_perform(const vb_args *args, vb_cast *cast, const char *path, int prints, vb_performed *out)
{
    *out = (vb_performed){0};
    performance p = {.args = args, .cast = cast, .sum = out, .prints = prints, .terminal = isatty(STDERR_FILENO)};
    p.begun = vb_cast_now();
    int code = open_all(&p, path);
    if (code == 0) code = perform_all(&p);
    clear(&p);
    out->seconds = (double)(vb_cast_now() - p.begun) / 1e9;
    if (code == 0) vb_digest_get(p.digest, out->digest);
    if (code == 0 && p.frames != NULL) say_frames(&p);
    if (code == 0 && p.other != NULL)
        vb_say("%lld lines in another order, in other batches and slices: the same", (long long)out->lines);
    if (code == VB_EXIT_INTERRUPTED) vb_say("interrupted after %lld lines", (long long)out->lines);
    vb_cast_close(p.other);
    vb_scene_close(p.scene);
    vb_script_close(p.script);
    vb_digest_close(p.digest);
    free(p.frames);
    return code;
}
