/* vulkan_pretend.h - a device that says other things of itself, and is held to them.
 *
 *   discrete         memory type 0 is the device's alone, 1 and 2 (cached) are the host's; its type says so too
 *   heap=, budget=   bytes of the first heap, and what of them is offered; what goes beyond the heap fails
 *   range=, align=   maxStorageBufferRange, minStorageBufferOffsetAlignment     alloc=   maxMemoryAllocationSize
 *   norte, nozeros, subnormals, nosubnormals   the float modes that are offered
 *   old=NAME         devices whose names begin so know no Vulkan 1.2
 *   noimport, nodot  no external_memory_host, no integer dot product
 */
#ifndef VB_TESTS_SHIMS_VULKAN_PRETEND_H
#define VB_TESTS_SHIMS_VULKAN_PRETEND_H
#include "vulkan.h"

static const char budget_name[] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;

static int is_pretended(const char *extension)
{
    return word("budget") != NULL && strcmp(extension, budget_name) == 0;
}

static int is_hidden(const char *extension)
{
    return (word("noimport") != NULL && strcmp(extension, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME) == 0) ||
           (word("nodot") != NULL && strcmp(extension, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME) == 0);
}

static VKAPI_ATTR VkResult VKAPI_CALL wrap_EnumerateDeviceExtensionProperties(VkPhysicalDevice p, const char *layer,
                                                                              uint32_t *n, VkExtensionProperties *out)
{
    VkResult r;
    uint32_t all = 0, kept = 0;
    if (fails(AT_EnumerateDeviceExtensionProperties, &r)) return r;
    r = real(EnumerateDeviceExtensionProperties)(p, layer, &all, NULL);
    VkExtensionProperties *list = calloc(all + 1, sizeof *list);
    if (r == VK_SUCCESS && list != NULL) r = real(EnumerateDeviceExtensionProperties)(p, layer, &all, list);
    if (r != VK_SUCCESS || list == NULL) {
        free(list);
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    }
    for (uint32_t i = 0; i < all; i++)
        if (!is_hidden(list[i].extensionName)) list[kept++] = list[i];
    if (word("budget") != NULL) snprintf(list[kept++].extensionName, sizeof list->extensionName, "%s", budget_name);
    if (out != NULL && *n > kept) *n = kept;
    if (out != NULL) memcpy(out, list, *n * sizeof *list);
    else *n = kept;
    free(list);
    return VK_SUCCESS;
}

/* --- what is said */
static void bend_limits(VkPhysicalDeviceProperties *p)
{
    const char *old = word("old");
    if (old != NULL && strncmp(p->deviceName, old, strcspn(old, ",")) == 0) p->apiVersion = VK_API_VERSION_1_1;
    if (word("discrete") != NULL) p->deviceType = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    p->limits.maxStorageBufferRange = (uint32_t)number("range", p->limits.maxStorageBufferRange);
    p->limits.minStorageBufferOffsetAlignment = number("align", p->limits.minStorageBufferOffsetAlignment);
}

static void bend_floats(VkBool32 *rte, VkBool32 *zeros, VkBool32 *kept)
{
    if (word("norte") != NULL) *rte = VK_FALSE;
    if (word("nozeros") != NULL) *zeros = VK_FALSE;
    if (word("subnormals") != NULL) *kept = VK_TRUE;
    if (word("nosubnormals") != NULL) *kept = VK_FALSE;
}

static VKAPI_ATTR void VKAPI_CALL wrap_GetPhysicalDeviceProperties(VkPhysicalDevice d, VkPhysicalDeviceProperties *p)
{
    real(GetPhysicalDeviceProperties)(d, p);
    bend_limits(p);
}

