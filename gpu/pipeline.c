/* pipeline.c - a pipeline for each shader and variant, made when it is first asked for, kept until the device stops. */
#include "gpu/inside.h"

#include <stdlib.h>
#include <string.h>

static vb_status make(VkPipeline *out, vb_gpu *g, const vb_gpu_dispatch *d, vb_err *err)
{
    uint32_t *words = NULL;
    size_t n = 0;
    VkSpecializationMapEntry entries[VB_GPU_VARIANTS];
    for (uint32_t i = 0; i < VB_GPU_VARIANTS; i++) entries[i] = (VkSpecializationMapEntry){i, 4 * i, 4};
    VB_TRY(vb_gpu_spirv(&words, &n, d->shader, g->about.facts.modes, err));
    VkShaderModuleCreateInfo text = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = n * sizeof *words, .pCode = words};
    VkShaderModule module = VK_NULL_HANDLE;
    vb_status s = VB_VK(g, err, CreateShaderModule, g->device, &text, NULL, &module);
    free(words);
    VB_TRY(s);
    VkSpecializationInfo variant = {VB_GPU_VARIANTS, entries, sizeof d->variant, d->variant};
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = &variant},
        .layout = g->layout};
    s = VB_VK(g, err, CreateComputePipelines, g->device, VK_NULL_HANDLE, 1, &info, NULL, out);
    g->vk.DestroyShaderModule(g->device, module, NULL);
    return s;
}

vb_status vb_gpu_pipeline_of(VkPipeline *out, vb_gpu *g, const vb_gpu_dispatch *d, vb_err *err)
{
    for (int i = 0; i < g->n_pipelines; i++) {
        const vb_gpu_pipeline *p = &g->pipelines[i];
        if (p->shader != d->shader || memcmp(p->variant, d->variant, sizeof p->variant) != 0) continue;
        *out = p->pipeline;
        return VB_OK;
    }
    if (g->n_pipelines == g->cap_pipelines) {
        int cap = g->cap_pipelines * 2 + 32;
        vb_gpu_pipeline *more = realloc(g->pipelines, (size_t)cap * sizeof *more);
        if (more == NULL) VB_FAIL(err, VB_E_MEMORY, "gpu: out of memory");
        g->pipelines = more;
        g->cap_pipelines = cap;
    }
    VB_TRY(make(out, g, d, err));
    vb_gpu_pipeline *p = &g->pipelines[g->n_pipelines++];
    p->shader = d->shader;
    memcpy(p->variant, d->variant, sizeof p->variant);
    p->pipeline = *out;
    return VB_OK;
}
