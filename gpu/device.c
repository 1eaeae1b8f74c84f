/* device.c - a device opened, its failures, and its end.
 *
 * A device is lost with its first failure, and stays so: what it was doing may be half done, and nothing tells which
 * half. Only a lack of memory is no failure while nothing is played, for the driver did nothing then.
 */
#include "gpu/inside.h"

#include <stdlib.h>
#include <string.h>

vb_status vb_gpu_result(vb_gpu *g, VkResult r, const char *call, vb_err *err)
{
    if (r == VK_ERROR_OUT_OF_HOST_MEMORY || r == VK_ERROR_OUT_OF_DEVICE_MEMORY || r == VK_ERROR_TOO_MANY_OBJECTS) {
        VB_FAIL(err, VB_E_MEMORY, "gpu: %s: %s: %s", g->about.facts.name, call, vb_vulkan_text(r));
    }
    return vb_gpu_lose(g, r, call, err);
}

vb_status vb_gpu_lose(vb_gpu *g, VkResult r, const char *call, vb_err *err)
{
    const char *name = g->about.facts.name, *text = vb_vulkan_text(r);
    if (r == VK_SUCCESS) return VB_OK;
    g->lost = 1;
    g->n_pending = 0;
    VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: %s: %s: %s", name, call, text);
}

vb_status vb_gpu_alive(const vb_gpu *g, vb_err *err)
{
    if (g->lost) VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: %s: lost by an earlier failure", g->about.facts.name);
    return VB_OK;
}

int vb_gpu_lost(const vb_gpu *g)
{
    return g->lost;
}

int vb_gpu_settled(vb_gpu *g)
{
    if (!g->lost && g->done < g->submitted) vb_gpu_wait_for(g, g->submitted, NULL);
    if (g->hung || g->done == g->submitted) return !g->hung;
    VkSemaphoreWaitInfo wait = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                .semaphoreCount = 1,
                                .pSemaphores = &g->timeline,
                                .pValues = &g->submitted};
    VkResult r = g->vk.WaitSemaphores(g->device, &wait, g->wait_ns);
    if (r == VK_TIMEOUT) {
        g->hung = 1;
        return 0;
    }
    /* A device that is lost for the driver too comes to rest at once. */
    if (r != VK_SUCCESS) g->vk.DeviceWaitIdle(g->device);
    g->done = g->submitted;
    return 1;
}

static vb_status choose(vb_gpu *g, int index, vb_err *err)
{
    VkPhysicalDevice *list = NULL;
    int n = 0;
    VB_TRY(vb_gpu_physical(&list, &n, &g->vk, err));
    g->physical = index >= 0 && index < n ? list[index] : VK_NULL_HANDLE;
    free(list);
    if (g->physical == VK_NULL_HANDLE) {
        VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: device %d: expected a number below %d", index, n);
    }
    VB_TRY(vb_gpu_look(&g->about, &g->vk, g->physical, err));
    const vb_gpu_facts *f = &g->about.facts;
    if (f->lacks != NULL) VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: %s: it lacks %s", f->name, f->lacks);
    VkPhysicalDeviceMemoryProperties2 memory = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    g->vk.GetPhysicalDeviceMemoryProperties2(g->physical, &memory);
    g->memory = memory.memoryProperties;
    return VB_OK;
}

static vb_status make_device(vb_gpu *g, vb_err *err)
{
    const vb_gpu_facts *f = &g->about.facts;
    const char *names[3];
    uint32_t n = 0;
    if (f->imports) names[n++] = VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME;
    if (f->integer_dot) names[n++] = VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME;
    if (g->about.has_budget) names[n++] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
    float priority = 1.0f;
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueFamilyIndex = g->about.family,
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES, .shaderIntegerDotProduct = 1};
    VkPhysicalDeviceVulkan12Features f12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                            .pNext = f->integer_dot ? &dot : NULL,
                                            .timelineSemaphore = 1};
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .pNext = &f12,
                               .queueCreateInfoCount = 1,
                               .pQueueCreateInfos = &queue,
                               .enabledExtensionCount = n,
                               .ppEnabledExtensionNames = names};
    VkResult r = g->vk.CreateDevice(g->physical, &info, NULL, &g->device);
    if (r != VK_SUCCESS) {
        g->device = VK_NULL_HANDLE;
        VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: %s: vkCreateDevice: %s", f->name, vb_vulkan_text(r));
    }
    VB_TRY(vb_vulkan_find(&g->vk, g->device, err));
    g->vk.GetDeviceQueue(g->device, g->about.family, 0, &g->queue);
    return VB_OK;
}

