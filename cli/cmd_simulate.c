/* cmd_simulate.c - `verbatim simulate`: what the characters of a script say, a JSON object a line, in the script's order;
 * at the end a digest of all of it:  {"lines", "remembered", "tokens", "baked", "fallbacks", "digest"}
 */
#include "commands.h"
#include "input.h"
#include "lines.h"
#include "out.h"
#include "perform.h"

int vb_cmd_simulate(const vb_args *args)
{
    vb_cast *cast;
    vb_performed sum;
    vb_interrupt_catch();
    int code = vb_lines_open(&cast, args, args->cast, 0);
    if (code != 0) return code;
    code = vb_perform(args, cast, args->rest[0], 1, &sum);
    vb_cast_close(cast);
    if (code != 0) return code;
    char digest[33];
    vb_hex_text(digest, sum.digest, sizeof sum.digest);
    printf("{\"lines\":%lld,\"remembered\":%lld,\"tokens\":%lld,\"baked\":%lld,\"fallbacks\":%lld,\"digest\":\"%s\"}\n",
           (long long)sum.lines, (long long)sum.remembered, (long long)sum.tokens, (long long)sum.baked,
           (long long)sum.fallbacks, digest);
    vb_say("%lld lines, %lld tokens in %.1f s, %.0f tokens/s", (long long)sum.lines, (long long)sum.tokens, sum.seconds,
           sum.seconds > 0 ? (double)sum.tokens / sum.seconds : 0.0);
    return 0;
}
