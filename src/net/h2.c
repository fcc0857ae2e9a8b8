/* temporary */
#include "net/net_int.h"
bool h2_start(net_conn *c) {
    c->dead = true;
    return false;
}
void h2_input(net_conn *c, const char *p, size_t n) {
    (void)c;
    (void)p;
    (void)n;
}
void h2_produce(net_conn *c) { (void)c; }
void h2_tick(net_conn *c) { (void)c; }
void h2_drain(net_conn *c) { (void)c; }
void h2_free(net_conn *c) { (void)c; }
bool h2_is_done(const net_conn *c) {
    (void)c;
    return false;
}
bool h2_has_streams(const net_conn *c) {
    (void)c;
    return false;
}
void h2_apply_answer(net_request *r) { (void)r; }
void h2_stream_begin(net_request *r) { (void)r; }
void h2_stream_part(net_request *r, str part) {
    (void)r;
    (void)part;
}
void h2_stream_end(net_request *r) { (void)r; }