static VKAPI_ATTR void VKAPI_CALL wrap_GetPhysicalDeviceProperties2(VkPhysicalDevice d, VkPhysicalDeviceProperties2 *p)
{
    real(GetPhysicalDeviceProperties2)(d, p);
    bend_limits(&p->properties);
    for (VkBaseOutStructure *s = p->pNext; s != NULL; s = s->pNext) {
        VkPhysicalDeviceFloatControlsProperties *f = (void *)s;
        VkPhysicalDeviceVulkan11Properties *v11 = (void *)s;
        VkPhysicalDeviceVulkan12Properties *v12 = (void *)s;
        VkPhysicalDeviceMaintenance3Properties *m3 = (void *)s;
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FLOAT_CONTROLS_PROPERTIES)
            bend_floats(&f->shaderRoundingModeRTEFloat32, &f->shaderSignedZeroInfNanPreserveFloat32,
                        &f->shaderDenormPreserveFloat32);
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES)
            bend_floats(&v12->shaderRoundingModeRTEFloat32, &v12->shaderSignedZeroInfNanPreserveFloat32,
                        &v12->shaderDenormPreserveFloat32);
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES)
            v11->maxMemoryAllocationSize = number("alloc", v11->maxMemoryAllocationSize);
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES)
            m3->maxMemoryAllocationSize = number("alloc", m3->maxMemoryAllocationSize);
    }
}

static VKAPI_ATTR void VKAPI_CALL wrap_GetPhysicalDeviceFeatures2(VkPhysicalDevice d, VkPhysicalDeviceFeatures2 *p)
{
    real(GetPhysicalDeviceFeatures2)(d, p);
    for (VkBaseOutStructure *s = p->pNext; s != NULL && word("nodot") != NULL; s = s->pNext) {
        VkPhysicalDeviceShaderIntegerDotProductFeatures *dot = (void *)s;
        VkPhysicalDeviceVulkan13Features *v13 = (void *)s;
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES)
            dot->shaderIntegerDotProduct = VK_FALSE;
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES)
            v13->shaderIntegerDotProduct = VK_FALSE;
    }
}

static void bend_memory(VkPhysicalDeviceMemoryProperties *m)
{
    if (word("discrete") != NULL) {
        const VkMemoryPropertyFlags host = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
        m->memoryTypeCount = 3;
        m->memoryHeapCount = 2;
        m->memoryHeaps[1] = m->memoryHeaps[0];
        m->memoryHeaps[1].flags = 0;
        m->memoryTypes[0] = (VkMemoryType){VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0};
        m->memoryTypes[1] = (VkMemoryType){host, 1};
        m->memoryTypes[2] = (VkMemoryType){host | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, 1};
    }
    m->memoryHeaps[0].size = number("heap", m->memoryHeaps[0].size);
}

static VKAPI_ATTR void VKAPI_CALL wrap_GetPhysicalDeviceMemoryProperties(VkPhysicalDevice d,
                                                                         VkPhysicalDeviceMemoryProperties *m)
{
    real(GetPhysicalDeviceMemoryProperties)(d, m);
    bend_memory(m);
}

/* --- memory: who has how much of the first heap */
enum { MOST_ALLOCATIONS = 16384 };
static struct {
    VkDeviceMemory handle;
    uint64_t bytes;
    uint32_t type;
} allocations[MOST_ALLOCATIONS];
static int n_allocations;
static uint64_t in_use, first_heap;

static VKAPI_ATTR void VKAPI_CALL wrap_GetPhysicalDeviceMemoryProperties2(VkPhysicalDevice d,
                                                                          VkPhysicalDeviceMemoryProperties2 *m)
{
    real(GetPhysicalDeviceMemoryProperties2)(d, m);
    bend_memory(&m->memoryProperties);
    for (VkBaseOutStructure *s = m->pNext; s != NULL && word("budget") != NULL; s = s->pNext) {
        if (s->sType != VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT) continue;
        VkPhysicalDeviceMemoryBudgetPropertiesEXT *b = (void *)s;
        for (uint32_t i = 0; i < m->memoryProperties.memoryHeapCount; i++)
            b->heapBudget[i] = m->memoryProperties.memoryHeaps[i].size;
        b->heapBudget[0] = number("budget", 0);
        b->heapUsage[0] = first_heap;
    }
}

static int is_import(const VkMemoryAllocateInfo *how)
{
    for (const VkBaseInStructure *s = how->pNext; s != NULL; s = s->pNext)
        if (s->sType == VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT) return 1;
    return 0;
}

