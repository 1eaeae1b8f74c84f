/* memory.c - what entities remember, in room that was taken before (see memory.h).
 *
 *   sorted   numbers of slots, ascending by entity           [entities]
 *   slots    entity, how many entries, their order           [entities]
 *   order    numbers of entries, ascending by their keys     [entities][2 x entries]
 *   entries  tick, draw, tokens, text                        [entities][2 x entries], 256 bytes each
 *
 * A line at tick t may see the newest `entries` entries of ticks before t. Twice as many are kept, because lines and events
 * of later ticks may already be there; if there are so many of them that what the line should see is lost, it is told so.
 * What is kept are the largest keys of all that were added, in whatever order they came.
 */
#include "cast/memory.h"

#include "base/os.h"
#include "cast/letters.h"
#include "cast/stop.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_ENTITIES = 1 << 24, MOST_ENTRIES = 32767, MAGIC = 0x314D4256 /* "VBM1" */ };
#define NEVER UINT64_MAX

typedef struct {
    uint64_t tick, draw;
    uint32_t tokens, len;
    char text[VB_MEMORY_TEXT];
} entry;

typedef struct {
    uint64_t entity, lost; /* lost: the least tick of those that had to go; NEVER: none */
    int32_t n, next_free;
} slot;

struct vb_memory {
    const vb_model *model;
    int entities, entries, each; /* each: 2 x entries */
    int n, free;                 /* entities that are there; the first free slot, -1: none */
    uint32_t *sorted;
    slot *slots;
    uint16_t *order;
    entry *all;
    void *pages;
};

/* --- room ---------------------------------------------------------------------------------------------- */

static uint64_t room_of(uint64_t entities, uint64_t entries)
{
    return entities * (sizeof(uint32_t) + sizeof(slot)) + entities * 2 * entries * (sizeof(uint16_t) + sizeof(entry)) + 16;
}

uint64_t vb_memory_room(int entities, int entries)
{
    return sizeof(vb_memory) + room_of((uint64_t)entities, (uint64_t)entries);
}

size_t vb_memory_longest(int entries)
{
    return (size_t)entries * (VB_MEMORY_TEXT + 1);
}

static void clear(vb_memory *m)
{
    m->n = 0;
    m->free = -1;
    for (int i = m->entities - 1; i >= 0; i--) {
        m->slots[i].next_free = m->free;
        m->free = i;
    }
}

vb_status vb_memory_open(vb_memory **out, const vb_model *model, int entities, int entries, vb_err *err)
{
    *out = NULL;
    if (entities < 1 || entities > MOST_ENTITIES || entries < 1 || entries > MOST_ENTRIES)
        VB_FAIL(err, VB_E_ARGUMENT, "memory: expected 1 to %d entities with 1 to %d entries, found %d with %d", MOST_ENTITIES,
                MOST_ENTRIES, entities, entries);
    vb_memory *m = calloc(1, sizeof *m);
    void *pages = vb_pages_reserve(room_of((uint64_t)entities, (uint64_t)entries));
    if (m == NULL || pages == NULL) {
        free(m);
        vb_pages_release(pages, room_of((uint64_t)entities, (uint64_t)entries));
        VB_FAIL(err, VB_E_MEMORY, "memory: out of memory for %d entities with %d entries", entities, entries);
    }
    size_t count = (size_t)entities, all = count * 2 * (size_t)entries;
    *m = (vb_memory){.model = model, .entities = entities, .entries = entries, .each = 2 * entries, .pages = pages};
    m->all = pages;
    m->slots = (slot *)(void *)(m->all + all);
    m->sorted = (uint32_t *)(void *)(m->slots + count);
    m->order = (uint16_t *)(void *)(m->sorted + count);
    clear(m);
    *out = m;
    return VB_OK;
}

void vb_memory_close(vb_memory *memory)
{
    if (memory == NULL) return;
    vb_pages_release(memory->pages, room_of((uint64_t)memory->entities, (uint64_t)memory->entries));
    free(memory);
}

/* --- entities ------------------------------------------------------------------------------------------ */

/* Its place in `sorted`, or where it belongs; *there 1: it is there. */
static int find(const vb_memory *m, uint64_t entity, int *there)
{
    int low = 0, high = m->n;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (m->slots[m->sorted[middle]].entity < entity) low = middle + 1;
        else high = middle;
    }
    *there = low < m->n && m->slots[m->sorted[low]].entity == entity;
    return low;
}

static slot *make(vb_memory *m, uint64_t entity)
{
    int there, at = find(m, entity, &there);
    if (there) return &m->slots[m->sorted[at]];
    if (m->free < 0) return NULL;
    uint32_t number = (uint32_t)m->free;
    slot *s = &m->slots[number];
    m->free = s->next_free;
    memmove(m->sorted + at + 1, m->sorted + at, (size_t)(m->n - at) * sizeof *m->sorted);
    m->sorted[at] = number;
    m->n++;
    *s = (slot){.entity = entity, .lost = NEVER};
    return s;
}

