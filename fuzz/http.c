/* http.c - fuzz target: any bytes to a server's socket. It answers with a status or closes, lets go of everything, and goes
 * on answering others.
 */
#include "fuzz/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char well[] = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    static unsigned runs;
    fuzz_server *f = fuzz_server_start();
    fuzz_exchange(f, (const char *)data, size, 1);
    int status = fuzz_status(f->answer);
    fuzz_must(f->len == 0 || (status >= 100 && status < 600 && status != 500));
    fuzz_wait_idle(f);
    if (runs++ % 16 > 0) return 0;
    fuzz_model(f);
    fuzz_exchange(f, well, sizeof well - 1, 0);
    fuzz_must(fuzz_status(f->answer) == 200);
    return 0;
}