/* One layout for all shaders: nine buffers, and the numbers behind where each begins in its binding. */
static vb_status make_layout(vb_gpu *g, vb_err *err)
{
    VkDescriptorSetLayoutBinding b[VB_GPU_BINDINGS] = {{0}};
    for (uint32_t i = 0; i < VB_GPU_BINDINGS; i++) {
        b[i].binding = i;
        b[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
        b[i].descriptorCount = 1;
        b[i].stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
    }
    VkDescriptorSetLayoutCreateInfo sets = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                            .bindingCount = VB_GPU_BINDINGS,
                                            .pBindings = b};
    VB_TRY(VB_VK(g, err, CreateDescriptorSetLayout, g->device, &sets, NULL, &g->sets));
    VkPushConstantRange numbers = {VK_SHADER_STAGE_COMPUTE_BIT, 0, 4 * (VB_GPU_BINDINGS + VB_GPU_NUMBERS)};
    VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                         .setLayoutCount = 1,
                                         .pSetLayouts = &g->sets,
                                         .pushConstantRangeCount = 1,
                                         .pPushConstantRanges = &numbers};
    return VB_VK(g, err, CreatePipelineLayout, g->device, &layout, NULL, &g->layout);
}

static vb_status make_parts(vb_gpu *g, vb_err *err)
{
    VB_TRY(make_layout(g, err));
    VkCommandPoolCreateInfo commands = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                        .queueFamilyIndex = g->about.family};
    VB_TRY(VB_VK(g, err, CreateCommandPool, g->device, &commands, NULL, &g->commands));
    VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                      .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
    VB_TRY(VB_VK(g, err, CreateSemaphore, g->device, &semaphore, NULL, &g->timeline));
    return vb_gpu_alloc(&g->empty, g, VB_GPU_LOCAL, 256, err);
}

vb_status vb_gpu_start(vb_gpu **out, int index, vb_err *err)
{
    vb_status s = VB_OK;
    *out = NULL;
    vb_gpu *g = calloc(1, sizeof *g);
    if (g == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory");
    VB_TRY_OUT(s, vb_vulkan_open(&g->vk, err));
    VB_TRY_OUT(s, choose(g, index, err));
    /* A processor has no watchdog, and others may want it too. */
    g->wait_ns = strcmp(g->about.facts.type, "cpu") == 0 ? 300000000000u : 10000000000u;
    VB_TRY_OUT(s, make_device(g, err));
    VB_TRY_OUT(s, make_parts(g, err));
    *out = g;
out:
    if (s < 0) vb_gpu_stop(g);
    return s;
}

static void destroy_parts(vb_gpu *g)
{
    for (int i = 0; i < g->n_pipelines; i++) g->vk.DestroyPipeline(g->device, g->pipelines[i].pipeline, NULL);
    if (g->timeline != VK_NULL_HANDLE) g->vk.DestroySemaphore(g->device, g->timeline, NULL);
    if (g->commands != VK_NULL_HANDLE) g->vk.DestroyCommandPool(g->device, g->commands, NULL);
    if (g->layout != VK_NULL_HANDLE) g->vk.DestroyPipelineLayout(g->device, g->layout, NULL);
    if (g->sets != VK_NULL_HANDLE) g->vk.DestroyDescriptorSetLayout(g->device, g->sets, NULL);
    g->vk.DestroyDevice(g->device, NULL);
}

void vb_gpu_stop(vb_gpu *g)
{
    if (g == NULL) return;
    vb_gpu_free(g, &g->empty);
    if (vb_gpu_settled(g)) { /* else the driver keeps what a hung device may still use */
        if (g->device != VK_NULL_HANDLE && g->vk.DestroyDevice != NULL) destroy_parts(g);
        vb_vulkan_close(&g->vk);
    }
    free(g->pipelines);
    free(g);
}

const vb_gpu_facts *vb_gpu_facts_of(const vb_gpu *g)
{
    return &g->about.facts;
}

int vb_gpu_keeps_subnormals(const vb_gpu *g)
{
    return (g->about.facts.modes & VB_GPU_SUBNORMALS) != 0;
}
