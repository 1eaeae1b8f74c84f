/* inside.h - an opened device as the files that implement core.h share it.
 *
 *   vulkan.c    the loader, an instance, pointers of functions
 *   instance.c  what the driver says of its devices
 *   device.c    one of them opened, its failures, its end
 *   memory.c    buffers
 *   spirv.c     the shaders, with the float modes of the device patched in
 *   pipeline.c  a pipeline for each shader and variant, made when it is first asked for
 *   tape.c      commands recorded, played, waited for
 */
#ifndef VB_GPU_INSIDE_H
#define VB_GPU_INSIDE_H
#include "gpu/core.h"
#include "gpu/vulkan.h"

/* What the driver says of a device, and more than others need to know. */
typedef struct {
    vb_gpu_facts facts;
    uint32_t family; /* of queues */
    uint32_t most_groups[3];
    uint64_t import_alignment;
    int has_budget;
} vb_gpu_about;

typedef struct {
    vb_gpu_shader shader;
    uint32_t variant[VB_GPU_VARIANTS];
    VkPipeline pipeline;
} vb_gpu_pipeline;

enum { VB_GPU_PENDING = 64, VB_GPU_IN_FLIGHT = 8 };

struct vb_gpu {
    vb_vulkan vk;
    vb_gpu_about about;
    VkPhysicalDevice physical;
    VkDevice device;
    VkQueue queue;
    VkCommandPool commands;
    VkDescriptorSetLayout sets;
    VkPipelineLayout layout;
    VkSemaphore timeline; /* counts submissions that are done */
    vb_gpu_buffer empty;  /* what a shader that is given no buffer sees */
    VkPhysicalDeviceMemoryProperties memory;
    _Atomic uint64_t in_use;
    vb_gpu_pipeline *pipelines;
    int n_pipelines, cap_pipelines;
    uint64_t submitted, done; /* submissions, by number: the first is 1 */
    VkCommandBuffer pending[VB_GPU_PENDING]; /* played, but not yet submitted */
    int n_pending;
    uint64_t pending_work, wait_ns;
    int lost, hung; /* hung: it may still be at work, so nothing of it can be destroyed */
};

/* All devices of this instance, malloc'ed; *n: their number. */
vb_status vb_gpu_physical(VkPhysicalDevice **out, int *n, const vb_vulkan *v, vb_err *err);
vb_status vb_gpu_look(vb_gpu_about *out, const vb_vulkan *v, VkPhysicalDevice p, vb_err *err);
/* Whether it is one of these types, and has no property that makes it a matter of its own. */
int vb_gpu_plain_type(const VkPhysicalDeviceMemoryProperties *m, uint32_t bits, uint32_t i);
/* Where buffers that only shaders use are; -1 where there is no such memory. */
int vb_gpu_local_type(const VkPhysicalDeviceMemoryProperties *m, uint32_t bits, int mapped);

/* VB_E_MEMORY if the driver has none; any other failure loses the device. */
vb_status vb_gpu_result(vb_gpu *g, VkResult r, const char *call, vb_err *err);
/* The same, but a lack of memory is a failure too: what was played is neither done nor to come. */
vb_status vb_gpu_lose(vb_gpu *g, VkResult r, const char *call, vb_err *err);
#define VB_VK(g, err, name, ...) vb_gpu_result(g, (g)->vk.name(__VA_ARGS__), "vk" #name, err)
vb_status vb_gpu_alive(const vb_gpu *g, vb_err *err);
/* Before something is destroyed: waits until the device leaves its memory alone. 0: it never did. */
int vb_gpu_settled(vb_gpu *g);

/* The shader's text with modes of floats, malloc'ed; *words: its length. */
vb_status vb_gpu_spirv(uint32_t **out, size_t *words, vb_gpu_shader shader, int modes, vb_err *err);
const char *vb_gpu_shader_name(vb_gpu_shader shader);
vb_status vb_gpu_pipeline_of(VkPipeline *out, vb_gpu *g, const vb_gpu_dispatch *d, vb_err *err);
VkBuffer vb_gpu_handle(const vb_gpu_buffer *b);

vb_status vb_gpu_flush(vb_gpu *g, vb_err *err);                       /* submits what is pending */
vb_status vb_gpu_wait_for(vb_gpu *g, uint64_t submission, vb_err *err); /* which must have been submitted */

#endif
