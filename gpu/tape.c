/* tape.c - commands recorded once and played often.
 *
 *   tape       command buffers, each about as much work as the watchdog of a slow device likes
 *   play       --> pending --> submission 7, 8, ... --> done: a timeline semaphore counts them
 *
 * A play is submitted at once if the device has nothing to do, or together with others as soon as that is worth it. A
 * few submissions are in flight at most, and each has a limited time to end.
 */
#include "gpu/inside.h"

#include <stdlib.h>
#include <string.h>

/* SETS: dispatches of one descriptor pool. PIECE, TOGETHER: bytes read of one command buffer, of one submission. */
enum { SETS = 64, PIECE = 64 << 20, TOGETHER = 128 << 20 };

typedef struct {
    VkCommandBuffer commands;
    uint64_t bytes; /* that its dispatches may touch */
} piece;

struct vb_gpu_tape {
    vb_gpu *g;
    piece *pieces;
    VkDescriptorPool *pools;
    int n_pieces, cap_pieces, n_pools, cap_pools;
    int sets_left, open; /* open: the last piece is being recorded */
    uint64_t bytes, last; /* last: the submission of its last piece */
    int is_ended;
};

/* Room for one more of n elements of so many bytes. */
static vb_status grow(void **list, int *cap, int n, size_t bytes, vb_err *err)
{
    if (n < *cap) return VB_OK;
    int more = *cap * 2 + 4;
    void *p = realloc(*list, (size_t)more * bytes);
    if (p == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory");
    *list = p;
    *cap = more;
    return VB_OK;
}

vb_status vb_gpu_tape_open(vb_gpu_tape **out, vb_gpu *g, vb_err *err)
{
    *out = NULL;
    VB_TRY(vb_gpu_alive(g, err));
    vb_gpu_tape *t = calloc(1, sizeof *t);
    if (t == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory");
    t->g = g;
    *out = t;
    return VB_OK;
}

void vb_gpu_tape_close(vb_gpu_tape *t)
{
    if (t == NULL) return;
    vb_gpu *g = t->g;
    if (!g->lost && t->last > g->submitted) vb_gpu_flush(g, NULL);
    if (vb_gpu_settled(g)) {
        for (int i = 0; i < t->n_pieces; i++)
            g->vk.FreeCommandBuffers(g->device, g->commands, 1, &t->pieces[i].commands);
        for (int i = 0; i < t->n_pools; i++) g->vk.DestroyDescriptorPool(g->device, t->pools[i], NULL);
    }
    free(t->pieces);
    free(t->pools);
    free(t);
}

static vb_status begin_piece(vb_gpu_tape *t, vb_err *err)
{
    vb_gpu *g = t->g;
    VB_TRY(grow((void **)&t->pieces, &t->cap_pieces, t->n_pieces, sizeof *t->pieces, err));
    piece *p = &t->pieces[t->n_pieces];
    *p = (piece){0};
    VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                        .commandPool = g->commands,
                                        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                        .commandBufferCount = 1};
    VB_TRY(VB_VK(g, err, AllocateCommandBuffers, g->device, &info, &p->commands));
    t->n_pieces++;
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    VB_TRY(VB_VK(g, err, BeginCommandBuffer, p->commands, &begin));
    t->open = 1;
    return VB_OK;
}

static vb_status end_piece(vb_gpu_tape *t, vb_err *err)
{
    if (!t->open) return VB_OK;
    t->open = 0;
    return VB_VK(t->g, err, EndCommandBuffer, t->pieces[t->n_pieces - 1].commands);
}

/* Where the next command goes, behind a barrier: it sees what all before it wrote, and overwrites nothing they read. */
static vb_status next_command(VkCommandBuffer *out, vb_gpu_tape *t, uint64_t bytes, vb_err *err)
{
    const VkPipelineStageFlags stages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    const VkAccessFlags writes = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = writes,
                               .dstAccessMask = writes | VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT};
    VB_TRY(vb_gpu_alive(t->g, err));
    if (t->is_ended) VB_FAIL(err, VB_E_ARGUMENT, "gpu: a tape that was ended takes no more commands");
    if (t->open && t->pieces[t->n_pieces - 1].bytes + bytes > PIECE) VB_TRY(end_piece(t, err));
    if (!t->open) VB_TRY(begin_piece(t, err));
    piece *p = &t->pieces[t->n_pieces - 1];
    p->bytes += bytes;
    t->bytes += bytes;
    *out = p->commands;
    t->g->vk.CmdPipelineBarrier(p->commands, stages, stages, 0, 1, &barrier, 0, NULL, 0, NULL);
    return VB_OK;
}

