/* table.h - lines that were spoken beforehand, found by the name of everything that decides them.
 *
 *   name of a line = SHA-256 of  "vb-line-1\0"
 *                                the cast's digest                       32 bytes
 *                                world, entity, tick, draw               four u64, little endian
 *                                persona                                 u64 length, bytes
 *                                tokens of the whole prompt              u64 number, u32 each
 *
 * The prompt's tokens hold what the request said, its facts and what was remembered, so a name stands for one line and no
 * other. Whoever has no table and bakes none needs no names.
 *
 *   before a line is spoken   vb_table_find   1: this is what it says, nothing is to be computed
 *   when a line is finished   vb_bake_add     unless it failed
 */
#ifndef VB_CAST_TABLE_H
#define VB_CAST_TABLE_H
#include "base/err.h"
#include "verbatim_dialogue.h"

/* --- names --------------------------------------------------------------------------------------------- */

/* Makes names without allocating anything; one for each cast. */
typedef struct vb_namer vb_namer;
vb_status vb_namer_open(vb_namer **out, const uint8_t cast[32], vb_err *err);
void vb_namer_close(vb_namer *namer);
void vb_namer_begin(vb_namer *namer, const vb_line_key *key, const char *persona, uint64_t n_tokens);
void vb_namer_add(vb_namer *namer, const vb_token *ids, size_t n); /* may be called for each part of the prompt */
void vb_namer_end(vb_namer *namer, uint8_t name[32]);

/* --- what is kept of a line ---------------------------------------------------------------------------- */

typedef struct {
    const char *text; /* NUL behind it */
    size_t len;
    vb_line_end end;
    int attempts, prompt_tokens, tokens;
} vb_said;

/* --- reading: vb_table_open of the public header, and --------------------------------------------------- */

/* 1: `out` is what the line says; its text lives as long as the table. 0: the table has it not, or only damaged. */
int vb_table_find(const vb_table *table, const uint8_t name[32], vb_said *out);

/* --- writing ------------------------------------------------------------------------------------------- */

typedef struct vb_bake vb_bake;
vb_status vb_bake_open(vb_bake **out, vb_err *err);
void vb_bake_close(vb_bake *bake);
/* Takes a copy. It allocates now and then: who bakes has time. */
vb_status vb_bake_add(vb_bake *bake, const uint8_t name[32], const vb_said *said, vb_err *err);
/* The file appears under its name when it is whole and on the disk, and replaces one that stood there. A name that was
 * added with two different lines is VB_E_DIFFERS. */
vb_status vb_bake_write(vb_bake *bake, const char *path, vb_err *err);

#endif
