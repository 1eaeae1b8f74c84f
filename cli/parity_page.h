/* parity_page.h - a certificate as one HTML page. */
#ifndef VB_CLI_PARITY_PAGE_H
#define VB_CLI_PARITY_PAGE_H
#include "parity/parity.h"

/* Into a new or emptied file; "-" is stdout. */
vb_status vb_parity_page(const char *path, const vb_certificate *certificate, const vb_model *model, vb_err *err);

#endif
