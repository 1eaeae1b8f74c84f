/* losses.h - what a folder's model does and a file of its family cannot say; see losses.c. */
#ifndef VB_CONVERT_LOSSES_H
#define VB_CONVERT_LOSSES_H
#include "convert/families.h"

/* A line to `note`, which may be NULL, for each. */
void vb_losses(const vb_folder *f, const vb_family *family, void (*note)(void *ud, const char *line), void *ud);

#endif
