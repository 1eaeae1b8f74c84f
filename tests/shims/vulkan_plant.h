/* vulkan_plant.h - mistakes that are planted into what a program says to its device: forgotten barriers, ranges that
 * reach too far, buffers that stay, results that are overwritten, constants and subnormals that are not what they were.
 *
 * Which words a dispatch writes is known from the convention of gpu/shaders/step.glsl: its output is binding 2, and the
 * third pushed word says where in it.
 */
#ifndef VB_TESTS_SHIMS_VULKAN_PLANT_H
#define VB_TESTS_SHIMS_VULKAN_PLANT_H
#include "vulkan.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { OUTPUT = 2, MOST_SETS = 65536 };
static int planted; /* mistakes that were made */
static uint64_t n_barriers, n_buffers_gone, n_descriptors;

/* Whether this is the mistake's turn: the one that `key` names, or each where it names none. */
static int turn(const char *key, uint64_t *count)
{
    const char *w = word(key);
    if (w == NULL) return 0;
    pthread_mutex_lock(&lock);
    uint64_t n = strtoull(w, NULL, 10), now = ++*count;
    int mine = n == 0 || n == now;
    planted += mine;
    pthread_mutex_unlock(&lock);
    return mine;
}

static VKAPI_ATTR void VKAPI_CALL wrap_CmdPipelineBarrier(VkCommandBuffer c, VkPipelineStageFlags from,
                                                          VkPipelineStageFlags to, VkDependencyFlags f, uint32_t n,
                                                          const VkMemoryBarrier *m, uint32_t n_buffers,
                                                          const VkBufferMemoryBarrier *b, uint32_t n_images,
                                                          const VkImageMemoryBarrier *i)
{
    if (turn("nobarrier", &n_barriers)) return;
    real(CmdPipelineBarrier)(c, from, to, f, n, m, n_buffers, b, n_images, i);
}

/* --- buffers */
static VKAPI_ATTR VkResult VKAPI_CALL wrap_CreateBuffer(VkDevice d, const VkBufferCreateInfo *how,
                                                        const VkAllocationCallbacks *a, VkBuffer *out)
{
    VkBufferCreateInfo mine = *how;
    VkResult r;
    if (fails(AT_CreateBuffer, &r)) return r;
    if (word("spoil") != NULL) mine.usage |= VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    r = real(CreateBuffer)(d, &mine, a, out);
    if (r == VK_SUCCESS) lives(LIVE_Buffer, 1);
    return r;
}

static VKAPI_ATTR void VKAPI_CALL wrap_DestroyBuffer(VkDevice d, VkBuffer b, const VkAllocationCallbacks *a)
{
    if (b != VK_NULL_HANDLE && turn("leak", &n_buffers_gone)) return;
    if (b != VK_NULL_HANDLE) lives(LIVE_Buffer, -1);
    real(DestroyBuffer)(d, b, a);
}

/* --- descriptors: where each set's output is */
static struct {
    VkDescriptorSet set;
    VkBuffer buffer;
    VkDeviceSize at;
} outputs[MOST_SETS];
static int n_outputs;

static void remember(VkDescriptorSet set, const VkDescriptorBufferInfo *b)
{
    int i = 0;
    while (i < n_outputs && outputs[i].set != set) i++;
    if (i == MOST_SETS) return;
    if (i == n_outputs) n_outputs++;
    outputs[i].set = set;
    outputs[i].buffer = b->buffer;
    outputs[i].at = b->offset;
}

static void look_at(const VkDescriptorBufferInfo *b)
{
    if (b->range != VK_WHOLE_SIZE && b->range > number("range", UINT64_MAX))
        message("shim: a descriptor's range of %llu bytes", (unsigned long long)b->range);
    if (b->offset % number("align", 1) != 0)
        message("shim: a descriptor begins at %llu", (unsigned long long)b->offset);
}

/* Of the descriptors of storage buffers: looked at, remembered, and the one that is too long made so. */
static void update(VkDevice d, VkWriteDescriptorSet w)
{
    VkDescriptorBufferInfo mine[64];
    if (w.pBufferInfo == NULL || w.descriptorCount > 64) {
        real(UpdateDescriptorSets)(d, 1, &w, 0, NULL);
        return;
    }
    for (uint32_t i = 0; i < w.descriptorCount; i++) {
        mine[i] = w.pBufferInfo[i];
        look_at(&mine[i]);
        if (w.dstBinding + i == OUTPUT) remember(w.dstSet, &mine[i]);
        if (turn("wide", &n_descriptors)) mine[i].range = (VkDeviceSize)1 << 40;
    }
    w.pBufferInfo = mine;
    real(UpdateDescriptorSets)(d, 1, &w, 0, NULL);
}

static VKAPI_ATTR void VKAPI_CALL wrap_UpdateDescriptorSets(VkDevice d, uint32_t n, const VkWriteDescriptorSet *w,
                                                            uint32_t n_copies, const VkCopyDescriptorSet *copies)
{
    if (n_copies > 0) message("shim: descriptors are copied, which it does not follow");
    (void)copies;
    for (uint32_t i = 0; i < n; i++) update(d, w[i]);
}

/* --- dispatches */
static VkDescriptorSet bound;
static uint32_t pushed[32];

