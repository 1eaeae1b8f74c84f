/* memory.c - buffers: each one allocation of its own, mapped for as long as it lives where the host may look.
 *
 *   LOCAL   the device's memory; on a unified device the kind of it that the host sees too
 *   UP      seen by both; small ones in the device's memory if it has such, for it reads them again and again
 *   DOWN    seen by both, cached for the host
 */
#include "gpu/inside.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    VkBuffer buffer;
    VkDeviceMemory memory;
    uint64_t taken;
} inside;

enum { SMALL = 1 << 20 };

VkBuffer vb_gpu_handle(const vb_gpu_buffer *b)
{
    return ((const inside *)b->inside)->buffer;
}

/* The types of memory to try, the best first. */
static int types_of(int types[VK_MAX_MEMORY_TYPES], const vb_gpu *g, vb_gpu_kind kind, uint64_t bytes, uint32_t bits)
{
    const VkMemoryPropertyFlags seen = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    const VkMemoryPropertyFlags own = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    int n = 0;
    if (kind == VB_GPU_LOCAL) {
        int type = vb_gpu_local_type(&g->memory, bits, g->about.facts.unified);
        if (type >= 0) types[n++] = type;
        return n;
    }
    VkMemoryPropertyFlags best = kind == VB_GPU_DOWN ? cached : bytes <= SMALL ? own : 0;
    VkMemoryPropertyFlags other = kind == VB_GPU_UP && bytes > SMALL ? own : 0;
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < g->memory.memoryTypeCount; i++) {
            VkMemoryPropertyFlags f = g->memory.memoryTypes[i].propertyFlags;
            if (!vb_gpu_plain_type(&g->memory, bits, i) || (f & seen) != seen) continue;
            int good = (f & best) == best && (f & other) == 0;
            if (good == (round == 0)) types[n++] = (int)i;
        }
    }
    return n;
}

static vb_status make_buffer(inside *in, vb_gpu *g, const void *next, uint64_t bytes, vb_err *err)
{
    VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                               .pNext = next,
                               .size = bytes,
                               .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                        VK_BUFFER_USAGE_TRANSFER_DST_BIT,
                               .sharingMode = VK_SHARING_MODE_EXCLUSIVE};
    vb_status s = VB_VK(g, err, CreateBuffer, g->device, &info, NULL, &in->buffer);
    if (s < 0) in->buffer = VK_NULL_HANDLE;
    return s;
}

static vb_status take_memory(inside *in, vb_gpu *g, vb_gpu_kind kind, uint64_t bytes, vb_err *err)
{
    int types[VK_MAX_MEMORY_TYPES];
    VkMemoryRequirements needs;
    g->vk.GetBufferMemoryRequirements(g->device, in->buffer, &needs);
    int n = types_of(types, g, kind, bytes, needs.memoryTypeBits);
    VkResult r = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    for (int i = 0; i < n && r == VK_ERROR_OUT_OF_DEVICE_MEMORY; i++) {
        VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                     .allocationSize = needs.size,
                                     .memoryTypeIndex = (uint32_t)types[i]};
        r = g->vk.AllocateMemory(g->device, &info, NULL, &in->memory);
    }
    if (r != VK_SUCCESS) in->memory = VK_NULL_HANDLE;
    VB_TRY(vb_gpu_result(g, r, "vkAllocateMemory", err));
    g->in_use += in->taken = needs.size;
    return VB_VK(g, err, BindBufferMemory, g->device, in->buffer, in->memory, 0);
}

