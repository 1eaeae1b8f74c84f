/* devices.h - the devices of this machine as `verbatim devices` and `verbatim doctor` tell of them. */
#ifndef VB_CLI_DEVICES_H
#define VB_CLI_DEVICES_H
#include "out.h"

typedef struct {
    vb_device_entry *entries; /* their texts are ours */
    int n;
    vb_err none; /* code not VB_OK: why there is no device to be asked */
} vb_devices;

vb_status vb_devices_find(vb_devices *d); /* VB_E_MEMORY, or VB_OK, also where there is none */
void vb_devices_free(vb_devices *d);      /* zeroed is fine */
const char *vb_devices_none(const vb_devices *d); /* a line on why there is none; NULL: there are some */
/* "nearest,zeros,subnormals", or "-". */
void vb_device_floats(char out[40], const vb_device_entry *e);
json_t *vb_devices_json(const vb_devices *d);

#endif
