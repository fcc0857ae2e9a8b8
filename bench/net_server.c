/* net_server - the server of src/net with handlers that do nothing, to see what it costs alone.
 *
 *     net_server &                      prints its port
 *     h2load --h1 -n 20000 -c 4 -d body http://127.0.0.1:PORT/v1/logs
 *     h2load -n 20000 -c 4 -m 4 -d framed -H 'content-type: application/grpc' .../t.Logs/Export
 *     kill PID                          prints CPU time, requests and CPU a request
 *
 * "/keep" answers from another thread, "/take" also takes the body away and frees it there. */
#include "base/mem.h"
#include "net/server.h"
#include "sys/cancel.h"
#include "sys/clock.h"
#include "sys/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void answer(void *ctx, net_request *r) {
    (void)ctx;
    net_reply(r, &(net_reply_opts){0}, STR_NONE);
}

static void hello(void *ctx, net_request *r) {
    (void)ctx;
    net_reply(r, &(net_reply_opts){.content_type = S("text/plain")}, S("hello"));
}

static void keep(void *ctx, net_request *r) {
    if (sys_queue_push(ctx, r) != RC_OK) abort();
}

static void answers(void *ctx) {
    void *item;
    while (sys_queue_pop(ctx, &item) == RC_OK) {
        net_request *r = item;
        size_t n;
        if (str_eq(net_path(r), S("/take"))) mem_free(net_take_body(r, &n));
        answer(NULL, r);
    }
}

int main(int argc, char **argv) {
    err e = {0};
    const volatile int *stop = sys_cancel_install();
    net_listen listen = {.host = S("127.0.0.1")};
    net_server_opts o = {.listens = &listen, .listen_count = 1, .threads = 1};
    if (argc > 2) listen.tls = (net_tls){.cert_file = str_c(argv[1]), .key_file = str_c(argv[2])};
    net_server *s;
    sys_queue *q = sys_queue_new(1024);
    sys_thread *t;
    if (net_server_new(&o, &s, &e) != RC_OK) {
        fprintf(stderr, "net_server: %s\n", e.msg);
        return 1;
    }
    net_route_add(s, 1, "GET", "/hello", ROLE_READ, hello, NULL);
    net_route_add(s, 1, "POST", "/v1/logs", ROLE_WRITE, answer, NULL);
    net_route_add(s, 1, "POST", "/keep", ROLE_WRITE, keep, q);
    net_route_add(s, 1, "POST", "/take", ROLE_WRITE, keep, q);
    net_route_add(s, 1, "GRPC", "/t.Logs/Export", ROLE_WRITE, answer, NULL);
    if (net_server_start(s, &e) != RC_OK || sys_thread_start("keep", answers, q, &t, &e) != RC_OK) {
        fprintf(stderr, "net_server: %s\n", e.msg);
        return 1;
    }
    printf("%u\n", net_server_port(s, 0));
    fflush(stdout);
    while (!*stop) usleep(20000);
    net_counts n;
    net_server_count(s, &n);
    double cpu_s = (double)sys_cpu_ns() * 1e-9;
    fprintf(stderr, "CPU %.3f s, %llu requests, %.1f us each, %.0f MB in, peak %zu KB\n", cpu_s,
            (unsigned long long)n.requests, n.requests ? cpu_s / (double)n.requests * 1e6 : 0,
            (double)n.bytes_in * 1e-6, sys_peak_rss_bytes() / 1024);
    sys_queue_close(q);
    sys_thread_join(t);
    net_server_free(s);
    sys_queue_free(q);
    return 0;
}
