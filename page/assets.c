/* assets.c - page.css and page.js, as they are in this folder, inside the program.
 *
 * The assembler reads the files (the Makefile names them as prerequisites), so they can be edited and checked as what
 * they are. Invariant: the digest that the page names is computed from the very bytes that it holds.
 */
#include "page/parts.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#define EMBED(name, file)                                                                                              \
    __asm__(".section .rodata\n" #name ":\n.incbin \"" file "\"\n" #name "_end:\n.byte 0\n.previous\n");               \
    extern const char name[], name##_end[]

EMBED(vb_page_css, "page/page.css");
EMBED(vb_page_js, "page/page.js");

static void fill(vb_page_asset *out, const char *text, const char *end)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    out->text = text;
    out->len = (size_t)(end - text);
    SHA256((const unsigned char *)text, out->len, digest);
    EVP_EncodeBlock((unsigned char *)out->sha256, digest, sizeof digest);
}

void vb_page_style(vb_page_asset *out)
{
    fill(out, vb_page_css, vb_page_css_end);
}

void vb_page_script(vb_page_asset *out)
{
    fill(out, vb_page_js, vb_page_js_end);
}