static VKAPI_ATTR void VKAPI_CALL wrap_CmdBindDescriptorSets(VkCommandBuffer c, VkPipelineBindPoint point,
                                                             VkPipelineLayout layout, uint32_t first, uint32_t n,
                                                             const VkDescriptorSet *sets, uint32_t n_dynamic,
                                                             const uint32_t *dynamic)
{
    if (n > 0) bound = sets[0];
    real(CmdBindDescriptorSets)(c, point, layout, first, n, sets, n_dynamic, dynamic);
}

static VKAPI_ATTR void VKAPI_CALL wrap_CmdPushConstants(VkCommandBuffer c, VkPipelineLayout layout,
                                                        VkShaderStageFlags stages, uint32_t at, uint32_t bytes,
                                                        const void *words)
{
    if (at + bytes <= sizeof pushed) memcpy((uint8_t *)pushed + at, words, bytes);
    real(CmdPushConstants)(c, layout, stages, at, bytes, words);
}

static VKAPI_ATTR void VKAPI_CALL wrap_CmdFillBuffer(VkCommandBuffer c, VkBuffer b, VkDeviceSize at, VkDeviceSize bytes,
                                                     uint32_t with)
{
    real(CmdFillBuffer)(c, b, at, bytes, with);
}

/* Word E of the output that was just written becomes one (1.0f), behind all before it and ahead of all that comes. */
static void spoil(VkCommandBuffer c)
{
    const char *w = word("spoil"), *colon = w != NULL ? strchr(w, ':') : NULL;
    VkMemoryBarrier all = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                           .srcAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT,
                           .dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT};
    if (colon == NULL || strtoull(w, NULL, 10) != seen.dispatches) return;
    PFN_vkCmdFillBuffer fill = (PFN_vkCmdFillBuffer)loader(the_instance, "vkCmdFillBuffer");
    PFN_vkCmdPipelineBarrier barrier = (PFN_vkCmdPipelineBarrier)loader(the_instance, "vkCmdPipelineBarrier");
    for (int i = 0; i < n_outputs; i++) {
        if (outputs[i].set != bound || fill == NULL || barrier == NULL) continue;
        const VkPipelineStageFlags every = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
        barrier(c, every, every, 0, 1, &all, 0, NULL, 0, NULL);
        fill(c, outputs[i].buffer, outputs[i].at + 4 * (pushed[OUTPUT] + strtoull(colon + 1, NULL, 10)), 4, 0x3f800000);
        barrier(c, every, every, 0, 1, &all, 0, NULL, 0, NULL);
        planted++;
    }
}

static VKAPI_ATTR void VKAPI_CALL wrap_CmdDispatch(VkCommandBuffer c, uint32_t x, uint32_t y, uint32_t z)
{
    seen.dispatches++;
    real(CmdDispatch)(c, x, y, z);
    spoil(c);
}

/* --- shaders */
enum { SPIRV_CONSTANT = 43, SPIRV_HEADER = 5 };

static void plant_constant(uint32_t *code, uint32_t n)
{
    const char *w = word("constant"), *colon = w != NULL ? strchr(w, ':') : NULL;
    for (uint32_t i = SPIRV_HEADER; colon != NULL && i < n && code[i] >> 16 != 0; i += code[i] >> 16) {
        if (code[i] != (4u << 16 | SPIRV_CONSTANT) || code[i + 3] != strtoul(w, NULL, 16)) continue;
        code[i + 3] = (uint32_t)strtoul(colon + 1, NULL, 16);
        planted++;
    }
}

static void plant_operation(uint32_t *code, uint32_t n)
{
    const char *w = word("operation"), *colon = w != NULL ? strchr(w, ':') : NULL;
    for (uint32_t i = SPIRV_HEADER; colon != NULL && i < n && code[i] >> 16 != 0; i += code[i] >> 16) {
        if ((code[i] & 0xffffu) != strtoul(w, NULL, 10)) continue;
        code[i] = (code[i] & 0xffff0000u) | (uint32_t)strtoul(colon + 1, NULL, 10);
        planted++;
    }
}

static VKAPI_ATTR VkResult VKAPI_CALL wrap_CreateShaderModule(VkDevice d, const VkShaderModuleCreateInfo *how,
                                                              const VkAllocationCallbacks *a, VkShaderModule *out)
{
    VkShaderModuleCreateInfo mine = *how;
    VkResult r;
    if (fails(AT_CreateShaderModule, &r)) return r;
    uint32_t *code = malloc(how->codeSize), n = (uint32_t)(how->codeSize / 4);
    if (code == NULL) return VK_ERROR_OUT_OF_HOST_MEMORY;
    memcpy(code, how->pCode, how->codeSize);
    plant_constant(code, n);
    plant_operation(code, n);
    mine.pCode = code;
    r = real(CreateShaderModule)(d, &mine, a, out);
    if (r == VK_SUCCESS) lives(LIVE_ShaderModule, 1);
    free(code);
    return r;
}

/* A driver on a CPU starts its threads with what the calling one has set. */
static void flush_subnormals(void)
{
#if defined(__x86_64__)
    if (word("ftz") != NULL) _mm_setcsr(_mm_getcsr() | 0x8040);
#endif
}
#endif
