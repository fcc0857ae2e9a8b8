/* datagram.h - what libuv does not ask the kernel about sockets. */
#ifndef FL_SYS_DATAGRAM_H
#define FL_SYS_DATAGRAM_H

#include "base/defs.h"

/* Datagrams that the kernel dropped because the socket's buffer was full, since it was made. 0 when
 * the kernel does not say. */
uint64_t sys_socket_drops(int fd);

#endif
