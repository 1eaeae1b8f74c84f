/* vulkan.c - a Vulkan loader that lies on command: named by VERBATIM_VULKAN it stands before the real one, passes
 * calls on, counts them, and does what the words of VULKAN_SHIM (with commas between) ask for:
 *
 *   fail=N:CODE         the Nth call that can fail does, without reaching the driver; fail=vkName@N:CODE the Nth of
 *                       that name. CODE: lost, device_memory, host_memory, timeout, init, and with a + behind it all calls
 *                       from there on. A device that is lost stays so.
 *   validate            the Khronos layer with synchronisation validation stands in between; what it says is noted
 *   nobarrier[=N]       all barriers, or the Nth, are forgotten         wide=N    the Nth descriptor is too long
 *   leak=N              the Nth buffer that goes is kept                spoil=N:E the Nth dispatch recorded has its
 *                                                                       output's word E overwritten
 *   constant=OLD:NEW    that word becomes this one in every shader's constants (hexadecimal)
 *   operation=OLD:NEW   every shader does this one (131: subtract floats) as if it were that one (129: add them)
 *   ftz                 the host's threads, and so a driver's on a CPU, keep no subnormals
 *   discrete, norte, nozeros, subnormals, nosubnormals, range=, align=, heap=, budget=, alloc=, old=, noimport, nodot
 *                       what the device says of itself (vulkan_pretend.h), and is held to
 *
 * What was seen is appended to the file VULKAN_SHIM_REPORT when the program ends.
 */
#if !__has_include(<vulkan/vulkan.h>)
typedef int no_headers_no_shim;
#else
#include "vulkan.h"

#include <dlfcn.h>
#include <link.h>

/* --- every function that is wrapped; real(Name) is what stands behind it */
#define WRAPPED(X)                                                                                                     \
    X(CreateInstance) X(DestroyInstance) X(EnumerateInstanceVersion) X(EnumerateInstanceExtensionProperties)           \
    X(EnumerateInstanceLayerProperties) X(EnumeratePhysicalDevices) X(EnumerateDeviceExtensionProperties)              \
    X(GetPhysicalDeviceProperties) X(GetPhysicalDeviceProperties2) X(GetPhysicalDeviceFeatures2)                       \
    X(GetPhysicalDeviceMemoryProperties) X(GetPhysicalDeviceMemoryProperties2) X(GetDeviceProcAddr)                    \
    X(CreateDevice) X(DestroyDevice) X(AllocateMemory) X(FreeMemory) X(MapMemory) X(FlushMappedMemoryRanges)           \
    X(InvalidateMappedMemoryRanges) X(BindBufferMemory) X(CreateBuffer) X(DestroyBuffer)                               \
    X(GetBufferMemoryRequirements) X(GetBufferMemoryRequirements2) X(GetMemoryHostPointerPropertiesEXT)                \
    X(CreateShaderModule) X(DestroyShaderModule) X(CreatePipelineCache) X(DestroyPipelineCache)                        \
    X(CreateComputePipelines) X(DestroyPipeline) X(CreatePipelineLayout) X(DestroyPipelineLayout)                      \
    X(CreateDescriptorSetLayout) X(DestroyDescriptorSetLayout) X(CreateDescriptorPool) X(DestroyDescriptorPool)        \
    X(ResetDescriptorPool) X(AllocateDescriptorSets) X(FreeDescriptorSets) X(UpdateDescriptorSets)                     \
    X(CreateCommandPool) X(DestroyCommandPool) X(ResetCommandPool) X(AllocateCommandBuffers) X(BeginCommandBuffer)     \
    X(EndCommandBuffer) X(ResetCommandBuffer) X(CmdPipelineBarrier) X(CmdBindDescriptorSets) X(CmdPushConstants)       \
    X(CmdDispatch) X(CmdFillBuffer) X(QueueSubmit) X(QueueWaitIdle) X(DeviceWaitIdle) X(CreateSemaphore)               \
    X(DestroySemaphore) X(WaitSemaphores) X(GetSemaphoreCounterValue) X(CreateFence) X(DestroyFence)                   \
    X(WaitForFences) X(ResetFences) X(GetFenceStatus) X(CreateQueryPool) X(DestroyQueryPool) X(GetQueryPoolResults)
#define X(name) AT_##name,
enum { WRAPPED(X) FUNCTIONS };
#undef X
#define X(name) "vk" #name,
static const char *const names[FUNCTIONS] = {WRAPPED(X)};
#undef X
static PFN_vkVoidFunction behind[FUNCTIONS];
static PFN_vkGetInstanceProcAddr loader;
static uint64_t calls[FUNCTIONS], fallible;
#define real(name) ((PFN_vk##name)behind[AT_##name])

