/* vulkan.h - Vulkan's functions, found while the program runs: nothing is linked, and a machine without a loader or a
 * driver is told from the answer of vb_vulkan_open.
 *
 *   library   libvulkan.so.1, or what VERBATIM_VULKAN names
 *   table     a pointer each, under its name without "vk": v->CreateBuffer(device, ...)
 */
#ifndef VB_GPU_VULKAN_H
#define VB_GPU_VULKAN_H
#define VK_NO_PROTOTYPES
#include "base/err.h"

#include <vulkan/vulkan_core.h>

/* Functions of an instance. */
#define VB_VK_INSTANCE(X)                                                                                      \
    X(DestroyInstance) X(EnumeratePhysicalDevices) X(GetPhysicalDeviceProperties) X(GetPhysicalDeviceProperties2) \
    X(GetPhysicalDeviceFeatures2) X(GetPhysicalDeviceMemoryProperties2) X(GetPhysicalDeviceQueueFamilyProperties) \
    X(EnumerateDeviceExtensionProperties) X(CreateDevice) X(GetDeviceProcAddr)
/* Functions of a device. */
#define VB_VK_DEVICE(X)                                                                                           \
    X(DestroyDevice) X(GetDeviceQueue) X(DeviceWaitIdle) X(AllocateMemory) X(FreeMemory) X(MapMemory)              \
    X(CreateBuffer) X(DestroyBuffer) X(GetBufferMemoryRequirements) X(BindBufferMemory)                           \
    X(CreateShaderModule) X(DestroyShaderModule) X(CreateDescriptorSetLayout) X(DestroyDescriptorSetLayout)       \
    X(CreatePipelineLayout) X(DestroyPipelineLayout) X(CreateComputePipelines) X(DestroyPipeline)                 \
    X(CreateDescriptorPool) X(DestroyDescriptorPool) X(AllocateDescriptorSets) X(UpdateDescriptorSets)            \
    X(CreateCommandPool) X(DestroyCommandPool) X(AllocateCommandBuffers) X(FreeCommandBuffers)                    \
    X(BeginCommandBuffer) X(EndCommandBuffer) X(CmdBindPipeline) X(CmdBindDescriptorSets) X(CmdPushConstants)     \
    X(CmdDispatch) X(CmdCopyBuffer) X(CmdPipelineBarrier) X(QueueSubmit) X(CreateSemaphore) X(DestroySemaphore)   \
    X(WaitSemaphores)

typedef struct {
    void *library;
    VkInstance instance;
    PFN_vkGetInstanceProcAddr GetInstanceProcAddr;
    PFN_vkGetMemoryHostPointerPropertiesEXT GetMemoryHostPointerPropertiesEXT; /* with its extension, else NULL */
#define VB_VK_POINTER(name) PFN_vk##name name;
    VB_VK_INSTANCE(VB_VK_POINTER)
    VB_VK_DEVICE(VB_VK_POINTER)
#undef VB_VK_POINTER
} vb_vulkan;

/* Loads the library, makes an instance and finds its functions. VB_E_UNSUPPORTED: no loader, no driver, or one that is
 * too old; *v is zeroed then. */
vb_status vb_vulkan_open(vb_vulkan *v, vb_err *err);
vb_status vb_vulkan_find(vb_vulkan *v, VkDevice device, vb_err *err); /* the functions of the device */
void vb_vulkan_close(vb_vulkan *v);                                   /* zeroed is fine */
const char *vb_vulkan_text(VkResult result);                          /* "device lost" */

#endif
