/* name.c - names of models and digests of blobs, as the world outside writes them; nothing else becomes a path.
 *
 *   [host/][space/]model[:tag]      registry default host, "library", -, "latest"
 *   sha256:HEX, sha256-HEX          64 digits
 *
 * Invariant: no part is empty, begins with a dot or a dash, or holds a slash, a blank or a byte beyond ASCII.
 */
#include "store/store.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char default_host[] = "registry" ".ollama.ai", default_space[] = "library", default_tag[] = "latest";

/* Copies text[0..len) if it is a part: `more` is what may stand in it besides letters, digits, _ and -. */
static int take(char *part, size_t cap, const char *text, size_t len, const char *more)
{
    if (len == 0 || len >= cap || text[0] == '-') return 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        int plain = c < 0x80 && (isalnum(c) || c == '_' || c == '-');
        if (!plain && (i == 0 || c == '\0' || strchr(more, c) == NULL)) return 0;
    }
    memcpy(part, text, len);
    part[len] = '\0';
    return 1;
}

int vb_ref_parse(vb_ref *out, const char *text)
{
    const char *slash = strrchr(text, '/'), *last = slash != NULL ? slash + 1 : text, *colon = strchr(last, ':');
    size_t len = colon != NULL ? (size_t)(colon - last) : strlen(last);
    const char *tag = colon != NULL ? colon + 1 : default_tag, *space = default_space, *host = default_host;
    size_t space_len = strlen(space), host_len = strlen(host);
    if (slash != NULL) {
        const char *first = memchr(text, '/', (size_t)(slash - text));
        space = first != NULL ? first + 1 : text;
        space_len = (size_t)(slash - space);
        if (first != NULL) {
            host = text;
            host_len = (size_t)(first - text);
        }
    }
    return take(out->model, sizeof out->model, last, len, ".") && take(out->tag, sizeof out->tag, tag, strlen(tag), ".") &&
           take(out->space, sizeof out->space, space, space_len, "") &&
           take(out->host, sizeof out->host, host, host_len, ".:");
}

void vb_ref_text(const vb_ref *r, char *buf, size_t cap)
{
    if (strcmp(r->host, default_host) != 0) snprintf(buf, cap, "%s/%s/%s:%s", r->host, r->space, r->model, r->tag);
    else if (strcmp(r->space, default_space) != 0) snprintf(buf, cap, "%s/%s:%s", r->space, r->model, r->tag);
    else snprintf(buf, cap, "%s:%s", r->model, r->tag);
}

int vb_ref_same(const vb_ref *a, const vb_ref *b)
{
    return strcmp(a->host, b->host) == 0 && strcmp(a->space, b->space) == 0 && strcmp(a->model, b->model) == 0 &&
           strcmp(a->tag, b->tag) == 0;
}

int vb_digest_parse(char hex[65], const char *text)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    if (strncmp(text, "sha256", 6) != 0 || (text[6] != ':' && text[6] != '-')) return 0;
    if (strlen(text + 7) != 64 || strspn(text + 7, digits) != 64) return 0;
    for (int i = 0; i < 65; i++) hex[i] = (char)tolower((unsigned char)text[7 + i]);
    return 1;
}