static VkResult fits(const VkMemoryAllocateInfo *how)
{
    uint64_t heap = number("heap", UINT64_MAX);
    if (how->allocationSize > number("alloc", UINT64_MAX)) message("shim: an allocation is larger than the largest");
    if (is_import(how) || (word("discrete") != NULL && how->memoryTypeIndex != 0)) return VK_SUCCESS;
    if (heap - first_heap < how->allocationSize || heap < first_heap) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return VK_SUCCESS;
}

static void count_allocation(VkDeviceMemory handle, const VkMemoryAllocateInfo *how)
{
    uint64_t bytes = is_import(how) ? 0 : how->allocationSize;
    lives(LIVE_Memory, 1);
    pthread_mutex_lock(&lock);
    if (n_allocations < MOST_ALLOCATIONS) {
        allocations[n_allocations].handle = handle;
        allocations[n_allocations].bytes = bytes;
        allocations[n_allocations++].type = how->memoryTypeIndex;
    }
    in_use += bytes;
    if (how->memoryTypeIndex == 0) first_heap += bytes;
    if (in_use > seen.peak) seen.peak = in_use;
    pthread_mutex_unlock(&lock);
}

static VKAPI_ATTR VkResult VKAPI_CALL wrap_AllocateMemory(VkDevice d, const VkMemoryAllocateInfo *how,
                                                          const VkAllocationCallbacks *a, VkDeviceMemory *out)
{
    VkMemoryAllocateInfo mine = *how;
    VkResult r;
    if (fails(AT_AllocateMemory, &r)) return r;
    if (word("discrete") != NULL && is_import(how)) message("shim: host memory is imported into a device of its own");
    if ((r = fits(how)) != VK_SUCCESS) return r;
    if (word("discrete") != NULL) mine.memoryTypeIndex = 0;
    r = real(AllocateMemory)(d, &mine, a, out);
    if (r == VK_SUCCESS) count_allocation(*out, how);
    return r;
}

static VKAPI_ATTR void VKAPI_CALL wrap_FreeMemory(VkDevice d, VkDeviceMemory m, const VkAllocationCallbacks *a)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < n_allocations; i++) {
        if (allocations[i].handle != m) continue;
        in_use -= allocations[i].bytes;
        if (allocations[i].type == 0) first_heap -= allocations[i].bytes;
        allocations[i] = allocations[--n_allocations];
        break;
    }
    pthread_mutex_unlock(&lock);
    if (m != VK_NULL_HANDLE) lives(LIVE_Memory, -1);
    real(FreeMemory)(d, m, a);
}

static VKAPI_ATTR VkResult VKAPI_CALL wrap_MapMemory(VkDevice d, VkDeviceMemory m, VkDeviceSize at, VkDeviceSize bytes,
                                                     VkMemoryMapFlags f, void **out)
{
    VkResult r;
    if (fails(AT_MapMemory, &r)) return r;
    for (int i = 0; i < n_allocations && word("discrete") != NULL; i++) {
        if (allocations[i].handle != m || allocations[i].type != 0) continue;
        message("shim: memory that the host does not see is mapped");
        return VK_ERROR_MEMORY_MAP_FAILED;
    }
    return real(MapMemory)(d, m, at, bytes, f, out);
}

static VKAPI_ATTR void VKAPI_CALL wrap_GetBufferMemoryRequirements(VkDevice d, VkBuffer b, VkMemoryRequirements *r)
{
    real(GetBufferMemoryRequirements)(d, b, r);
    if (word("discrete") != NULL) r->memoryTypeBits = 7;
}

static VKAPI_ATTR void VKAPI_CALL wrap_GetBufferMemoryRequirements2(
    VkDevice d, const VkBufferMemoryRequirementsInfo2 *b, VkMemoryRequirements2 *r)
{
    real(GetBufferMemoryRequirements2)(d, b, r);
    if (word("discrete") != NULL) r->memoryRequirements.memoryTypeBits = 7;
}

static VKAPI_ATTR VkResult VKAPI_CALL wrap_GetMemoryHostPointerPropertiesEXT(
    VkDevice d, VkExternalMemoryHandleTypeFlagBits kind, const void *p, VkMemoryHostPointerPropertiesEXT *out)
{
    VkResult r;
    return fails(AT_GetMemoryHostPointerPropertiesEXT, &r) ? r
                                                           : real(GetMemoryHostPointerPropertiesEXT)(d, kind, p, out);
}
#endif