vb_status vb_gpu_alloc(vb_gpu_buffer *out, vb_gpu *g, vb_gpu_kind kind, uint64_t bytes, vb_err *err)
{
    vb_status s = VB_OK;
    memset(out, 0, sizeof *out);
    VB_TRY(vb_gpu_alive(g, err));
    uint64_t size = (bytes + 15) & ~(uint64_t)15;
    if (bytes == 0 || size < bytes || size > g->about.facts.most_alloc) {
        VB_FAIL(err, VB_E_MEMORY, "gpu: %s: expected 1 to %llu bytes in one piece, found %llu", g->about.facts.name,
                (unsigned long long)g->about.facts.most_alloc, (unsigned long long)bytes);
    }
    inside *in = calloc(1, sizeof *in);
    if (in == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory");
    out->inside = in;
    out->bytes = bytes;
    VB_TRY_OUT(s, make_buffer(in, g, NULL, size, err));
    VB_TRY_OUT(s, take_memory(in, g, kind, size, err));
    if (kind != VB_GPU_LOCAL || g->about.facts.unified) {
        void *host = NULL;
        VB_TRY_OUT(s, VB_VK(g, err, MapMemory, g->device, in->memory, 0, VK_WHOLE_SIZE, 0, &host));
        out->host = host;
    }
out:
    if (s < 0) vb_gpu_free(g, out);
    return s;
}

/* A driver that does not take this memory is not at fault: the caller copies it then. */
static vb_status refused(vb_gpu *g, VkResult r, const char *call, vb_err *err)
{
    if (r == VK_SUCCESS || r == VK_ERROR_DEVICE_LOST) return vb_gpu_result(g, r, call, err);
    VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: %s: %s: %s", g->about.facts.name, call, vb_vulkan_text(r));
}

static vb_status take_pages(inside *in, vb_gpu *g, void *host, uint64_t bytes, vb_err *err)
{
    const VkExternalMemoryHandleTypeFlagBits handle = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
    VkMemoryHostPointerPropertiesEXT about = {.sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
    VkResult r = g->vk.GetMemoryHostPointerPropertiesEXT(g->device, handle, host, &about);
    VB_TRY(refused(g, r, "vkGetMemoryHostPointerPropertiesEXT", err));
    VkMemoryRequirements needs;
    g->vk.GetBufferMemoryRequirements(g->device, in->buffer, &needs);
    uint32_t bits = needs.memoryTypeBits & about.memoryTypeBits, type = 0;
    while (type < g->memory.memoryTypeCount && (bits >> type & 1) == 0) type++;
    if (type == g->memory.memoryTypeCount || needs.size > bytes) {
        VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: %s: it has no memory type for an import", g->about.facts.name);
    }
    VkImportMemoryHostPointerInfoEXT import = {.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
                                               .handleType = handle,
                                               .pHostPointer = host};
    VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                 .pNext = &import,
                                 .allocationSize = bytes,
                                 .memoryTypeIndex = type};
    r = g->vk.AllocateMemory(g->device, &info, NULL, &in->memory);
    if (r != VK_SUCCESS) in->memory = VK_NULL_HANDLE;
    VB_TRY(refused(g, r, "vkAllocateMemory", err));
    return VB_VK(g, err, BindBufferMemory, g->device, in->buffer, in->memory, 0);
}

vb_status vb_gpu_import(vb_gpu_buffer *out, uint64_t *at, vb_gpu *g, const void *host, uint64_t bytes, vb_err *err)
{
    vb_status s = VB_OK;
    const vb_gpu_facts *f = &g->about.facts;
    memset(out, 0, sizeof *out);
    VB_TRY(vb_gpu_alive(g, err));
    if (!f->imports || !f->unified || g->vk.GetMemoryHostPointerPropertiesEXT == NULL) {
        VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: %s: it imports no memory", f->name);
    }
    uint64_t align = g->about.import_alignment, first = (uint64_t)(uintptr_t)host & ~(align - 1);
    *at = (uint64_t)(uintptr_t)host - first;
    uint64_t size = (*at + bytes + align - 1) & ~(align - 1);
    if (bytes == 0 || size < bytes || size > f->most_alloc) {
        VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: %s: it imports no %llu bytes in one piece", f->name,
                (unsigned long long)bytes);
    }
    inside *in = calloc(1, sizeof *in);
    if (in == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory");
    out->inside = in;
    out->bytes = size;
    VkExternalMemoryBufferCreateInfo external = {.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
                                                 .handleTypes =
                                                     VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT};
    VB_TRY_OUT(s, make_buffer(in, g, &external, size, err));
    VB_TRY_OUT(s, take_pages(in, g, (void *)(uintptr_t)first, size, err));
    out->host = (uint8_t *)(uintptr_t)first;
out:
    if (s < 0) vb_gpu_free(g, out);
    return s;
}

void vb_gpu_free(vb_gpu *g, vb_gpu_buffer *b)
{
    inside *in = b->inside;
    if (in != NULL && vb_gpu_settled(g)) {
        if (in->buffer != VK_NULL_HANDLE) g->vk.DestroyBuffer(g->device, in->buffer, NULL);
        if (in->memory != VK_NULL_HANDLE) g->vk.FreeMemory(g->device, in->memory, NULL);
        g->in_use -= in->taken;
    }
    free(in);
    memset(b, 0, sizeof *b);
}

uint64_t vb_gpu_in_use(const vb_gpu *g)
{
    return g->in_use;
}
