/* scene.c - see scene.h. An item is given to the cast as soon as nothing stands against it: a line if there is room for it,
 * a memory when all earlier lines of its entity have been spoken. */
#include "scene.h"

#include "out.h"

#include <stdlib.h>
#include <string.h>

enum { PLACES = 4 * VB_SCENE, SLICE_MS = 50 };

typedef enum { TO_COME, ASKED, DONE } part_state;

typedef struct {
    vb_script_item item;
    part_state state;
    int entity; /* its place in `entities` */
    vb_line line, before; /* their texts are ours */
} part;

/* Who has items in the scene. */
typedef struct {
    uint64_t id;
    int used, speaking, held; /* held: an item of this entity has to wait, and so have all behind it */
} somebody;

struct vb_scene {
    const char *path; /* of the script */
    uint64_t world;
    int n, order[VB_SCENE];
    part parts[VB_SCENE];
    somebody entities[PLACES];
    int places[PLACES]; /* 1 + the part that has this key; 0: none */
    vb_script_item next; /* what did not fit into the scene before */
    int has_next;
};

double vb_frames_at(const vb_frames *f, double share)
{
    int64_t sum = 0;
    for (int us = 0; us < VB_FRAMES - 1; us++) {
        sum += f->by_us[us];
        if ((double)sum >= share * (double)f->n) return us;
    }
    return f->worst_us;
}

static void note_frame(vb_frames *f, int64_t over_ns)
{
    double us = over_ns > 0 ? (double)over_ns / 1000.0 : 0.0;
    int place = us < VB_FRAMES - 1 ? (int)us : VB_FRAMES - 1;
    f->n++;
    f->by_us[place]++;
    if (us > f->worst_us) f->worst_us = us;
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t mixed(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t state = a;
    state = next_random(&state) ^ b;
    state = next_random(&state) ^ c;
    return next_random(&state);
}

/* --- reading --------------------------------------------------------------------------------------------- */

int vb_scene_open(vb_scene **out, uint64_t world)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) return vb_no_memory();
    (*out)->world = world;
    return 0;
}

static void free_line(vb_line *line)
{
    free((void *)(uintptr_t)line->text);
    *line = (vb_line){0};
}

static void forget(vb_scene *s)
{
    for (int i = 0; i < s->n; i++) {
        vb_script_item_free(&s->parts[i].item);
        free_line(&s->parts[i].line);
        free_line(&s->parts[i].before);
    }
    s->n = 0;
    memset(s->entities, 0, sizeof s->entities);
    memset(s->places, 0, sizeof s->places);
}

void vb_scene_close(vb_scene *s)
{
    if (s == NULL) return;
    forget(s);
    if (s->has_next) vb_script_item_free(&s->next);
    free(s);
}

static int same_key(const vb_line_key *a, const vb_line_key *b)
{
    return a->entity == b->entity && a->tick == b->tick && a->draw == b->draw;
}

/* The place of a key: that of its part, or a free one. */
static int *place_of(vb_scene *s, const vb_line_key *key)
{
    uint64_t at = mixed(key->entity, key->tick, key->draw);
    for (;; at++) {
        int *place = &s->places[at % PLACES];
        if (*place == 0 || same_key(&s->parts[*place - 1].item.ask.key, key)) return place;
    }
}

static int entity_of(vb_scene *s, uint64_t id)
{
    uint64_t at = mixed(id, 0, 0) % PLACES;
    while (s->entities[at].used && s->entities[at].id != id) at = (at + 1) % PLACES;
    s->entities[at].used = 1;
    s->entities[at].id = id;
    return (int)at;
}

/* 0: a line of its key is there already, so it belongs to the next scene. */
static int take(vb_scene *s, vb_script_item *item)
{
    item->ask.key.world = s->world;
    if (item->remember == NULL) {
        int *place = place_of(s, &item->ask.key);
        if (*place != 0) return 0;
        *place = s->n + 1;
    }
    s->parts[s->n] = (part){.item = *item, .entity = entity_of(s, item->ask.key.entity)};
    s->n++;
    *item = (vb_script_item){0};
    return 1;
}

