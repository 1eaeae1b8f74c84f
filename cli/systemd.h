/* systemd.h - what a service manager that speaks systemd's protocol passes and wants to hear. */
#ifndef VB_CLI_SYSTEMD_H
#define VB_CLI_SYSTEMD_H

/* The socket it passed; 0: none. -1: it passed several. Its variables are taken out of the environment. */
int vb_systemd_listener(void);
/* "READY=1", "STOPPING=1"; nothing happens if nobody listens. */
void vb_systemd_tell(const char *state);

#endif
