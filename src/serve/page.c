/* page.c - the files of src/serve/page as one document, with the rules that a browser has to hold it to.
 *
 *   page.html   ... <!--style--> ... <!--script--> ...
 *                       |                 `-- dom.js markdown.js wire.js ..., one behind another
 *                       `-- page.css
 *
 * The assembler reads the files (the Makefile names them as prerequisites). The policy allows this style and this script by
 * their digests, questions to the server that the page came from, and nothing else: no other script, frame, form or image.
 * Invariant: the digests in the policy are computed from the very bytes that are sent.
 */
#include "serve/page.h"

#include "base/hash.h"

#include <openssl/evp.h>
#include <string.h>

#define EMBED(name, file)                                                                                              \
    __asm__(".section .rodata\n" #name ":\n.incbin \"src/serve/page/" file "\"\n" #name "_end:\n.byte 0\n.previous\n"); \
    extern const char name[], name##_end[]

EMBED(vb_front_html, "page.html");
EMBED(vb_front_css, "page.css");
EMBED(vb_front_dom, "dom.js");
EMBED(vb_front_markdown, "markdown.js");
EMBED(vb_front_wire, "wire.js");
EMBED(vb_front_settings, "settings.js");
EMBED(vb_front_server, "server.js");
EMBED(vb_front_tokens, "tokens.js");
EMBED(vb_front_talk, "talk.js");
EMBED(vb_front_chat, "chat.js");

typedef struct {
    const char *text, *end;
} part;
static const part style[] = {{vb_front_css, vb_front_css_end}};
static const part script[] = {
    {vb_front_dom, vb_front_dom_end},           {vb_front_markdown, vb_front_markdown_end},
    {vb_front_wire, vb_front_wire_end},         {vb_front_settings, vb_front_settings_end},
    {vb_front_server, vb_front_server_end},     {vb_front_tokens, vb_front_tokens_end},
    {vb_front_talk, vb_front_talk_end},         {vb_front_chat, vb_front_chat_end},
};

/* The parts as the element of that name, and the source that the policy allows. */
static void put_element(vb_out *out, const char *name, const part *parts, size_t n, char source[64])
{
    uint8_t digest[32];
    vb_out_format(out, "<%s>", name);
    size_t from = out->len;
    for (size_t i = 0; i < n; i++) vb_out_bytes(out, parts[i].text, (size_t)(parts[i].end - parts[i].text));
    vb_sha256_of(out->data != NULL ? out->data + from : "", out->len - from, digest);
    memcpy(source, "'sha256-", 8);
    int len = EVP_EncodeBlock((unsigned char *)source + 8, digest, sizeof digest);
    memcpy(source + 8 + len, "'", 2);
    vb_out_format(out, "</%s>", name);
}

/* The text up to the mark; returns what follows it. */
static const char *put_until(vb_out *out, const char *text, const char *mark)
{
    const char *at = strstr(text, mark);
    if (at == NULL) at = text + strlen(text);
    vb_out_bytes(out, text, (size_t)(at - text));
    return at + (*at != '\0' ? strlen(mark) : 0);
}

int vb_front_wanted(const vb_exchange *x)
{
    const char *accept = vb_exchange_header(x, "Accept");
    return accept != NULL && strstr(accept, "text/html") != NULL;
}

void vb_front_answer(vb_exchange *x)
{
    vb_out out = {0}, policy = {0};
    char style_source[64], script_source[64];
    const char *rest = put_until(&out, vb_front_html, "<!--style-->");
    put_element(&out, "style", style, sizeof style / sizeof style[0], style_source);
    rest = put_until(&out, rest, "<!--script-->");
    put_element(&out, "script", script, sizeof script / sizeof script[0], script_source);
    vb_out_text(&out, rest);
    vb_out_format(&policy,
                  "default-src 'none'; script-src %s; style-src %s; connect-src 'self'; img-src data:; base-uri 'none'; "
                  "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
                  script_source, style_source);
    if (policy.failed) out.failed = 1;
    else vb_exchange_set(x, "Content-Security-Policy", policy.data);
    vb_exchange_set(x, "X-Content-Type-Options", "nosniff");
    vb_exchange_set(x, "X-Frame-Options", "DENY");
    vb_exchange_set(x, "Referrer-Policy", "no-referrer");
    vb_exchange_set(x, "Cache-Control", "no-cache");
    vb_exchange_set(x, "Vary", "Accept");
    vb_serve_answer(x, 200, "text/html; charset=utf-8", &out);
    vb_out_free(&policy);
}
