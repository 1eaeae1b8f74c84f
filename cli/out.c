/* out.c - see out.h. Invariant: nothing but data goes to stdout, and a byte of it that could not be written is never
 * reported as success.
 */
#include "out.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void on_log(void *ud, int level, const char *line)
{
    (void)ud;
    vb_say("%s: %s", level > 0 ? "warning" : "note", line);
}

void vb_out_start(void)
{
    /* Opened the wrong way round: a closed stdin cannot be read, a closed stdout not be written. */
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd) _exit(VB_EXIT_IO);
    signal(SIGPIPE, SIG_IGN);
    vb_log_to(on_log, NULL);
}

int vb_out_flush(void)
{
    static int told;
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    if (!told) vb_say("stdout: cannot write: %s", errno ? strerror(errno) : "an earlier write failed");
    told = 1;
    return VB_EXIT_IO;
}

int vb_out_end(int code)
{
    int failed = vb_out_flush();
    if (!failed && fclose(stdout) != 0) {
        vb_say("stdout: cannot write: %s", strerror(errno));
        failed = VB_EXIT_IO;
    }
    return code == VB_EXIT_OK || code == VB_EXIT_DIFFERS ? (failed ? failed : code) : code;
}

static int says_json;

void vb_say_as_json(void)
{
    says_json = 1;
}

static void say_json(const char *line)
{
    char when[40];
    struct tm parts;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &parts);
    size_t n = strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(when + n, sizeof when - n, ".%06ldZ", t.tv_nsec / 1000);
    json_t *value = json_pack("{s:s, s:s, s:o}", "time", when, "event", "talk", "message", vb_json_string(line));
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
    if (text != NULL) fprintf(stderr, "%s\n", text);
    free(text);
    json_decref(value);
}

void vb_say(const char *fmt, ...)
{
    char line[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (says_json) {
        say_json(line);
        return;
    }
    fprintf(stderr, "%sverbatim:%s ", vb_colour(stderr, "1"), vb_colour(stderr, "0"));
    vb_put_escaped(stderr, line, strlen(line));
    fputc('\n', stderr);
}

int vb_exit_code(vb_status status)
{
    switch (status) {
    case VB_OK: return VB_EXIT_OK;
    case VB_E_DIFFERS: return VB_EXIT_DIFFERS;
    case VB_E_ARGUMENT: return VB_EXIT_USAGE;
    case VB_E_IO: return VB_EXIT_IO;
    case VB_E_MEMORY: return VB_EXIT_MEMORY;
    case VB_E_STOPPED: return VB_EXIT_INTERRUPTED;
    case VB_E_FORMAT:
    case VB_E_UNSUPPORTED:
    case VB_E_FULL:
    case VB_E_NOT_FOUND: return VB_EXIT_INPUT;
    }
    return VB_EXIT_INPUT;
}

int vb_report(vb_status status, const vb_err *err)
{
    vb_say("%s", err->text[0] ? err->text : vb_status_name(status));
    return vb_exit_code(status);
}

int vb_wrong(const char *what, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    vb_say("%s: %s", what, line);
    return VB_EXIT_USAGE;
}

int vb_no_memory(void)
{
    vb_say("out of memory");
    return VB_EXIT_MEMORY;
}

const char *vb_colour(FILE *to, const char *code)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    if ((no_color != NULL && *no_color) || term == NULL || strcmp(term, "dumb") == 0 || !isatty(fileno(to))) return "";
    switch (*code) {
    case '0': return "\033[0m";
    case '1': return "\033[1m";
    case '2': return "\033[2m";
    default: return strcmp(code, "31") == 0 ? "\033[31m" : "\033[32m";
    }
}

void vb_put_escaped(FILE *to, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\n') fputs("\\n", to);
        else if (c == '\t') fputs("\\t", to);
        else if (c < 0x20 || c == 0x7f) fprintf(to, "\\x%02x", c);
        else fputc(c, to);
    }
}

void vb_put_bytes(FILE *to, uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes / 1024;
    int unit = 0;
    for (; value >= 1024 && unit < 3; unit++) value /= 1024;
    if (bytes < 1024) fprintf(to, "%d B", (int)bytes);
    else fprintf(to, "%.1f %s", value, units[unit]);
}

int vb_print_json(json_t *value)
{
    if (value == NULL) return vb_no_memory();
    int failed = json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
    json_decref(value);
    fputc('\n', stdout);
    return failed ? vb_out_flush() : VB_EXIT_OK;
}

/* Bytes of the valid UTF-8 sequence at s (shortest form, no surrogates), 0 if there is none. */
static size_t utf8_length(const unsigned char *s, size_t left)
{
    unsigned char c = s[0], low = 0x80, high = 0xbf;
    size_t n = c < 0x80 ? 1 : c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
    if (n == 0 || n > left) return 0;
    if (c == 0xe0) low = 0xa0;
    if (c == 0xed) high = 0x9f;
    if (c == 0xf0) low = 0x90;
    if (c == 0xf4) high = 0x8f;
    for (size_t i = 1; i < n; i++, low = 0x80, high = 0xbf)
        if (s[i] < low || s[i] > high) return 0;
    return n;
}

json_t *vb_json_text(const char *text, size_t len)
{
    char *clean = malloc(3 * len + 1);
    if (clean == NULL) return NULL;
    size_t at = 0;
    for (size_t i = 0; i < len;) {
        size_t n = utf8_length((const unsigned char *)text + i, len - i);
        memcpy(clean + at, n ? text + i : "\xef\xbf\xbd", n ? n : 3);
        at += n ? n : 3;
        i += n ? n : 1;
    }
    json_t *value = json_stringn(clean, at);
    free(clean);
    return value;
}

json_t *vb_json_string(const char *text)
{
    return text == NULL ? json_null() : vb_json_text(text, strlen(text));
}

void vb_hex_text(char *out, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    out[2 * n] = '\0';
}

json_t *vb_json_hex(const uint8_t *bytes, size_t n)
{
    char text[2 * 64 + 1];
    if (n > 64) return NULL;
    vb_hex_text(text, bytes, n);
    return json_string(text);
}

json_t *vb_json_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}
