/* out.h - the discipline of output: data on stdout, talk on stderr, one exit code per kind of failure, JSON in one
 * place, no escape bytes unless a person looks at a terminal.
 */
#ifndef VB_CLI_OUT_H
#define VB_CLI_OUT_H
#include "verbatim.h"

#include <jansson.h>

/* The exit codes; they are part of the contract with scripts. */
enum {
    VB_EXIT_OK = 0,
    VB_EXIT_DIFFERS = 1,
    VB_EXIT_USAGE = 2,
    VB_EXIT_INPUT = 3,
    VB_EXIT_IO = 4,
    VB_EXIT_MEMORY = 5,
    VB_EXIT_NETWORK = 6,
    VB_EXIT_INTERRUPTED = 130
};

/* First thing in main: makes 0, 1 and 2 unusable rather than free (so that no file opened later becomes stdout),
 * turns a closed pipe into a write error, and sends the library's talk to stderr. */
void vb_out_start(void);
/* Last thing in main: flushes stdout; a write that failed turns success into VB_EXIT_IO. */
int vb_out_end(int code);
int vb_out_flush(void); /* 0, or VB_EXIT_IO after saying why */

void vb_say(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* "verbatim: ..." and a newline on stderr */
void vb_say_as_json(void); /* from now on as {"time", "event": "talk", "message"} */
int vb_exit_code(vb_status status);
int vb_report(vb_status status, const vb_err *err);                        /* says it and returns the exit code */
int vb_wrong(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* usage; returns 2 */
int vb_no_memory(void);

/* SGR codes as empty strings where colour is not wanted: "\033[<code>m" on a terminal without NO_COLOR. */
const char *vb_colour(FILE *to, const char *code);
/* Control characters, which could steer a terminal or break a line, are written as escapes like \n and \x1b. */
void vb_put_escaped(FILE *to, const char *text, size_t len);
void vb_put_bytes(FILE *to, uint64_t bytes); /* "93.8 MiB" */

/* JSON. Each takes over what it is given; NULL anywhere ends in VB_EXIT_MEMORY. */
int vb_print_json(json_t *value);
json_t *vb_json_text(const char *text, size_t len); /* bytes that are not UTF-8 become U+FFFD */
json_t *vb_json_string(const char *text);           /* the same up to a NUL; null for NULL */
json_t *vb_json_hex(const uint8_t *bytes, size_t n);
json_t *vb_json_real(double value); /* null if not finite */
void vb_hex_text(char *out, const uint8_t *bytes, size_t n); /* 2n digits and a NUL */

#endif
