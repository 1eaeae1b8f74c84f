/* vulkan.c - the loader by dlopen, an instance, and the table of functions. */
#include "gpu/vulkan.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    VkResult result;
    const char *text;
} texts[] = {
    {VK_SUCCESS, "success"},
    {VK_TIMEOUT, "not finished in time"},
    {VK_ERROR_OUT_OF_HOST_MEMORY, "out of host memory"},
    {VK_ERROR_OUT_OF_DEVICE_MEMORY, "out of device memory"},
    {VK_ERROR_INITIALIZATION_FAILED, "initialization failed"},
    {VK_ERROR_DEVICE_LOST, "device lost"},
    {VK_ERROR_MEMORY_MAP_FAILED, "memory cannot be mapped"},
    {VK_ERROR_LAYER_NOT_PRESENT, "a layer is missing"},
    {VK_ERROR_EXTENSION_NOT_PRESENT, "an extension is missing"},
    {VK_ERROR_FEATURE_NOT_PRESENT, "a feature is missing"},
    {VK_ERROR_INCOMPATIBLE_DRIVER, "no driver"},
    {VK_ERROR_TOO_MANY_OBJECTS, "too many objects"},
    {VK_ERROR_FRAGMENTED_POOL, "a pool is fragmented"},
    {VK_ERROR_OUT_OF_POOL_MEMORY, "a pool is full"},
    {VK_ERROR_INVALID_EXTERNAL_HANDLE, "this memory cannot be imported"},
};

const char *vb_vulkan_text(VkResult result)
{
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].result == result) return texts[i].text;
    return "an unknown error";
}

static vb_status load(vb_vulkan *v, vb_err *err)
{
    const char *name = getenv("VERBATIM_VULKAN");
    if (name == NULL || *name == 0) name = "libvulkan.so.1";
    v->library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (v->library == NULL) VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: no Vulkan loader: %s", dlerror());
    void *symbol = dlsym(v->library, "vkGetInstanceProcAddr");
    memcpy(&v->GetInstanceProcAddr, &symbol, sizeof symbol);
    if (symbol == NULL) VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: %s: it has no vkGetInstanceProcAddr", name);
    return VB_OK;
}

static vb_status make_instance(vb_vulkan *v, vb_err *err)
{
    PFN_vkCreateInstance create = (PFN_vkCreateInstance)v->GetInstanceProcAddr(NULL, "vkCreateInstance");
    PFN_vkEnumerateInstanceVersion version =
        (PFN_vkEnumerateInstanceVersion)v->GetInstanceProcAddr(NULL, "vkEnumerateInstanceVersion");
    uint32_t offered = VK_API_VERSION_1_0;
    if (create == NULL || version == NULL || version(&offered) != VK_SUCCESS || offered < VK_API_VERSION_1_2) {
        VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: the Vulkan loader is older than version 1.2");
    }
    VkApplicationInfo app = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                             .pApplicationName = "verbatim",
                             .pEngineName = "verbatim",
                             .apiVersion = VK_API_VERSION_1_2};
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &app};
    VkResult r = create(&info, NULL, &v->instance);
    if (r == VK_SUCCESS) return VB_OK;
    v->instance = VK_NULL_HANDLE;
    VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: vkCreateInstance: %s", vb_vulkan_text(r));
}

vb_status vb_vulkan_open(vb_vulkan *v, vb_err *err)
{
    const char *missing = NULL;
    vb_status s = VB_OK;
    memset(v, 0, sizeof *v);
    VB_TRY_OUT(s, load(v, err));
    VB_TRY_OUT(s, make_instance(v, err));
#define FIND(name)                                                                     \
    v->name = (PFN_vk##name)v->GetInstanceProcAddr(v->instance, "vk" #name);           \
    if (v->name == NULL) missing = "vk" #name;
    VB_VK_INSTANCE(FIND)
#undef FIND
    if (missing != NULL) s = vb_fail(err, VB_E_UNSUPPORTED, "gpu: the Vulkan loader has no %s", missing);
out:
    if (s < 0) vb_vulkan_close(v);
    return s;
}

vb_status vb_vulkan_find(vb_vulkan *v, VkDevice device, vb_err *err)
{
    const char *missing = NULL;
#define FIND(name)                                                        \
    v->name = (PFN_vk##name)v->GetDeviceProcAddr(device, "vk" #name);     \
    if (v->name == NULL) missing = "vk" #name;
    VB_VK_DEVICE(FIND)
#undef FIND
    v->GetMemoryHostPointerPropertiesEXT = (PFN_vkGetMemoryHostPointerPropertiesEXT)v->GetDeviceProcAddr(
        device, "vkGetMemoryHostPointerPropertiesEXT");
    if (missing != NULL) VB_FAIL(err, VB_E_UNSUPPORTED, "gpu: the Vulkan driver has no %s", missing);
    return VB_OK;
}

void vb_vulkan_close(vb_vulkan *v)
{
    if (v->instance != VK_NULL_HANDLE && v->DestroyInstance != NULL) v->DestroyInstance(v->instance, NULL);
    if (v->library != NULL) dlclose(v->library);
    memset(v, 0, sizeof *v);
}