static vb_status new_set(VkDescriptorSet *out, vb_gpu_tape *t, vb_err *err)
{
    vb_gpu *g = t->g;
    if (t->sets_left == 0) {
        VB_TRY(grow((void **)&t->pools, &t->cap_pools, t->n_pools, sizeof *t->pools, err));
        VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, SETS * VB_GPU_BINDINGS};
        VkDescriptorPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                           .maxSets = SETS,
                                           .poolSizeCount = 1,
                                           .pPoolSizes = &size};
        VB_TRY(VB_VK(g, err, CreateDescriptorPool, g->device, &info, NULL, &t->pools[t->n_pools]));
        t->n_pools++;
        t->sets_left = SETS;
    }
    t->sets_left--;
    VkDescriptorSetAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                        .descriptorPool = t->pools[t->n_pools - 1],
                                        .descriptorSetCount = 1,
                                        .pSetLayouts = &g->sets};
    return VB_VK(g, err, AllocateDescriptorSets, g->device, &info, out);
}

/* What a binding is, and at which of its words the range begins. */
static vb_status bind_range(VkDescriptorBufferInfo *out, uint32_t *at, const vb_gpu *g, const vb_gpu_range *r,
                            vb_err *err)
{
    const vb_gpu_facts *f = &g->about.facts;
    *at = 0;
    if (r->buffer == NULL) {
        *out = (VkDescriptorBufferInfo){vb_gpu_handle(&g->empty), 0, g->empty.bytes};
        return VB_OK;
    }
    uint64_t skip = r->at % f->range_alignment;
    if (((r->at | r->bytes) & 3) != 0 || r->bytes == 0 || r->at > r->buffer->bytes ||
        r->bytes > r->buffer->bytes - r->at) {
        VB_FAIL(err, VB_E_ARGUMENT, "gpu: a range of %llu bytes at %llu of %llu", (unsigned long long)r->bytes,
                (unsigned long long)r->at, (unsigned long long)r->buffer->bytes);
    }
    if (skip + r->bytes > f->most_range) {
        VB_FAIL(err, VB_E_ARGUMENT, "gpu: a range of %llu bytes, expected at most %llu", (unsigned long long)r->bytes,
                (unsigned long long)f->most_range);
    }
    *at = (uint32_t)(skip / 4);
    *out = (VkDescriptorBufferInfo){vb_gpu_handle(r->buffer), r->at - skip, skip + r->bytes};
    return VB_OK;
}

static vb_status bind_set(VkDescriptorSet set, uint32_t *at, vb_gpu *g, const vb_gpu_dispatch *d, vb_err *err)
{
    VkDescriptorBufferInfo buffers[VB_GPU_BINDINGS];
    VkWriteDescriptorSet writes[VB_GPU_BINDINGS];
    for (uint32_t i = 0; i < VB_GPU_BINDINGS; i++) {
        VB_TRY(bind_range(&buffers[i], &at[i], g, &d->range[i], err));
        writes[i] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                           .dstSet = set,
                                           .dstBinding = i,
                                           .descriptorCount = 1,
                                           .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                           .pBufferInfo = &buffers[i]};
    }
    g->vk.UpdateDescriptorSets(g->device, VB_GPU_BINDINGS, writes, 0, NULL);
    return VB_OK;
}

vb_status vb_gpu_tape_dispatch(vb_gpu_tape *t, const vb_gpu_dispatch *d, vb_err *err)
{
    vb_gpu *g = t->g;
    const uint32_t *most = g->about.most_groups;
    uint32_t numbers[VB_GPU_BINDINGS + VB_GPU_NUMBERS];
    uint32_t x = d->x + (d->x == 0), y = d->y + (d->y == 0), z = d->z + (d->z == 0);
    VkPipeline pipeline;
    VkDescriptorSet set;
    VkCommandBuffer commands;
    uint64_t bytes = 0;
    VB_TRY(vb_gpu_alive(g, err));
    if (x > most[0] || y > most[1] || z > most[2]) {
        VB_FAIL(err, VB_E_ARGUMENT, "gpu: %s: %u x %u x %u work groups, expected at most %u x %u x %u",
                vb_gpu_shader_name(d->shader), x, y, z, most[0], most[1], most[2]);
    }
    VB_TRY(vb_gpu_pipeline_of(&pipeline, g, d, err));
    VB_TRY(new_set(&set, t, err));
    VB_TRY(bind_set(set, numbers, g, d, err));
    memcpy(numbers + VB_GPU_BINDINGS, d->c, sizeof d->c);
    for (int i = 0; i < VB_GPU_BINDINGS; i++) bytes += d->range[i].buffer != NULL ? d->range[i].bytes : 0;
    VB_TRY(next_command(&commands, t, bytes, err));
    g->vk.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    g->vk.CmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, g->layout, 0, 1, &set, 0, NULL);
    g->vk.CmdPushConstants(commands, g->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof numbers, numbers);
    g->vk.CmdDispatch(commands, x, y, z);
    return VB_OK;
}

