/* manage.h - the server about itself: health, metrics, status, administration, export, analysis.
 *
 *     GET  /healthz                 the process answers (no token)
 *     GET  /readyz                  it takes input: 200, else 503 with the reason (no token)
 *     GET  /metrics                 Prometheus text (read)
 *     GET  /api/v1/status           all figures as JSON (read)
 *     GET  /api/v1/partitions       days of the store (read)
 *     GET  /api/v1/export           stored telemetry, streamed (read)
 *     POST /api/v1/analyze          the report over what is stored (read); body: further rules,
 * YAML POST /api/v1/compact          compacts everything that is there now (admin) POST
 * /api/v1/fsck             verifies all; a JSON line for each damage, then a summary (admin)
 *
 * Times are nanoseconds since 1970, RFC 3339 or a duration before now ("1h"). */
#ifndef FL_API_MANAGE_H
#define FL_API_MANAGE_H

#include "engine/engine.h"

/* Between engine_new and engine_start. g lives as long as its server. */
void api_manage_routes(engine *g);

#endif
