/* cancel.h - a flag that SIGINT and SIGTERM raise. Long work polls it and winds up; a second signal
 * ends the process at once. */
#ifndef FL_SYS_CANCEL_H
#define FL_SYS_CANCEL_H

#include "base/defs.h"

/* Installs the handlers (once; later calls return the same flag). The flag is 0, then the signal's
 * number. Lives as long as the process. */
const volatile int *sys_cancel_install(void);
/* True when installed and raised. */
bool sys_cancelled(void);
/* True when sys_cancel_install was called: waits then have to look at the flag. */
bool sys_cancel_installed(void);

#endif
