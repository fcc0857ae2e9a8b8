#include "sys/datagram.h"

#include <sys/socket.h>

uint64_t sys_socket_drops(int fd) {
    enum { WORDS = 16, SK_MEMINFO_DROPS_WORD = 8 }; /* linux/sock_diag.h: SK_MEMINFO_DROPS */
    uint32_t info[WORDS] = {0};
    socklen_t bytes = sizeof info;
    return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &bytes) == 0 ? info[SK_MEMINFO_DROPS_WORD]
                                                                     : 0;
}