/* --- faults */
static int is_lost, fault_seen;
static VkDevice the_device;
static VkInstance the_instance;
static const struct {
    const char *word;
    VkResult result;
} codes[] = {{"lost", VK_ERROR_DEVICE_LOST},
             {"device_memory", VK_ERROR_OUT_OF_DEVICE_MEMORY},
             {"host_memory", VK_ERROR_OUT_OF_HOST_MEMORY},
             {"timeout", VK_TIMEOUT},
             {"init", VK_ERROR_INITIALIZATION_FAILED}};

static VkResult code_of(const char *w)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strncmp(w, codes[i].word, strlen(codes[i].word)) == 0) return codes[i].result;
    return VK_ERROR_UNKNOWN;
}

static int tells_of_loss(int function)
{
    return function == AT_QueueSubmit || function == AT_QueueWaitIdle || function == AT_DeviceWaitIdle ||
           function == AT_WaitSemaphores || function == AT_GetSemaphoreCounterValue || function == AT_WaitForFences ||
           function == AT_GetFenceStatus || function == AT_GetQueryPoolResults;
}

/* The plan's fault, if this call is the one; called under the lock. */
static VkResult planned(int function)
{
    const char *plan = word("fail"), *at = plan != NULL ? strchr(plan, '@') : NULL, *end;
    if (plan == NULL) return VK_SUCCESS;
    end = strchr(plan, ',');
    if (end != NULL && at > end) at = NULL;
    if (at != NULL && (strncmp(plan, names[function], (size_t)(at - plan)) != 0 || names[function][at - plan] != 0))
        return VK_SUCCESS;
    const char *colon = strchr(plan, ':');
    uint64_t n = strtoull(at != NULL ? at + 1 : plan, NULL, 10), now = at != NULL ? calls[function] : fallible;
    size_t len = strcspn(plan, ",");
    if (colon == NULL || (now != n && !(now > n && plan[len - 1] == '+'))) return VK_SUCCESS;
    fault_seen++;
    return code_of(colon + 1);
}

/* Counts a call that can fail; whether it does now, and how. A device that is lost has nothing under way any more. */
static int fails(int function, VkResult *result)
{
    pthread_mutex_lock(&lock);
    calls[function]++;
    fallible++;
    *result = planned(function);
    if (*result == VK_ERROR_DEVICE_LOST) is_lost = 1;
    if (is_lost && tells_of_loss(function)) *result = VK_ERROR_DEVICE_LOST;
    pthread_mutex_unlock(&lock);
    if (*result == VK_ERROR_DEVICE_LOST && the_device != VK_NULL_HANDLE) real(DeviceWaitIdle)(the_device);
    return *result != VK_SUCCESS;
}

