/* remote_write.h - Prometheus remote write 1.0 (snappy block of a protobuf WriteRequest) to metric
 * points.
 *
 * Each TimeSeries: label __name__ is the metric's name, all others are the point's attributes in
 * their order; a staleness marker (NaN 0x7ff0000000000002) is a point with POINT_NO_VALUE. Types
 * come from the request's metadata or are kept by name from earlier requests by the caller; a gauge
 * otherwise. Exemplars and native histograms (as exponential histograms) are taken over. Times are
 * milliseconds. Source: Prometheus remote write specification 1.0; prometheus/prompb types.proto,
 * remote.proto. */
#ifndef FL_CODEC_REMOTE_WRITE_H
#define FL_CODEC_REMOTE_WRITE_H

#include "base/err.h"
#include "model/telemetry.h"

/* RC_INVALID: not snappy, not a WriteRequest; a series without labels or name is counted as
 * rejected. RC_LIMIT: the uncompressed length is over max_bytes. The decompressed bytes become
 * t->body. */
MUST_CHECK rc remote_write_decode(str compressed, size_t max_bytes, telemetry *t, err *e);

#endif
