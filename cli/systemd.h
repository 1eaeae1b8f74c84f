/* systemd.h - what a service manager that speaks systemd's protocol passes and wants to hear. */
#ifndef VB_CLI_SYSTEMD_H
#define VB_CLI_SYSTEMD_H

/* The socket it passed; 0: none. -1: it passed several. Its variables are taken out of the environment. */
int vb_systemd_listener(void);
/* A socket to whoever wants to hear "READY=1", "STOPPING=1"; -1: nobody, and then telling does nothing. */
int vb_systemd_notifier(void);
void vb_systemd_tell(int notifier, const char *state);

#endif