#define CALL(name, params, args)                                                                                       \
    static VKAPI_ATTR VkResult VKAPI_CALL wrap_##name params                                                           \
    {                                                                                                                  \
        VkResult r;                                                                                                    \
        return fails(AT_##name, &r) ? r : real(name) args;                                                             \
    }

/* --- objects: how many of each kind are alive */
#define OBJECTS(X)                                                                                                     \
    X(Instance) X(Device) X(Memory) X(Buffer) X(ShaderModule) X(PipelineCache) X(Pipeline) X(PipelineLayout)           \
    X(DescriptorSetLayout) X(DescriptorPool) X(CommandPool) X(Semaphore) X(Fence) X(QueryPool)
#define X(name) LIVE_##name,
enum { OBJECTS(X) KINDS };
#undef X
#define X(name) #name,
static const char *const kinds[KINDS] = {OBJECTS(X)};
#undef X
static int64_t live[KINDS];

static void lives(int kind, int64_t by)
{
    pthread_mutex_lock(&lock);
    live[kind] += by;
    pthread_mutex_unlock(&lock);
}

#define CREATES(name, info, object)                                                                                    \
    static VKAPI_ATTR VkResult VKAPI_CALL wrap_Create##name(                                                           \
        VkDevice d, const info *how, const VkAllocationCallbacks *a, object *out)                                      \
    {                                                                                                                  \
        VkResult r;                                                                                                    \
        if (fails(AT_Create##name, &r)) return r;                                                                      \
        r = real(Create##name)(d, how, a, out);                                                                        \
        if (r == VK_SUCCESS) lives(LIVE_##name, 1);                                                                    \
        return r;                                                                                                      \
    }
#define DESTROYS(name, object)                                                                                         \
    static VKAPI_ATTR void VKAPI_CALL wrap_Destroy##name(VkDevice d, object o, const VkAllocationCallbacks *a)         \
    {                                                                                                                  \
        if (o != VK_NULL_HANDLE) lives(LIVE_##name, -1);                                                               \
        real(Destroy##name)(d, o, a);                                                                                  \
    }

#include "vulkan_pretend.h"
#include "vulkan_plant.h"

/* --- instances and devices */
static VkBool32 VKAPI_PTR told(VkDebugUtilsMessageSeverityFlagBitsEXT severity, VkDebugUtilsMessageTypeFlagsEXT types,
                               const VkDebugUtilsMessengerCallbackDataEXT *data, void *ud)
{
    (void)severity, (void)types, (void)ud;
    message("%s: %s", data->pMessageIdName != NULL ? data->pMessageIdName : "", data->pMessage);
    return VK_FALSE;
}

static VkDebugUtilsMessengerEXT messenger;
static const VkDebugUtilsMessengerCreateInfoEXT ear = {
    .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
    .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
    .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
    .pfnUserCallback = told};

/* The same instance with the layer in between. */
static VkResult create_validated(const VkInstanceCreateInfo *how, const VkAllocationCallbacks *a, VkInstance *out)
{
    const VkValidationFeatureEnableEXT on[] = {VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    VkValidationFeaturesEXT features = {.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT, .pNext = &ear,
                                        .enabledValidationFeatureCount = 1, .pEnabledValidationFeatures = on};
    const char *layers[] = {"VK_LAYER_KHRONOS_validation"}, *extensions[32] = {"VK_EXT_debug_utils"};
    uint32_t n = 1;
    for (uint32_t i = 0; i < how->enabledExtensionCount && n < 32; i++)
        if (strcmp(how->ppEnabledExtensionNames[i], extensions[0]) != 0)
            extensions[n++] = how->ppEnabledExtensionNames[i];
    VkInstanceCreateInfo mine = *how;
    mine.pNext = &features; /* the program's own chain is left out: it has nothing there but a messenger of its own */
    mine.enabledLayerCount = 1;
    mine.ppEnabledLayerNames = layers;
    mine.enabledExtensionCount = n;
    mine.ppEnabledExtensionNames = extensions;
    VkResult r = real(CreateInstance)(&mine, a, out);
    if (r != VK_SUCCESS) {
        message("no validation: the layer cannot be had (%d)", r);
        return r;
    }
    PFN_vkCreateDebugUtilsMessengerEXT listen =
        (PFN_vkCreateDebugUtilsMessengerEXT)loader(*out, "vkCreateDebugUtilsMessengerEXT");
    if (listen == NULL || listen(*out, &ear, NULL, &messenger) != VK_SUCCESS) message("no validation: nobody listens");
    return r;
}

static VKAPI_ATTR VkResult VKAPI_CALL wrap_CreateInstance(const VkInstanceCreateInfo *how,
                                                          const VkAllocationCallbacks *a, VkInstance *out)
{
    VkResult r;
    if (fails(AT_CreateInstance, &r)) return r;
    r = word("validate") != NULL ? create_validated(how, a, out) : real(CreateInstance)(how, a, out);
    if (r != VK_SUCCESS) return r;
    lives(LIVE_Instance, 1);
    the_instance = *out;
    return r;
}

/* What a driver leaks is told by the name of its library, which must still be there when the program ends. */
static int pin(struct dl_phdr_info *library, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    if (library->dlpi_name[0] == '/') dlopen(library->dlpi_name, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
    return 0;
}

static VKAPI_ATTR void VKAPI_CALL wrap_DestroyInstance(VkInstance i, const VkAllocationCallbacks *a)
{
    if (i != VK_NULL_HANDLE) lives(LIVE_Instance, -1);
    PFN_vkDestroyDebugUtilsMessengerEXT hush =
        (PFN_vkDestroyDebugUtilsMessengerEXT)loader(i, "vkDestroyDebugUtilsMessengerEXT");
    if (messenger != VK_NULL_HANDLE && hush != NULL) hush(i, messenger, NULL);
    messenger = VK_NULL_HANDLE;
    dl_iterate_phdr(pin, NULL);
    real(DestroyInstance)(i, a);
}

static VKAPI_ATTR VkResult VKAPI_CALL wrap_CreateDevice(VkPhysicalDevice p, const VkDeviceCreateInfo *how,
                                                        const VkAllocationCallbacks *a, VkDevice *out)
{
    const char *extensions[64];
    VkDeviceCreateInfo mine = *how;
    VkResult r;
    if (fails(AT_CreateDevice, &r)) return r;
    mine.enabledExtensionCount = 0;
    mine.ppEnabledExtensionNames = extensions;
    for (uint32_t i = 0; i < how->enabledExtensionCount && mine.enabledExtensionCount < 64; i++)
        if (!is_pretended(how->ppEnabledExtensionNames[i]))
            extensions[mine.enabledExtensionCount++] = how->ppEnabledExtensionNames[i];
    flush_subnormals();
    r = real(CreateDevice)(p, &mine, a, out);
    if (r != VK_SUCCESS) return r;
    lives(LIVE_Device, 1);
    the_device = *out;
    behind[AT_DeviceWaitIdle] = loader(the_instance, "vkDeviceWaitIdle");
    return r;
}

static VKAPI_ATTR void VKAPI_CALL wrap_DestroyDevice(VkDevice d, const VkAllocationCallbacks *a)
{
    if (d != VK_NULL_HANDLE) lives(LIVE_Device, -1);
    if (d == the_device) the_device = VK_NULL_HANDLE;
    is_lost = 0;
    real(DestroyDevice)(d, a);
}

CALL(EnumerateInstanceVersion, (uint32_t *v), (v))
CALL(EnumerateInstanceExtensionProperties, (const char *l, uint32_t *n, VkExtensionProperties *e), (l, n, e))
CALL(EnumerateInstanceLayerProperties, (uint32_t *n, VkLayerProperties *l), (n, l))
CALL(EnumeratePhysicalDevices, (VkInstance i, uint32_t *n, VkPhysicalDevice *p), (i, n, p))

/* --- what is passed on, and can fail */
CALL(FlushMappedMemoryRanges, (VkDevice d, uint32_t n, const VkMappedMemoryRange *m), (d, n, m))
CALL(InvalidateMappedMemoryRanges, (VkDevice d, uint32_t n, const VkMappedMemoryRange *m), (d, n, m))
CALL(BindBufferMemory, (VkDevice d, VkBuffer b, VkDeviceMemory m, VkDeviceSize at), (d, b, m, at))
CALL(ResetDescriptorPool, (VkDevice d, VkDescriptorPool p, VkDescriptorPoolResetFlags f), (d, p, f))
CALL(AllocateDescriptorSets, (VkDevice d, const VkDescriptorSetAllocateInfo *how, VkDescriptorSet *s), (d, how, s))
CALL(FreeDescriptorSets, (VkDevice d, VkDescriptorPool p, uint32_t n, const VkDescriptorSet *s), (d, p, n, s))
CALL(ResetCommandPool, (VkDevice d, VkCommandPool p, VkCommandPoolResetFlags f), (d, p, f))
CALL(AllocateCommandBuffers, (VkDevice d, const VkCommandBufferAllocateInfo *how, VkCommandBuffer *b), (d, how, b))
CALL(BeginCommandBuffer, (VkCommandBuffer b, const VkCommandBufferBeginInfo *how), (b, how))
CALL(EndCommandBuffer, (VkCommandBuffer b), (b))
CALL(ResetCommandBuffer, (VkCommandBuffer b, VkCommandBufferResetFlags f), (b, f))
CALL(QueueWaitIdle, (VkQueue q), (q))
CALL(DeviceWaitIdle, (VkDevice d), (d))
CALL(WaitSemaphores, (VkDevice d, const VkSemaphoreWaitInfo *how, uint64_t ns), (d, how, ns))
CALL(GetSemaphoreCounterValue, (VkDevice d, VkSemaphore s, uint64_t *v), (d, s, v))
CALL(WaitForFences, (VkDevice d, uint32_t n, const VkFence *f, VkBool32 all, uint64_t ns), (d, n, f, all, ns))
CALL(ResetFences, (VkDevice d, uint32_t n, const VkFence *f), (d, n, f))
CALL(GetFenceStatus, (VkDevice d, VkFence f), (d, f))
CALL(GetQueryPoolResults,
     (VkDevice d, VkQueryPool p, uint32_t first, uint32_t n, size_t bytes, void *to, VkDeviceSize stride,
      VkQueryResultFlags f),
     (d, p, first, n, bytes, to, stride, f))
CREATES(PipelineCache, VkPipelineCacheCreateInfo, VkPipelineCache)
CREATES(PipelineLayout, VkPipelineLayoutCreateInfo, VkPipelineLayout)
CREATES(DescriptorSetLayout, VkDescriptorSetLayoutCreateInfo, VkDescriptorSetLayout)
CREATES(DescriptorPool, VkDescriptorPoolCreateInfo, VkDescriptorPool)
CREATES(CommandPool, VkCommandPoolCreateInfo, VkCommandPool)
CREATES(Semaphore, VkSemaphoreCreateInfo, VkSemaphore)
CREATES(Fence, VkFenceCreateInfo, VkFence)
CREATES(QueryPool, VkQueryPoolCreateInfo, VkQueryPool)
DESTROYS(ShaderModule, VkShaderModule)
DESTROYS(PipelineCache, VkPipelineCache)
DESTROYS(Pipeline, VkPipeline)
DESTROYS(PipelineLayout, VkPipelineLayout)
DESTROYS(DescriptorSetLayout, VkDescriptorSetLayout)
DESTROYS(DescriptorPool, VkDescriptorPool)
DESTROYS(CommandPool, VkCommandPool)
DESTROYS(Semaphore, VkSemaphore)
DESTROYS(Fence, VkFence)
DESTROYS(QueryPool, VkQueryPool)

static VKAPI_ATTR VkResult VKAPI_CALL wrap_CreateComputePipelines(VkDevice d, VkPipelineCache c, uint32_t n,
                                                                  const VkComputePipelineCreateInfo *how,
                                                                  const VkAllocationCallbacks *a, VkPipeline *out)
{
    VkResult r;
    for (uint32_t i = 0; i < n; i++) out[i] = VK_NULL_HANDLE;
    if (fails(AT_CreateComputePipelines, &r)) return r;
    r = real(CreateComputePipelines)(d, c, n, how, a, out);
    for (uint32_t i = 0; i < n; i++) lives(LIVE_Pipeline, out[i] != VK_NULL_HANDLE);
    return r;
}

static VKAPI_ATTR VkResult VKAPI_CALL wrap_QueueSubmit(VkQueue q, uint32_t n, const VkSubmitInfo *how, VkFence f)
{
    VkResult r;
    if (fails(AT_QueueSubmit, &r)) return r;
    pthread_mutex_lock(&lock);
    seen.submissions++;
    pthread_mutex_unlock(&lock);
    return real(QueueSubmit)(q, n, how, f);
}

/* --- names become functions */
static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL wrap_GetDeviceProcAddr(VkDevice device, const char *name);
#define X(name) (PFN_vkVoidFunction)wrap_##name,
static const PFN_vkVoidFunction wrappers[FUNCTIONS] = {WRAPPED(X)};
#undef X

static PFN_vkVoidFunction wrapped(const char *name, PFN_vkVoidFunction next)
{
    for (int i = 0; i < FUNCTIONS && next != NULL; i++) {
        if (strcmp(names[i], name) != 0) continue;
        behind[i] = next;
        return wrappers[i];
    }
    return next;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL wrap_GetDeviceProcAddr(VkDevice device, const char *name)
{
    return wrapped(name, real(GetDeviceProcAddr)(device, name));
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance instance, const char *name);
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance instance, const char *name)
{
    if (loader == NULL) return NULL;
    if (strcmp(name, "vkGetInstanceProcAddr") == 0) return (PFN_vkVoidFunction)vkGetInstanceProcAddr;
    return wrapped(name, loader(instance, name));
}

__attribute__((constructor)) static void begin(void)
{
    Dl_info self;
    void *library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
    /* Calls are counted over the whole program, however often it closes its loader. */
    if (dladdr((void *)(uintptr_t)&loader, &self) != 0) dlopen(self.dli_fname, RTLD_NOW | RTLD_NODELETE);
    if (library != NULL) loader = (PFN_vkGetInstanceProcAddr)dlsym(library, "vkGetInstanceProcAddr");
}

__attribute__((destructor)) static void report(void)
{
    const char *path = getenv("VULKAN_SHIM_REPORT");
    FILE *f = path != NULL ? fopen(path, "a") : NULL;
    if (f == NULL) return;
    fprintf(f, "fallible %llu\nfaults %d\n", (unsigned long long)fallible, fault_seen);
    fprintf(f, "submissions %llu\ndispatches %llu\npeak %llu\nplanted %d\n", (unsigned long long)seen.submissions,
            (unsigned long long)seen.dispatches, (unsigned long long)seen.peak, planted);
    for (int i = 0; i < FUNCTIONS; i++)
        if (calls[i] > 0) fprintf(f, "call %s %llu\n", names[i], (unsigned long long)calls[i]);
    for (int i = 0; i < KINDS; i++)
        if (live[i] != 0) fprintf(f, "live %s %lld\n", kinds[i], (long long)live[i]);
    for (int i = 0; i < seen.n_messages && i < MOST_MESSAGES; i++) fprintf(f, "message %s\n", seen.messages[i]);
    for (int i = 0; i < MOST_MESSAGES; i++) free(seen.messages[i]);
    fclose(f);
}
#endif
