#include "sys/cancel.h"

#include <signal.h>
#include <stdatomic.h>

static volatile int cancel_signal; /* written by the handler alone; other threads read it: atomic */
static atomic_bool installed;

static void on_signal(int number) { __atomic_store_n(&cancel_signal, number, __ATOMIC_RELAXED); }

const volatile int *sys_cancel_install(void) {
    if (!atomic_exchange(&installed, true)) {
        /* SA_RESETHAND: the second signal takes the default action, for a program that does not
         * heed the first. */
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
        sigemptyset(&action.sa_mask);
        MUST(sigaction(SIGINT, &action, NULL) == 0);
        MUST(sigaction(SIGTERM, &action, NULL) == 0);
    }
    return &cancel_signal;
}

bool sys_cancelled(void) { return __atomic_load_n(&cancel_signal, __ATOMIC_RELAXED) != 0; }
bool sys_cancel_installed(void) { return atomic_load_explicit(&installed, memory_order_relaxed); }
