/* catalogue.h - the stored models by the names that clients use.
 *
 * Invariant: a name from a client never becomes a path. It is spelled out ("smollm2" is "smollm2:latest") and compared
 * with the names that the stores hold.
 */
#ifndef VB_SERVE_CATALOGUE_H
#define VB_SERVE_CATALOGUE_H
#include "verbatim.h"

enum { VB_HOST_NAME = 320 };

typedef struct {
    char name[VB_HOST_NAME]; /* with its tag */
    char path[4608];
    uint64_t bytes;
    uint8_t digest[32]; /* of the manifest, where there is one */
    int64_t changed_ns; /* when the manifest, or the file without one, was written; since 1970 */
    int ollama;  /* 1: of an Ollama store */
    int layered; /* 1: has a manifest, which may hold more than weights */
} vb_catalogued;

/* [host/][namespace/]model[:tag] with what Ollama leaves out left out, and with a tag; 0: no such name. */
int vb_catalogue_spell(const char *asked, char name[VB_HOST_NAME]);
/* registry/library/name:tag, nothing left out. */
void vb_catalogue_full(const char *name, char *buf, size_t cap);
/* What vb_model_open opens. */
const char *vb_catalogue_door(const vb_catalogued *model, char *buf, size_t cap);
/* 0: there is no such model. The one inside the library is found where no store has its name. */
int vb_catalogue_find(const char *name, vb_catalogued *out);
/* Every model; fn returns 0 to go on. */
void vb_catalogue_each(int (*fn)(void *ud, const vb_catalogued *model), void *ud);

#endif