void vb_memory_forget(vb_memory *memory, uint64_t entity)
{
    int there, at = find(memory, entity, &there);
    if (!there) return;
    uint32_t number = memory->sorted[at];
    memory->n--;
    memmove(memory->sorted + at, memory->sorted + at + 1, (size_t)(memory->n - at) * sizeof *memory->sorted);
    memory->slots[number].next_free = memory->free;
    memory->free = (int)number;
}

static uint16_t *order_of(const vb_memory *m, const slot *s)
{
    return m->order + (size_t)(s - m->slots) * (size_t)m->each;
}

static entry *entry_of(const vb_memory *m, const slot *s, int i)
{
    return m->all + (size_t)(s - m->slots) * (size_t)m->each + order_of(m, s)[i];
}

/* --- entries ------------------------------------------------------------------------------------------- */

static int compare(const entry *a, const entry *b)
{
    if (a->tick != b->tick) return a->tick < b->tick ? -1 : 1;
    if (a->draw != b->draw) return a->draw < b->draw ? -1 : 1;
    size_t common = a->len < b->len ? a->len : b->len;
    int order = memcmp(a->text, b->text, common);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

/* The least one goes if there is no room, be it the new one. */
static void insert(const vb_memory *m, slot *s, const entry *e)
{
    uint16_t *order = order_of(m, s), number = (uint16_t)s->n;
    int at = s->n, full = s->n == m->each;
    while (at > 0 && compare(entry_of(m, s, at - 1), e) > 0) at--;
    if (full) {
        uint64_t lost = at == 0 ? e->tick : entry_of(m, s, 0)->tick;
        if (lost < s->lost) s->lost = lost;
        if (at == 0) return;
        number = order[0];
        at--;
        memmove(order, order + 1, (size_t)at * sizeof *order);
    } else {
        memmove(order + at + 1, order + at, (size_t)(s->n - at) * sizeof *order);
        s->n++;
    }
    order[at] = number;
    *entry_of(m, s, at) = *e;
}

/* One line of whole characters. */
static void take_text(entry *e, const char *text, size_t len)
{
    size_t from = 0;
    vb_line_trim(text, &from, &len, 0);
    if (len > VB_MEMORY_TEXT) {
        vb_reading r = vb_reading_of(text + from, VB_MEMORY_TEXT, 0);
        len = r.len;
        vb_line_trim(text, &from, &len, 0);
    }
    for (size_t i = 0; i < len; i++) {
        char c = text[from + i];
        e->text[i] = c == '\n' || c == '\r' || c == 0 ? ' ' : c;
    }
    e->len = (uint32_t)len;
}

vb_status vb_memory_add(vb_memory *memory, const vb_line_key *who, const char *text, size_t len, vb_err *err)
{
    entry e = {.tick = who->tick, .draw = who->draw};
    char line[VB_MEMORY_TEXT + 1];
    take_text(&e, text, len);
    if (e.len == 0) return VB_OK;
    memcpy(line, e.text, e.len);
    line[e.len] = '\n';
    int64_t n = vb_tokenize(memory->model, line, e.len + 1, 0, NULL, 0, err);
    if (n < 0) return (vb_status)n;
    e.tokens = (uint32_t)n;
    slot *s = make(memory, who->entity);
    if (s == NULL) VB_FAIL(err, VB_E_FULL, "memory: expected at most %d entities, found one more", memory->entities);
    insert(memory, s, &e);
    return VB_OK;
}

/* --- rendering ----------------------------------------------------------------------------------------- */

/* Entries [from, to) are those that a line at `tick` sees. */
static vb_status window(const vb_memory *m, const slot *s, uint64_t tick, int tokens, int *from, int *to, vb_err *err)
{
    int64_t left = tokens;
    *to = s->n;
    while (*to > 0 && entry_of(m, s, *to - 1)->tick >= tick) --*to;
    for (*from = *to; *from > 0 && *to - *from < m->entries; --*from) {
        left -= entry_of(m, s, *from - 1)->tokens;
        if (left < 0) return VB_OK;
    }
    if (*to - *from == m->entries || s->lost >= tick) return VB_OK;
    VB_FAIL(err, VB_E_FULL, "memory: entity %llu, tick %llu: expected at most %d entries of later ticks, found %d",
            (unsigned long long)s->entity, (unsigned long long)tick, m->entries, s->n - *to);
}

int64_t vb_memory_render(const vb_memory *memory, uint64_t entity, uint64_t tick, int tokens, char *buf, size_t cap, vb_err *err)
{
    int there, place = find(memory, entity, &there), from, to;
    size_t used = 0;
    if (!there) return 0;
    const slot *s = &memory->slots[memory->sorted[place]];
    VB_TRY(window(memory, s, tick, tokens, &from, &to, err));
    for (int i = from; i < to; i++) {
        const entry *e = entry_of(memory, s, i);
        if (i > from && used++ < cap) buf[used - 1] = '\n';
        size_t room = used < cap ? cap - used : 0;
        if (room > 0) memcpy(buf + used, e->text, e->len < room ? e->len : room);
        used += e->len;
    }
    return (int64_t)used;
}

/* --- as bytes ------------------------------------------------------------------------------------------ */

/* All numbers are little endian:
 *   u32 "VBM1", u32 number of entities; of each, ascending:
 *   u64 entity, u64 lost, u64 number of entries; of each, ascending:
 *   u64 tick, u64 draw, u64 tokens, u64 length, text
 */
typedef struct {
    uint8_t *out;      /* writing; NULL: nothing but counting */
    const uint8_t *in; /* reading */
    size_t at, cap;
    int bad;
} bytes;

static void put(bytes *b, const void *data, size_t len)
{
    if (b->at <= b->cap && len <= b->cap - b->at) memcpy(b->out + b->at, data, len);
    b->at += len;
}

static void put_u64(bytes *b, uint64_t value)
{
    uint8_t raw[8];
    for (int i = 0; i < 8; i++) raw[i] = (uint8_t)(value >> (8 * i));
    put(b, raw, 8);
}

static const uint8_t *get(bytes *b, size_t len)
{
    static const uint8_t zero[VB_MEMORY_TEXT];
    if (b->bad || len > b->cap - b->at) {
        b->bad = 1;
        return zero;
    }
    b->at += len;
    return b->in + b->at - len;
}

static uint64_t get_u64(bytes *b)
{
    const uint8_t *raw = get(b, 8);
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | raw[i];
    return value;
}

int64_t vb_memory_save(const vb_memory *memory, void *buf, size_t cap)
{
    bytes b = {.out = buf, .cap = buf == NULL ? 0 : cap};
    put_u64(&b, MAGIC | (uint64_t)memory->n << 32);
    for (int i = 0; i < memory->n; i++) {
        const slot *s = &memory->slots[memory->sorted[i]];
        put_u64(&b, s->entity);
        put_u64(&b, s->lost);
        put_u64(&b, (uint64_t)s->n);
        for (int j = 0; j < s->n; j++) {
            const entry *e = entry_of(memory, s, j);
            put_u64(&b, e->tick);
            put_u64(&b, e->draw);
            put_u64(&b, e->tokens);
            put_u64(&b, e->len);
            put(&b, e->text, e->len);
        }
    }
    return (int64_t)b.at;
}

/* 0: it is not as vb_memory_save writes one. */
static int get_entry(bytes *b, entry *e)
{
    *e = (entry){.tick = get_u64(b), .draw = 0};
    e->draw = get_u64(b);
    uint64_t tokens = get_u64(b), len = get_u64(b);
    if (b->bad || len == 0 || len > VB_MEMORY_TEXT || tokens == 0 || tokens > 8 * (len + 1)) return 0;
    e->tokens = (uint32_t)tokens;
    e->len = (uint32_t)len;
    memcpy(e->text, get(b, len), len);
    return !b->bad && memchr(e->text, '\n', len) == NULL && memchr(e->text, 0, len) == NULL;
}

/* Reads all entries of an entity; into `into`, if there is one. */
static int get_entries(bytes *b, const vb_memory *m, slot *into, uint64_t n)
{
    entry before, e;
    if (b->bad || n == 0 || n > (uint64_t)m->each) return 0;
    for (uint64_t i = 0; i < n; i++) {
        if (!get_entry(b, &e) || (i > 0 && compare(&before, &e) > 0)) return 0;
        if (into != NULL) insert(m, into, &e);
        before = e;
    }
    return 1;
}

static int get_all(bytes *b, vb_memory *m, int keep)
{
    uint64_t head = get_u64(b), count = head >> 32, before = 0;
    if (b->bad || (head & 0xFFFFFFFFu) != MAGIC || count > (uint64_t)m->entities) return 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t entity = get_u64(b), lost = get_u64(b), n = get_u64(b);
        if (b->bad || (i > 0 && entity <= before)) return 0;
        slot *into = keep ? make(m, entity) : NULL;
        if (!get_entries(b, m, into, n)) return 0;
        if (into != NULL) into->lost = lost;
        before = entity;
    }
    return b->at == b->cap;
}

vb_status vb_memory_restore(vb_memory *memory, const void *buf, size_t len, vb_err *err)
{
    bytes check = {.in = buf, .cap = len}, take = {.in = buf, .cap = len};
    if (!get_all(&check, memory, 0))
        VB_FAIL(err, VB_E_FORMAT, "memory: byte %zu: expected what a memory of %d entities with %d entries saved, found something else",
                check.at, memory->entities, memory->entries);
    clear(memory);
    get_all(&take, memory, 1);
    return VB_OK;
}
