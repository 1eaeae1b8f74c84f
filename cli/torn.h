/* torn.h - model files that another program cuts while they are read: an error instead of the process's end. */
#ifndef VB_CLI_TORN_H
#define VB_CLI_TORN_H

/* Takes SIGBUS for the process. Before the first model is opened by what asks afterwards whether its file has changed:
 * evaluating does (VB_E_IO), and so does quantizing. */
void vb_torn_watch(void);

#endif
