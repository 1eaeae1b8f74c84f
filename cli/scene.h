/* scene.h - a part of a script that is spoken together: read, performed in one order or another, compared.
 *
 *   script  a b c d e f g ...       up to VB_SCENE items that are there without waiting, no line twice
 *   order   c a f b ...             any in which each entity's items stay as the script has them
 *   lines   A B C D E F             in the script's order, whatever the other one was
 */
#ifndef VB_CLI_SCENE_H
#define VB_CLI_SCENE_H
#include "script.h"

enum { VB_SCENE = 1024 };

/* Frames that took longer than they should: how many by how many microseconds, the last place for all above. */
enum { VB_FRAMES = 20000 };
typedef struct {
    int64_t n, by_us[VB_FRAMES];
    double worst_us;
} vb_frames;
double vb_frames_at(const vb_frames *frames, double share); /* us that `share` of the frames did not exceed */

/* How a scene is performed. All zero: in the script's order. */
typedef struct {
    int shuffled;    /* in another order, in slices of other lengths */
    uint64_t random; /* which ones */
    double frame_ms; /* 0: none; else each slice has so long, and `frames` notes what it took beyond */
    vb_frames *frames;
    int (*between)(void *ud); /* called between slices; not 0: an exit code, and the end */
    void *ud;
} vb_manner;

typedef struct vb_scene vb_scene;
int vb_scene_open(vb_scene **out, uint64_t world); /* 0, or an exit code, as all of these */
void vb_scene_close(vb_scene *scene);
int vb_scene_read(vb_scene *scene, vb_script *script); /* the next items instead of those it has */
int vb_scene_count(const vb_scene *scene);             /* 0: the script has ended */
const vb_script_item *vb_scene_item(const vb_scene *scene, int i);
int vb_scene_has(const vb_scene *scene, int i); /* 1: item i is done */
/* What item i says, in the last performance; NULL: it is something to remember. */
const vb_line *vb_scene_line(const vb_scene *scene, int i);
int vb_scene_perform(vb_scene *scene, vb_cast *cast, const vb_manner *manner);
/* How many items of the performance that is going on are done; *tokens gets those of their lines. */
int vb_scene_done(const vb_scene *scene, int64_t *tokens);
/* The performance before becomes what the next one must equal: VB_EXIT_DIFFERS names the first line that does not. */
void vb_scene_keep(vb_scene *scene);
int vb_scene_compare(const vb_scene *scene);

#endif
