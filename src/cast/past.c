/* past.c - memory and the order of time: whose lines must be finished before another can be asked of the model.
 *
 *   entity   tick 3, says and remembers --> tick 4 sees it --> ...
 *
 * A line sees the entries of earlier ticks of its entity. So it waits while one of those is on its way, and a tick before one
 * that was asked for is refused: whatever is finished first, each line sees the same.
 *
 * Invariant: `awaited` of an entity is the earliest tick of its lines that will be remembered and are not finished.
 */
#include "cast/cast.h"

#include <string.h>

static int is_remembered(const vb_cast *c, const vb_saying *line)
{
    return c->memory != NULL && c->roles[line->role].entry != NULL;
}

static int find(const vb_cast *c, uint64_t id)
{
    for (int i = 0; i < c->n_entities; i++)
        if (c->entities[i].id == id) return i;
    return -1;
}

static int add(vb_cast *c, uint64_t id, vb_err *err)
{
    int at = find(c, id);
    if (at >= 0) return at;
    if (c->n_entities == c->n_entities_most)
        VB_FAIL(err, VB_E_FULL, "memory: expected at most %d entities, found one more: %llu", c->n_entities_most,
                (unsigned long long)id);
    c->entities[c->n_entities] = (vb_entity){.id = id, .awaited = UINT64_MAX};
    return c->n_entities++;
}

vb_status vb_past_join(vb_cast *c, vb_saying *line, vb_err *err)
{
    line->entity = -1;
    if (!c->roles[line->role].sees && !is_remembered(c, line)) return VB_OK;
    int at = add(c, line->key.entity, err);
    if (at < 0) return (vb_status)at;
    vb_entity *e = &c->entities[at];
    if (line->key.tick < e->tick)
        VB_FAIL(err, VB_E_ARGUMENT, "request: entity %llu: expected tick %llu or later, because that was asked for before, "
                "found %llu", (unsigned long long)e->id, (unsigned long long)e->tick, (unsigned long long)line->key.tick);
    e->tick = line->key.tick;
    e->lines++;
    if (is_remembered(c, line) && line->key.tick < e->awaited) e->awaited = line->key.tick;
    line->entity = at;
    return VB_OK;
}

vb_status vb_past_return(vb_cast *c, vb_saying *line, vb_err *err)
{
    line->entity = -1;
    if (!c->roles[line->role].sees && !is_remembered(c, line)) return VB_OK;
    line->entity = find(c, line->key.entity);
    if (line->entity < 0)
        VB_FAIL(err, VB_E_FORMAT, "saved cast: entity %llu: expected it among those that remember, found it missing",
                (unsigned long long)line->key.entity);
    c->entities[line->entity].lines++;
    return VB_OK;
}

void vb_past_settle(vb_cast *c, int entity)
{
    vb_entity *e = &c->entities[entity];
    e->awaited = UINT64_MAX;
    for (int i = 0; i <= c->n_lines; i++) {
        const vb_saying *line = &c->lines[i];
        int going = line->state == VB_SAYING_WAITS || line->state == VB_SAYING_SPEAKS;
        if (going && line->entity == entity && is_remembered(c, line) && !line->remembered && line->key.tick < e->awaited)
            e->awaited = line->key.tick;
    }
}

void vb_past_leave(vb_cast *c, vb_saying *line)
{
    if (line->entity < 0) return;
    c->entities[line->entity].lines--;
    if (line->state == VB_SAYING_DONE) return;
    line->state = VB_SAYING_FREE;
    vb_past_settle(c, line->entity);
}

int vb_past_is_known(const vb_cast *c, const vb_saying *line)
{
    return !c->roles[line->role].sees || c->entities[line->entity].awaited >= line->key.tick;
}

/* The entry of a line that is finished. */
vb_status vb_past_remember(vb_cast *c, vb_saying *line, const char *text, size_t len, vb_err *err)
{
    if (!is_remembered(c, line) || line->remembered) return VB_OK;
    int n = vb_saying_fillings(c, line, c->fillings);
    c->fillings[n++] = (vb_filling){"line", text, len};
    int64_t bytes = vb_fill_text(c->roles[line->role].entry, c->fillings, n, c->room, c->room_cap, err);
    if (bytes < 0) return (vb_status)bytes;
    size_t most = (size_t)bytes < c->room_cap ? (size_t)bytes : c->room_cap;
    VB_TRY(vb_memory_add(c->memory, &line->key, c->room, most, err));
    line->remembered = 1;
    return VB_OK;
}

static vb_status need_memory(const vb_cast *c, vb_err *err)
{
    if (c->memory != NULL) return VB_OK;
    VB_FAIL(err, VB_E_ARGUMENT, "memory: expected a cast with a prompt that has ${memory}, found none");
}

VB_API vb_status vb_cast_remember(vb_cast *c, uint64_t entity, uint64_t tick, const char *text, size_t len, vb_err *err)
{
    VB_TRY(need_memory(c, err));
    int at = add(c, entity, err);
    if (at < 0) return (vb_status)at;
    if (tick < c->entities[at].tick)
        VB_FAIL(err, VB_E_ARGUMENT, "memory: entity %llu: expected tick %llu or later, because a line was asked for then, found "
                "%llu", (unsigned long long)entity, (unsigned long long)c->entities[at].tick, (unsigned long long)tick);
    return vb_memory_add(c->memory, &(vb_line_key){.entity = entity, .tick = tick}, text, len, err);
}

/* An entity of which no line is left gives its place back. */
VB_API void vb_cast_forget(vb_cast *c, uint64_t entity)
{
    int at = c->memory == NULL ? -1 : find(c, entity);
    if (at < 0) return;
    vb_memory_forget(c->memory, entity);
    if (c->entities[at].lines > 0) return;
    int last = --c->n_entities;
    c->entities[at] = c->entities[last];
    for (int i = 0; i <= c->n_lines; i++)
        if (c->lines[i].state != VB_SAYING_FREE && c->lines[i].entity == last) c->lines[i].entity = at;
}