int vb_scene_read(vb_scene *s, vb_script *script)
{
    int there = 1;
    forget(s);
    s->path = vb_script_path(script);
    if (s->has_next) take(s, &s->next);
    s->has_next = 0;
    while (s->n < VB_SCENE && (s->n == 0 || vb_script_ready(script))) {
        int code = vb_script_next(script, &s->next, &there);
        if (code != 0) return code;
        if (!there) break;
        s->has_next = !take(s, &s->next);
        if (s->has_next) break;
    }
    return 0;
}

int vb_scene_count(const vb_scene *s)
{
    return s->n;
}

const vb_script_item *vb_scene_item(const vb_scene *s, int i)
{
    return &s->parts[i].item;
}

int vb_scene_has(const vb_scene *s, int i)
{
    return s->parts[i].state == DONE;
}

const vb_line *vb_scene_line(const vb_scene *s, int i)
{
    return s->parts[i].item.remember == NULL ? &s->parts[i].line : NULL;
}

/* --- the order ------------------------------------------------------------------------------------------- */

static int by_first(const void *a, const void *b)
{
    const int *x = a, *y = b;
    return x[0] != y[0] ? (x[0] > y[0]) - (x[0] < y[0]) : (x[1] > y[1]) - (x[1] < y[1]);
}

/* Chance deals the places; each entity then takes its own ones from the first to the last. */
static void shuffle(vb_scene *s, uint64_t *random)
{
    int by_item[VB_SCENE][2], by_place[VB_SCENE][2];
    for (int i = s->n - 1; i > 0; i--) {
        int j = (int)(next_random(random) % (uint64_t)(i + 1)), other = s->order[j];
        s->order[j] = s->order[i];
        s->order[i] = other;
    }
    for (int i = 0; i < s->n; i++) {
        by_item[i][0] = s->parts[i].entity;
        by_item[i][1] = i;
        by_place[i][0] = s->parts[s->order[i]].entity;
        by_place[i][1] = i;
    }
    qsort(by_item, (size_t)s->n, sizeof by_item[0], by_first);
    qsort(by_place, (size_t)s->n, sizeof by_place[0], by_first);
    for (int i = 0; i < s->n; i++) s->order[by_place[i][1]] = by_item[i][1];
}

/* --- performing ------------------------------------------------------------------------------------------ */

static int refused(const vb_scene *s, const part *p, vb_status status, const char *why)
{
    vb_say("%s:%ld: %s", s->path, p->item.line, why[0] != '\0' ? why : vb_status_name(status));
    return status == VB_E_ARGUMENT ? VB_EXIT_INPUT : vb_exit_code(status); /* the script's mistake */
}

/* *full 1: nothing more has room. */
static int give(vb_scene *s, vb_cast *cast, part *p, int *full)
{
    vb_err err = {0};
    vb_status status;
    somebody *who = &s->entities[p->entity];
    const vb_line_request *ask = &p->item.ask;
    who->held |= p->item.remember != NULL && who->speaking > 0;
    if (who->held) return 0;
    if (p->item.remember != NULL) {
        status = vb_cast_remember(cast, ask->key.entity, ask->key.tick, p->item.remember, strlen(p->item.remember), &err);
        p->state = DONE;
    } else {
        status = vb_cast_request(cast, ask, &err);
        int speaking = 0;
        for (int i = 0; i < PLACES && status == VB_E_FULL && !speaking; i++) speaking = s->entities[i].speaking;
        *full = status == VB_E_FULL && speaking;
        if (*full) return 0;
        p->state = ASKED;
        who->speaking++;
    }
    return status < 0 ? refused(s, p, status, err.text) : 0;
}

