/* instance.c - what the driver says of its devices. */
#include "gpu/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

vb_status vb_gpu_physical(VkPhysicalDevice **out, int *n, const vb_vulkan *v, vb_err *err)
{
    uint32_t count = 0;
    *out = NULL;
    *n = 0;
    VkResult r = v->EnumeratePhysicalDevices(v->instance, &count, NULL);
    if (r != VK_SUCCESS) VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: vkEnumeratePhysicalDevices: %s", vb_vulkan_text(r));
    if (count == 0) return VB_OK;
    VkPhysicalDevice *list = calloc(count, sizeof *list);
    if (list == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory");
    r = v->EnumeratePhysicalDevices(v->instance, &count, list);
    if (r != VK_SUCCESS && r != VK_INCOMPLETE) {
        free(list);
        VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: vkEnumeratePhysicalDevices: %s", vb_vulkan_text(r));
    }
    *out = list;
    *n = (int)count;
    return VB_OK;
}

static const char *type_name(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return "discrete";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return "integrated";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return "virtual";
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return "cpu";
    default: return "other";
    }
}

typedef struct {
    int import, dot, budget;
} extensions;

static vb_status read_extensions(extensions *out, const vb_vulkan *v, VkPhysicalDevice p, vb_err *err)
{
    uint32_t n = 0;
    *out = (extensions){0};
    VkResult r = v->EnumerateDeviceExtensionProperties(p, NULL, &n, NULL);
    VkExtensionProperties *list = r == VK_SUCCESS ? calloc((size_t)n + 1, sizeof *list) : NULL;
    if (r == VK_SUCCESS && list == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory");
    if (r == VK_SUCCESS) r = v->EnumerateDeviceExtensionProperties(p, NULL, &n, list);
    for (uint32_t i = 0; r >= 0 && i < n; i++) {
        const char *name = list[i].extensionName;
        if (strcmp(name, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME) == 0) out->import = 1;
        if (strcmp(name, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME) == 0) out->dot = 1;
        if (strcmp(name, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME) == 0) out->budget = 1;
    }
    free(list);
    if (r < 0) VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: vkEnumerateDeviceExtensionProperties: %s", vb_vulkan_text(r));
    return VB_OK;
}

static void read_properties(vb_gpu_about *a, const vb_vulkan *v, VkPhysicalDevice p, const extensions *has)
{
    vb_gpu_facts *f = &a->facts;
    VkPhysicalDeviceExternalMemoryHostPropertiesEXT host = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT};
    VkPhysicalDeviceVulkan11Properties p11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES,
                                              .pNext = has->import ? &host : NULL};
    VkPhysicalDeviceVulkan12Properties p12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES,
                                              .pNext = &p11};
    VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &p12};
    v->GetPhysicalDeviceProperties2(p, &all);
    const VkPhysicalDeviceLimits *l = &all.properties.limits;
    snprintf(f->driver, sizeof f->driver, "%.120s%s%.120s", p12.driverName, *p12.driverInfo != 0 ? ", " : "",
             p12.driverInfo);
    f->most_range = l->maxStorageBufferRange;
    f->most_alloc = p11.maxMemoryAllocationSize;
    f->range_alignment = l->minStorageBufferOffsetAlignment;
    f->modes = (p12.shaderRoundingModeRTEFloat32 ? VB_GPU_RTE : 0) |
               (p12.shaderSignedZeroInfNanPreserveFloat32 ? VB_GPU_SIGNED_ZERO : 0) |
               (p12.shaderDenormPreserveFloat32 ? VB_GPU_SUBNORMALS : 0);
    f->imports = has->import && host.minImportedHostPointerAlignment <= (uint64_t)sysconf(_SC_PAGESIZE);
    a->import_alignment = host.minImportedHostPointerAlignment;
    for (int i = 0; i < 3; i++) a->most_groups[i] = l->maxComputeWorkGroupCount[i];
    if (l->maxPerStageDescriptorStorageBuffers < VB_GPU_BINDINGS) f->lacks = "9 buffers a shader";
}

static void read_features(vb_gpu_about *a, const vb_vulkan *v, VkPhysicalDevice p, const extensions *has)
{
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES};
    VkPhysicalDeviceVulkan12Features f12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                            .pNext = has->dot ? &dot : NULL};
    VkPhysicalDeviceFeatures2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &f12};
    v->GetPhysicalDeviceFeatures2(p, &all);
    a->facts.integer_dot = has->dot && dot.shaderIntegerDotProduct;
    if (!f12.timelineSemaphore) a->facts.lacks = "timeline semaphores";
}

