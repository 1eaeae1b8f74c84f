/* fingerprint.c - what decides the bits of an answer, short enough to send along with it.
 *
 *   vb1-0123456789abcdef-0123456789abcdef      arithmetic version ("vb1f32": f32 mode), plan, model
 */
#include "session/model.h"

#include "base/hash.h"

#include <string.h>

enum { PREFIX = 8 }; /* bytes of a digest */

VB_API int64_t vb_model_fingerprint(const vb_model *m, char *buf, size_t cap, vb_err *err)
{
    char plan[2 * PREFIX + 1], model[2 * PREFIX + 1];
    uint8_t sum[32];
    if (m->arch == NULL)
        VB_FAIL(err, VB_E_ARGUMENT, "%s: fingerprint: expected a model with a plan, found a vocabulary",
                vb_gguf_path(m->gguf));
    VB_TRY(vb_model_sha256(m, sum, err));
    vb_hex(plan, m->plan.digest, PREFIX);
    vb_hex(model, sum, PREFIX);
    return snprintf(cap > 0 ? buf : NULL, cap, "vb%d%s-%s-%s", VB_ARITHMETIC_VERSION, m->arith == VB_ARITH_F32 ? "f32" : "",
                    plan, model);
}