static int give_all(vb_scene *s, vb_cast *cast)
{
    int code = 0, full = 0;
    for (int i = 0; i < PLACES; i++) s->entities[i].held = 0;
    for (int i = 0; i < s->n && code == 0 && !full; i++) {
        part *p = &s->parts[s->order[i]];
        if (p->state == TO_COME) code = give(s, cast, p, &full);
    }
    return code;
}

static int collect(vb_scene *s, vb_cast *cast)
{
    vb_line line;
    while (vb_cast_collect(cast, &line)) {
        int place = *place_of(s, &line.key);
        if (place == 0) continue;
        part *p = &s->parts[place - 1];
        if (line.failed < 0) return refused(s, p, line.failed, line.text);
        char *text = malloc(line.len + 1);
        if (text == NULL) return vb_no_memory();
        memcpy(text, line.text, line.len);
        text[line.len] = '\0';
        p->line = line;
        p->line.text = text;
        p->state = DONE;
        s->entities[p->entity].speaking--;
    }
    return 0;
}

/* One slice; *left gets the number of lines that are not finished. */
static int step(vb_cast *cast, const vb_manner *manner, uint64_t *random, int *left)
{
    vb_err err = {0};
    int64_t ns = manner->frame_ms > 0 ? (int64_t)(manner->frame_ms * 1e6) : SLICE_MS * INT64_C(1000000);
    int most = 0;
    if (manner->shuffled && next_random(random) % 2) most = (int)(next_random(random) % 200) + 1;
    else if (manner->shuffled) ns = (int64_t)(next_random(random) % 3000000);
    int64_t deadline = vb_cast_now() + ns;
    *left = vb_cast_step(cast, most, deadline, &err);
    if (*left < 0) return vb_report((vb_status)*left, &err);
    if (manner->frames != NULL) note_frame(manner->frames, vb_cast_now() - deadline);
    return 0;
}

static int all_done(const vb_scene *s)
{
    for (int i = 0; i < s->n; i++)
        if (s->parts[i].state != DONE) return 0;
    return 1;
}

int vb_scene_perform(vb_scene *s, vb_cast *cast, const vb_manner *manner)
{
    uint64_t random = manner->random;
    int code = 0, left = 0;
    for (int i = 0; i < s->n; i++) {
        s->order[i] = i;
        s->parts[i].state = TO_COME;
        free_line(&s->parts[i].line);
    }
    for (int i = 0; i < PLACES; i++) s->entities[i].speaking = 0;
    if (manner->shuffled) shuffle(s, &random);
    for (;;) {
        code = give_all(s, cast);
        if (code == 0) code = collect(s, cast);
        if (code != 0 || all_done(s)) return code;
        code = step(cast, manner, &random, &left);
        if (code == 0) code = collect(s, cast);
        if (code == 0 && manner->between != NULL) code = manner->between(manner->ud);
        if (code != 0) return code;
    }
}

int vb_scene_done(const vb_scene *s, int64_t *tokens)
{
    int n = 0;
    *tokens = 0;
    for (int i = 0; i < s->n; i++) {
        if (s->parts[i].state != DONE) continue;
        n++;
        *tokens += s->parts[i].line.tokens;
    }
    return n;
}

void vb_scene_keep(vb_scene *s)
{
    for (int i = 0; i < s->n; i++) {
        free_line(&s->parts[i].before);
        s->parts[i].before = s->parts[i].line;
        s->parts[i].line = (vb_line){0};
    }
}

int vb_scene_compare(const vb_scene *s)
{
    for (int i = 0; i < s->n; i++) {
        const vb_line *a = &s->parts[i].before, *b = &s->parts[i].line;
        if (s->parts[i].item.remember != NULL) continue;
        if (a->len == b->len && memcmp(a->text, b->text, a->len) == 0 && a->end == b->end && a->attempts == b->attempts &&
            a->tokens == b->tokens)
            continue;
        vb_say("%s:%ld: differs in another order: expected '%s', found '%s'", s->path, s->parts[i].item.line, a->text, b->text);
        return VB_EXIT_DIFFERS;
    }
    return 0;
}
