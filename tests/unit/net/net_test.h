/* net_test.h - a server on a free loopback port and raw client sockets. */
#ifndef FL_TESTS_NET_TEST_H
#define FL_TESTS_NET_TEST_H

#include "../unit.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "net/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <zlib.h>

enum { CLIENT_WAIT_MS = 20000 };

static inline int client_open(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static inline void client_send(int fd, str s) {
    while (s.n) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (n <= 0) return; /* the server closed: what it said is checked by the caller */
        s = str_from(s, (size_t)n);
    }
}

/* Reads some bytes; 0 at the end. */
static inline size_t client_some(int fd, char *p, size_t cap) {
    struct pollfd w = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&w, 1, CLIENT_WAIT_MS), 1);
    ssize_t n = recv(fd, p, cap, 0);
    return n > 0 ? (size_t)n : 0;
}

/* Everything until the server closes. */
static inline str client_rest(int fd, buf *b) {
    char part[65536];
    for (size_t n; (n = client_some(fd, part, sizeof part)) > 0;)
        assert_true(buf_put(b, str_make(part, n)));
    return buf_str(b);
}

/* One answer with Content-Length; bytes of a later one stay in b for the next call. */
static inline str client_answer(int fd, buf *b, arena *out) {
    for (;;) {
        size_t end = str_find(buf_str(b), S("\r\n\r\n"), 0);
        if (end != STR_NPOS) {
            str head = str_sub(buf_str(b), 0, end);
            size_t at = str_find_nocase(head, S("\r\ncontent-length: "), 0), length = 0;
            if (at != STR_NPOS) length = strtoul(head.p + at + 18, NULL, 10);
            if (str_starts(head, S("HTTP/1.1 100"))) length = 0;
            if (b->n >= end + 4 + length) {
                str got = str_dup(out, str_sub(buf_str(b), 0, end + 4 + length));
                memmove(b->p, b->p + got.n, b->n - got.n);
                b->n -= got.n;
                return got;
            }
        }
        char part[65536];
        size_t n = client_some(fd, part, sizeof part);
        if (n == 0) return str_dup(out, buf_str(b));
        assert_true(buf_put(b, str_make(part, n)));
    }
}

static inline str answer_body(str answer) {
    size_t end = str_find(answer, S("\r\n\r\n"), 0);
    return end == STR_NPOS ? STR_NONE : str_from(answer, end + 4);
}

static inline int answer_status(str answer) {
    uint64_t status; /* three digits; the text ends without a NUL */
    str digits = str_starts(answer, S("HTTP/1.1 ")) ? str_sub(answer, 9, 3) : STR_NONE;
    return num_u64(digits, &status) ? (int)status : 0;
}

static inline str gzip_of(arena *out, str in, int level) {
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, 31, 8, 0), Z_OK);
    size_t cap = deflateBound(&z, in.n);
    char *p = arena_try_bytes(out, cap, 1);
    assert_non_null(p);
    z.next_in = (Bytef *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.n;
    z.next_out = (Bytef *)p;
    z.avail_out = (uInt)cap;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = cap - z.avail_out;
    deflateEnd(&z);
    return str_make(p, n);
}

#endif
