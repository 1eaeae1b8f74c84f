/* vulkan.h - what the parts of tests/shims/vulkan.c share: words of the environment, and the notes for the report. */
#ifndef VB_TESTS_SHIMS_VULKAN_H
#define VB_TESTS_SHIMS_VULKAN_H
#define VK_NO_PROTOTYPES
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* What stands behind `key` in VULKAN_SHIM, a list of words "key" or "key=value" with commas between; NULL: no such. */
static const char *word(const char *key)
{
    const char *at = getenv("VULKAN_SHIM");
    size_t n = strlen(key);
    while (at != NULL) {
        if (strncmp(at, key, n) == 0 && (at[n] == 0 || at[n] == ',' || at[n] == '=')) return at + n + (at[n] == '=');
        at = strchr(at, ',');
        if (at != NULL) at++;
    }
    return NULL;
}

static uint64_t number(const char *key, uint64_t otherwise)
{
    const char *w = word(key);
    return w != NULL ? strtoull(w, NULL, 0) : otherwise;
}

/* --- notes for the report */
enum { MOST_MESSAGES = 200 };
static struct {
    char *messages[MOST_MESSAGES];
    int n_messages;
    uint64_t submissions, dispatches, peak;
} seen;

__attribute__((format(printf, 1, 2))) static void message(const char *format, ...)
{
    char text[2000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *c = text; *c != 0; c++)
        if (*c == '\n') *c = ' ';
    pthread_mutex_lock(&lock);
    if (seen.n_messages < MOST_MESSAGES) seen.messages[seen.n_messages] = strdup(text);
    seen.n_messages++;
    pthread_mutex_unlock(&lock);
}
#endif