int vb_gpu_plain_type(const VkPhysicalDeviceMemoryProperties *m, uint32_t bits, uint32_t i)
{
    const VkMemoryPropertyFlags known = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                        VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    return (bits >> i & 1) != 0 && (m->memoryTypes[i].propertyFlags & ~known) == 0;
}

int vb_gpu_local_type(const VkPhysicalDeviceMemoryProperties *m, uint32_t bits, int mapped)
{
    const VkMemoryPropertyFlags seen = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    int any = -1;
    for (uint32_t i = 0; i < m->memoryTypeCount; i++) {
        VkMemoryPropertyFlags f = m->memoryTypes[i].propertyFlags;
        if (!vb_gpu_plain_type(m, bits, i) || (f & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) == 0) continue;
        if (mapped ? (f & seen) == seen : (f & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) == 0) return (int)i;
        if (any < 0 && !mapped) any = (int)i;
    }
    return any;
}

/* Bytes that the driver would still give of a heap; never 0, which is for drivers that do not say. */
static uint64_t budget(const vb_vulkan *v, VkPhysicalDevice p, uint32_t heap)
{
    VkPhysicalDeviceMemoryBudgetPropertiesEXT of = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
                                             .pNext = &of};
    v->GetPhysicalDeviceMemoryProperties2(p, &all);
    return of.heapBudget[heap] > of.heapUsage[heap] ? of.heapBudget[heap] - of.heapUsage[heap] : 1;
}

static void read_memory(vb_gpu_about *a, const vb_vulkan *v, VkPhysicalDevice p)
{
    VkPhysicalDeviceMemoryProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    v->GetPhysicalDeviceMemoryProperties2(p, &all);
    const VkPhysicalDeviceMemoryProperties *m = &all.memoryProperties;
    int own = strcmp(a->facts.type, "cpu") != 0 && strcmp(a->facts.type, "integrated") != 0;
    a->facts.unified = !own && vb_gpu_local_type(m, ~0u, 1) >= 0;
    int type = vb_gpu_local_type(m, ~0u, a->facts.unified);
    if (type < 0) {
        a->facts.lacks = "memory of its own";
        return;
    }
    uint32_t heap = m->memoryTypes[type].heapIndex;
    a->facts.heap_bytes = m->memoryHeaps[heap].size;
    if (a->has_budget) a->facts.free_bytes = budget(v, p, heap);
}

/* The first family that computes and does not draw, else the first that computes; ~0: none. */
static uint32_t compute_family(const vb_vulkan *v, VkPhysicalDevice p)
{
    VkQueueFamilyProperties list[32];
    uint32_t n = sizeof list / sizeof *list, found = ~0u;
    v->GetPhysicalDeviceQueueFamilyProperties(p, &n, list);
    for (uint32_t i = n; i-- > 0;)
        if (list[i].queueFlags & VK_QUEUE_COMPUTE_BIT) found = i;
    for (uint32_t i = n; i-- > 0;)
        if ((list[i].queueFlags & (VK_QUEUE_COMPUTE_BIT | VK_QUEUE_GRAPHICS_BIT)) == VK_QUEUE_COMPUTE_BIT) found = i;
    return found;
}

vb_status vb_gpu_look(vb_gpu_about *out, const vb_vulkan *v, VkPhysicalDevice p, vb_err *err)
{
    VkPhysicalDeviceProperties first;
    extensions has;
    *out = (vb_gpu_about){.family = ~0u};
    v->GetPhysicalDeviceProperties(p, &first);
    snprintf(out->facts.name, sizeof out->facts.name, "%.255s", first.deviceName);
    out->facts.type = type_name(first.deviceType);
    if (first.apiVersion < VK_API_VERSION_1_2) {
        out->facts.lacks = "Vulkan 1.2";
        return VB_OK;
    }
    VB_TRY(read_extensions(&has, v, p, err));
    out->has_budget = has.budget;
    read_properties(out, v, p, &has);
    read_features(out, v, p, &has);
    read_memory(out, v, p);
    out->family = compute_family(v, p);
    if (out->family == ~0u) out->facts.lacks = "a queue that computes";
    return VB_OK;
}

int vb_gpu_list(vb_gpu_facts *facts, int cap, vb_err *err)
{
    vb_vulkan v;
    VkPhysicalDevice *list = NULL;
    int n = 0;
    VB_TRY(vb_vulkan_open(&v, err));
    vb_status s = vb_gpu_physical(&list, &n, &v, err);
    for (int i = 0; s == VB_OK && i < n && i < cap; i++) {
        vb_gpu_about about;
        s = vb_gpu_look(&about, &v, list[i], err);
        if (s == VB_OK) facts[i] = about.facts;
    }
    free(list);
    vb_vulkan_close(&v);
    return s < 0 ? (int)s : n;
}