vb_status vb_gpu_tape_copy(vb_gpu_tape *t, vb_gpu_range to, vb_gpu_range from, vb_err *err)
{
    VkCommandBuffer commands;
    if (to.bytes != from.bytes || to.bytes == 0 || to.at > to.buffer->bytes || to.bytes > to.buffer->bytes - to.at ||
        from.at > from.buffer->bytes || from.bytes > from.buffer->bytes - from.at) {
        VB_FAIL(err, VB_E_ARGUMENT, "gpu: a copy of %llu bytes at %llu to %llu bytes at %llu",
                (unsigned long long)from.bytes, (unsigned long long)from.at, (unsigned long long)to.bytes,
                (unsigned long long)to.at);
    }
    VB_TRY(next_command(&commands, t, to.bytes, err));
    VkBufferCopy piece_of = {from.at, to.at, to.bytes};
    t->g->vk.CmdCopyBuffer(commands, vb_gpu_handle(from.buffer), vb_gpu_handle(to.buffer), 1, &piece_of);
    return VB_OK;
}

vb_status vb_gpu_tape_end(vb_gpu_tape *t, vb_err *err)
{
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    VB_TRY(vb_gpu_alive(t->g, err));
    if (!t->open) VB_TRY(begin_piece(t, err));
    t->g->vk.CmdPipelineBarrier(t->pieces[t->n_pieces - 1].commands,
                                VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                                VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
    t->is_ended = 1;
    return end_piece(t, err);
}

vb_status vb_gpu_wait_for(vb_gpu *g, uint64_t submission, vb_err *err)
{
    while (g->done < submission) {
        uint64_t next = g->done + 1;
        VkSemaphoreWaitInfo wait = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                    .semaphoreCount = 1,
                                    .pSemaphores = &g->timeline,
                                    .pValues = &next};
        VB_TRY(vb_gpu_lose(g, g->vk.WaitSemaphores(g->device, &wait, g->wait_ns), "vkWaitSemaphores", err));
        g->done = next;
    }
    return VB_OK;
}

vb_status vb_gpu_flush(vb_gpu *g, vb_err *err)
{
    VB_TRY(vb_gpu_alive(g, err));
    if (g->n_pending == 0) return VB_OK;
    if (g->submitted >= g->done + VB_GPU_IN_FLIGHT) {
        VB_TRY(vb_gpu_wait_for(g, g->submitted + 1 - VB_GPU_IN_FLIGHT, err));
    }
    uint64_t number = g->submitted + 1;
    VkTimelineSemaphoreSubmitInfo timeline = {.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
                                              .signalSemaphoreValueCount = 1,
                                              .pSignalSemaphoreValues = &number};
    VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                         .pNext = &timeline,
                         .commandBufferCount = (uint32_t)g->n_pending,
                         .pCommandBuffers = g->pending,
                         .signalSemaphoreCount = 1,
                         .pSignalSemaphores = &g->timeline};
    g->n_pending = 0;
    g->pending_work = 0;
    VB_TRY(vb_gpu_lose(g, g->vk.QueueSubmit(g->queue, 1, &info, VK_NULL_HANDLE), "vkQueueSubmit", err));
    g->submitted = number;
    return VB_OK;
}

vb_status vb_gpu_play(vb_gpu *g, vb_gpu_tape *t, uint64_t work, vb_err *err)
{
    VB_TRY(vb_gpu_alive(g, err));
    if (!t->is_ended) VB_FAIL(err, VB_E_ARGUMENT, "gpu: a tape is ended before it is played");
    if (t->last > g->submitted) VB_TRY(vb_gpu_flush(g, err));
    if (t->last > g->done) VB_TRY(vb_gpu_wait_for(g, t->last, err)); /* commands are not submitted twice at a time */
    for (int i = 0; i < t->n_pieces; i++) {
        const piece *p = &t->pieces[i];
        double share = t->bytes > 0 ? (double)p->bytes / (double)t->bytes : 1.0;
        g->pending[g->n_pending++] = p->commands;
        g->pending_work += (uint64_t)((double)work * share);
        t->last = g->submitted + 1;
        int idle = g->submitted == g->done;
        if (idle || g->n_pending == VB_GPU_PENDING || g->pending_work >= TOGETHER) VB_TRY(vb_gpu_flush(g, err));
    }
    return VB_OK;
}

vb_status vb_gpu_wait(vb_gpu *g, vb_err *err)
{
    VB_TRY(vb_gpu_flush(g, err));
    return vb_gpu_wait_for(g, g->submitted, err);
}
