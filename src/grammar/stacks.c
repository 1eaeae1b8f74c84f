/* stacks.c - see stacks.h. A step: over the byte's edges of every frame, then on through splits, calls, repetitions
 * and returns until each stack waits for a byte again. A call that nothing follows leaves no frame, so a rule that
 * ends with itself does not pile up.
 */
#include "grammar/stacks.h"

#include <stdlib.h>
#include <string.h>

static uint64_t mixed(uint64_t h, uint64_t value)
{
    h = (h ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

static void fail(vb_stacks *s, vb_status status)
{
    if (s->failed == VB_OK) s->failed = status;
}

/* --- growing arrays ------------------------------------------------------------------------------------------- */

static int larger(vb_stacks *s, void *array, size_t n, size_t size)
{
    void *room, *old;
    memcpy(&old, array, sizeof old);
    room = realloc(old, n * size);
    if (room == NULL) {
        fail(s, VB_E_MEMORY);
        return 0;
    }
    memcpy(array, &room, sizeof room);
    return 1;
}

static int room_for_frame(vb_stacks *s)
{
    if (s->n_frames < s->cap_frames) return 1;
    if (s->n_frames >= VB_STACKS_FRAMES_MOST) {
        fail(s, VB_E_UNSUPPORTED);
        return 0;
    }
    int cap = s->cap_frames < 64 ? 128 : s->cap_frames * 2;
    if (!larger(s, &s->frames, (size_t)cap, sizeof *s->frames)) return 0;
    if (!larger(s, &s->mark, (size_t)cap, sizeof *s->mark)) return 0;
    memset(s->mark + s->cap_frames, 0, (size_t)(cap - s->cap_frames) * sizeof *s->mark);
    s->cap_frames = cap;
    return 1;
}

static int room_for_state(vb_stacks *s)
{
    if (s->n_states < s->cap_states) return 1;
    if (s->n_states >= VB_STACKS_STATES_MOST) {
        fail(s, VB_E_UNSUPPORTED);
        return 0;
    }
    int cap = s->cap_states < 64 ? 128 : s->cap_states * 2;
    if (!larger(s, &s->states, (size_t)cap, sizeof *s->states)) return 0;
    if (!larger(s, &s->next, (size_t)cap * (size_t)s->g->n_classes, sizeof *s->next)) return 0;
    s->cap_states = cap;
    return 1;
}

static int room_for_members(vb_stacks *s, int n)
{
    if (s->n_members + n <= s->cap_members) return 1;
    if (s->n_members + n > 64 * VB_STACKS_STATES_MOST) {
        fail(s, VB_E_UNSUPPORTED);
        return 0;
    }
    int cap = (s->n_members + n) * 2;
    if (!larger(s, &s->members, (size_t)cap, sizeof *s->members)) return 0;
    s->cap_members = cap;
    return 1;
}

/* --- finding by contents -------------------------------------------------------------------------------------- */

static uint64_t frame_hash(const vb_frame *f)
{
    return mixed(mixed(mixed(1, (uint32_t)f->node), (uint32_t)f->count), (uint32_t)f->parent);
}

static uint64_t set_hash(const int *members, int n, int through)
{
    uint64_t h = mixed(2, (uint32_t)through);
    for (int i = 0; i < n; i++) h = mixed(h, (uint32_t)members[i]);
    return h;
}

/* At most half of the slots are taken; `hash_of` gives the hash of a number that is in already. */
static int finder_room(vb_stacks *s, vb_finder *f, int n, uint64_t (*hash_of)(const vb_stacks *s, int number))
{
    if (n * 2 < f->n_slots) return 1;
    int wanted = f->n_slots < 128 ? 256 : f->n_slots * 2;
    int *slots = calloc((size_t)wanted, sizeof *slots);
    if (slots == NULL) {
        fail(s, VB_E_MEMORY);
        return 0;
    }
    for (int i = 0; i < n; i++) {
        uint64_t at = hash_of(s, i);
        while (slots[at & (uint64_t)(wanted - 1)] != 0) at++;
        slots[at & (uint64_t)(wanted - 1)] = i + 1;
    }
    free(f->slots);
    f->slots = slots;
    f->n_slots = wanted;
    return 1;
}

static uint64_t hash_of_frame(const vb_stacks *s, int number)
{
    return frame_hash(&s->frames[number]);
}

static uint64_t hash_of_set(const vb_stacks *s, int number)
{
    const vb_state_set *set = &s->states[number];
    return set_hash(s->members + set->first, set->n, set->through);
}

/* The frame's number; -1: failed. */
static int frame(vb_stacks *s, int node, int count, int parent)
{
    vb_frame f = {node, count, parent};
    if (!finder_room(s, &s->by_frame, s->n_frames, hash_of_frame)) return -1;
    uint64_t at = frame_hash(&f), mask = (uint64_t)s->by_frame.n_slots - 1;
    for (; s->by_frame.slots[at & mask] != 0; at++) {
        int number = s->by_frame.slots[at & mask] - 1;
        const vb_frame *was = &s->frames[number];
        if (was->node == node && was->count == count && was->parent == parent) return number;
    }
    if (!room_for_frame(s)) return -1;
    s->frames[s->n_frames] = f;
    s->by_frame.slots[at & mask] = s->n_frames + 1;
    return s->n_frames++;
}

static int by_number(const void *a, const void *b)
{
    const int *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* The state of what was found. */
static int state(vb_stacks *s)
{
    if (s->failed != VB_OK) return VB_STATE_FAILED;
    if (s->n_found == 0 && !s->found_through) return VB_STATE_NONE;
    if (s->n_found > 1) qsort(s->found, (size_t)s->n_found, sizeof *s->found, by_number);
    if (!finder_room(s, &s->by_set, s->n_states, hash_of_set)) return VB_STATE_FAILED;
    uint64_t at = set_hash(s->found, s->n_found, s->found_through), mask = (uint64_t)s->by_set.n_slots - 1;
    for (; s->by_set.slots[at & mask] != 0; at++) {
        int number = s->by_set.slots[at & mask] - 1;
        const vb_state_set *was = &s->states[number];
        if (was->n == s->n_found && was->through == s->found_through &&
            memcmp(s->members + was->first, s->found, (size_t)was->n * sizeof *s->found) == 0)
            return number;
    }
    if (!room_for_state(s) || !room_for_members(s, s->n_found)) return VB_STATE_FAILED;
    int number = s->n_states++;
    s->states[number] = (vb_state_set){s->n_members, s->n_found, s->found_through};
    if (s->n_found > 0) memcpy(s->members + s->n_members, s->found, (size_t)s->n_found * sizeof *s->found);
    s->n_members += s->n_found;
    int *next = s->next + (size_t)number * (size_t)s->g->n_classes;
    for (int i = 0; i < s->g->n_classes; i++) next[i] = VB_STATE_UNKNOWN;
    s->by_set.slots[at & mask] = number + 1;
    return number;
}

/* --- a step --------------------------------------------------------------------------------------------------- */

/* A place to go on from, unless it was seen in this step. */
static void reach(vb_stacks *s, int node, int count, int parent)
{
    if (s->g->nodes[node].dead || s->failed != VB_OK) return;
    int number = frame(s, node, count, parent);
    if (number < 0 || s->mark[number] == s->step) return;
    s->mark[number] = s->step;
    if (s->n_pending == s->cap_pending) {
        int cap = s->cap_pending < 64 ? 128 : s->cap_pending * 2;
        if (!larger(s, &s->pending, (size_t)cap, sizeof *s->pending)) return;
        s->cap_pending = cap;
    }
    s->pending[s->n_pending++] = number;
}

static void enter(vb_stacks *s, int first, int back, int count, int parent)
{
    int tail = s->g->nodes[back].kind == VB_NODE_END;
    int to = tail ? parent : frame(s, back, count, parent);
    if (s->failed == VB_OK) reach(s, first, 0, to);
}

static void repeat(vb_stacks *s, const vb_node *n, const vb_frame *f)
{
    int most = n->most == VB_GRAMMAR_UNBOUNDED ? n->least : n->most;
    if (f->count >= n->least) reach(s, n->next, 0, f->parent);
    if (n->most != VB_GRAMMAR_UNBOUNDED && f->count >= n->most) return;
    if (!s->g->nodes[n->to].dead) enter(s, n->to, f->node, f->count < most ? f->count + 1 : most, f->parent);
}

static void wait(vb_stacks *s, int number)
{
    if (s->n_found == VB_STACKS_SET_MOST) fail(s, VB_E_UNSUPPORTED);
    else s->found[s->n_found++] = number;
}

static void go_on(vb_stacks *s, int number)
{
    vb_frame f = s->frames[number]; /* a copy: frames may move */
    const vb_node *n = &s->g->nodes[f.node];
    switch ((vb_node_kind)n->kind) {
    case VB_NODE_BYTES: wait(s, number); break;
    case VB_NODE_SPLIT:
        for (int i = 0; i < n->n; i++) reach(s, s->g->targets[n->next + i], 0, f.parent);
        break;
    case VB_NODE_CALL: enter(s, n->to, n->next, 0, f.parent); break;
    case VB_NODE_REPEAT: repeat(s, n, &f); break;
    case VB_NODE_END:
        if (f.parent < 0) {
            s->found_through = 1;
        } else {
            vb_frame back = s->frames[f.parent];
            reach(s, back.node, back.count, back.parent);
        }
        break;
    }
}

static void begin(vb_stacks *s)
{
    if (++s->step == 0) {
        memset(s->mark, 0, (size_t)s->cap_frames * sizeof *s->mark);
        s->step = 1;
    }
    s->n_pending = s->n_found = s->found_through = 0;
}

static int finish(vb_stacks *s)
{
    while (s->n_pending > 0 && s->failed == VB_OK) {
        if (++s->work > s->work_most) fail(s, VB_E_UNSUPPORTED);
        else go_on(s, s->pending[--s->n_pending]);
    }
    return state(s);
}

int vb_stacks_start(vb_stacks *s)
{
    begin(s);
    reach(s, s->g->start, 0, -1);
    return finish(s);
}

int vb_stacks_step_slowly(vb_stacks *s, int from, uint8_t byte)
{
    const vb_state_set *set = &s->states[from];
    begin(s);
    for (int i = 0; i < set->n; i++) {
        vb_frame f = s->frames[s->members[set->first + i]];
        const vb_node *n = &s->g->nodes[f.node];
        const vb_edge *e = s->g->edges + n->next;
        s->work++;
        for (int k = 0; k < n->n; k++)
            if (byte >= e[k].lo && byte <= e[k].hi) reach(s, e[k].to, 0, f.parent);
    }
    int to = finish(s);
    if (to != VB_STATE_FAILED) s->next[(size_t)from * (size_t)s->g->n_classes + s->g->class_of[byte]] = to;
    return to;
}

/* --- the whole ------------------------------------------------------------------------------------------------ */

vb_status vb_stacks_open(vb_stacks *s, const vb_graph *g, vb_err *err)
{
    memset(s, 0, sizeof *s);
    s->g = g;
    s->work_most = INT64_MAX;
    s->found = malloc(VB_STACKS_SET_MOST * sizeof *s->found);
    if (s->found == NULL) VB_FAIL(err, VB_E_MEMORY, "grammar: out of memory");
    return VB_OK;
}

void vb_stacks_close(vb_stacks *s)
{
    free(s->frames);
    free(s->mark);
    free(s->states);
    free(s->members);
    free(s->next);
    free(s->by_frame.slots);
    free(s->by_set.slots);
    free(s->pending);
    free(s->found);
    memset(s, 0, sizeof *s);
}

vb_status vb_stacks_error(vb_stacks *s, vb_err *err)
{
    vb_status failed = s->failed;
    s->failed = VB_OK;
    if (failed == VB_E_MEMORY) VB_FAIL(err, VB_E_MEMORY, "grammar: out of memory");
    VB_FAIL(err, VB_E_UNSUPPORTED,
            "grammar: too ambiguous: expected at most %d ways to go on and %d states, found more", VB_STACKS_SET_MOST,
            VB_STACKS_STATES_MOST);
}

/* A frame of the old numbering and all it returns to, outermost first. */
static int copy_frame(vb_stacks *s, const vb_frame *old, int number)
{
    int *way = NULL, n = 0, copied = -1;
    for (int i = number; i >= 0; i = old[i].parent) n++;
    way = malloc((size_t)(n > 0 ? n : 1) * sizeof *way);
    if (way == NULL) {
        fail(s, VB_E_MEMORY);
        return -1;
    }
    n = 0;
    for (int i = number; i >= 0; i = old[i].parent) way[n++] = i;
    while (n > 0 && s->failed == VB_OK) {
        const vb_frame *f = &old[way[--n]];
        copied = frame(s, f->node, f->count, copied);
    }
    free(way);
    return copied;
}

static int copy_state(vb_stacks *s, const vb_stacks *old, int number)
{
    const vb_state_set *set = &old->states[number];
    begin(s);
    s->found_through = set->through;
    for (int i = 0; i < set->n && s->failed == VB_OK; i++)
        s->found[s->n_found++] = copy_frame(s, old->frames, old->members[set->first + i]);
    return state(s);
}

vb_status vb_stacks_keep(vb_stacks *s, int **kept, int n, vb_err *err)
{
    vb_stacks fresh;
    VB_TRY(vb_stacks_open(&fresh, s->g, err));
    int *numbers = malloc((size_t)(n > 0 ? n : 1) * sizeof *numbers);
    if (numbers == NULL) fail(&fresh, VB_E_MEMORY);
    for (int i = 0; i < n && fresh.failed == VB_OK; i++) numbers[i] = copy_state(&fresh, s, *kept[i]);
    if (fresh.failed != VB_OK) {
        vb_status status = vb_stacks_error(&fresh, err);
        vb_stacks_close(&fresh);
        free(numbers);
        return status;
    }
    for (int i = 0; i < n; i++) *kept[i] = numbers[i];
    free(numbers);
    vb_stacks_close(s);
    *s = fresh;
    return VB_OK;
}
