/* manage_int.h - what the handlers of the server's own affairs share. */
#ifndef FL_API_MANAGE_INT_H
#define FL_API_MANAGE_INT_H

#include "api/manage.h"

extern const str API_JSON, API_NDJSON;

/* Hands the request to a query worker; answers 503 itself when there is no room. */
void api_offload(engine *g, net_request *r, void (*fn)(engine *g, net_request *r));
void api_fail(net_request *r, rc code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Parameter as a time, absent = `otherwise`. RC_INVALID names the parameter. */
MUST_CHECK rc api_time(net_request *r, str name, int64_t otherwise, int64_t *ret_ns, err *e);
MUST_CHECK rc api_number(net_request *r, str name, uint64_t least, uint64_t most,
                         uint64_t otherwise, uint64_t *ret, err *e);
/* Index of the parameter's value in "a|b|c"; `otherwise` when absent. */
MUST_CHECK rc api_choice(net_request *r, str name, str choices, int otherwise, int *ret, err *e);
/* The whole text, waiting for a slow client. RC_CANCELLED: it is gone. */
MUST_CHECK rc api_stream(net_request *r, str part);

void api_health(void *ctx, net_request *r);
void api_ready(void *ctx, net_request *r);
void api_metrics(void *ctx, net_request *r);
void api_status(void *ctx, net_request *r);
void api_partitions(void *ctx, net_request *r);
void api_compact(void *ctx, net_request *r);
void api_fsck(void *ctx, net_request *r);
void api_export(void *ctx, net_request *r);
void api_analyze(void *ctx, net_request *r);

#endif
