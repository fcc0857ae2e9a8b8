"""OTLP as the end-to-end tests see it: JSON requests as flat records that compare equal whenever
they say the same, and a few lines that write protobuf."""
import base64
import json
import struct

# ---- JSON to flat records ----

INTEGERS = {
    "timeUnixNano", "observedTimeUnixNano", "startTimeUnixNano", "endTimeUnixNano", "asInt",
    "intValue", "count", "zeroCount", "droppedAttributesCount", "droppedEventsCount",
    "droppedLinksCount", "flags", "severityNumber", "kind", "code", "scale", "offset",
    "aggregationTemporality",
}
INTEGER_LISTS = {"bucketCounts"}
DOUBLES = {"asDouble", "sum", "min", "max", "zeroThreshold", "quantile", "value_double"}
DOUBLE_LISTS = {"explicitBounds"}
ALWAYS_THERE = {"asInt", "asDouble", "sum", "min", "max"}  # a zero that was sent is not absence
IDS = {"traceId", "spanId", "parentSpanId"}


def any_value(v):
    """An AnyValue as a list that compares."""
    v = v or {}
    if v.get("stringValue") is not None:
        return ["text", v["stringValue"]]
    if v.get("intValue") is not None:
        return ["int", int(v["intValue"])]
    if v.get("doubleValue") is not None:
        return ["double", repr(float(v["doubleValue"]))]
    if v.get("boolValue") is not None:
        return ["bool", bool(v["boolValue"])]
    if v.get("bytesValue") is not None:
        raw = v["bytesValue"]
        text = raw if isinstance(raw, str) else "".join(map(chr, raw))
        return ["bytes", base64.b64decode(text + "=" * (-len(text) % 4)).hex()]
    if v.get("arrayValue") is not None:
        return ["list", [any_value(x) for x in v["arrayValue"].get("values") or []]]
    if v.get("kvlistValue") is not None:
        return ["map", attributes(v["kvlistValue"].get("values") or [])]
    return ["nothing"]


def attributes(pairs):
    return sorted([p.get("key", ""), any_value(p.get("value"))] for p in pairs or [])


def plain(value):
    """Any other message: defaults left out, numbers as numbers, ids in lower case."""
    if isinstance(value, list):
        return [plain(x) for x in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for key, v in value.items():
        if key in ("attributes", "filteredAttributes"):
            v = attributes(v)
        elif key == "body":
            v = any_value(v)
            v = None if v == ["nothing"] else v
        elif key in IDS:
            v = (v or "").lower()
        elif key in INTEGERS:
            v = int(v or 0)
        elif key in DOUBLES:
            v = None if v is None else repr(float(v))
            v = None if v == "0.0" and key not in ALWAYS_THERE else v
        elif key in INTEGER_LISTS:
            v = [int(x) for x in v or []]
        elif key in DOUBLE_LISTS:
            v = [repr(float(x)) for x in v or []]
        else:
            v = plain(v)
        if v is None or (key not in ALWAYS_THERE and v in ("", 0, False, [], {})):
            continue
        out[key] = v
    return out


LAYERS = {
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
}
POINT_LISTS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")


def records(signal, request):
    """Each record (log, span, point) of a request with everything above it, as one JSON text."""
    outer, inner, items = LAYERS[signal]
    out = []
    for r in request.get(outer) or []:
        above = {"resource": plain(r.get("resource") or {}), "resourceSchema": r.get("schemaUrl") or ""}
        for s in r.get(inner) or []:
            above["scope"] = plain(s.get("scope") or {})
            above["scopeSchema"] = s.get("schemaUrl") or ""
            for item in s.get(items) or []:
                out += points(above, item) if signal == "metrics" else [{**above, "record": plain(item)}]
    return [json.dumps(x, sort_keys=True, ensure_ascii=False) for x in out]


def points(above, metric):
    for kind in POINT_LISTS:
        data = metric.get(kind)
        if data is None:
            continue
        head = plain({k: v for k, v in metric.items() if k != kind})
        head.update(plain({k: v for k, v in data.items() if k != "dataPoints"}))
        return [{**above, "metric": head, "kind": kind, "point": plain(p)}
                for p in data.get("dataPoints") or []]
    return []


def all_records(signal, requests):
    return sorted(x for request in requests for x in records(signal, request))


def of_resource(texts, key, value):
    """Those whose resource has the attribute."""
    want = [key, ["text", value]]
    return [x for x in texts if want in json.loads(x)["resource"].get("attributes", [])]


# ---- protobuf ----

def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, payload):
    """A length-delimited field."""
    payload = payload.encode() if isinstance(payload, str) else payload
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def number(at, value):
    return varint(at << 3) + varint(value)


def fixed64(at, value):
    return varint(at << 3 | 1) + struct.pack("<Q", value)


def pb_value(v):
    """An AnyValue of a Python value."""
    if isinstance(v, bool):
        return number(2, int(v))
    if isinstance(v, int):
        return number(3, v)
    if isinstance(v, float):
        return varint(4 << 3 | 1) + struct.pack("<d", v)
    if isinstance(v, bytes):
        return field(7, v)
    if isinstance(v, list):
        return field(5, b"".join(field(1, pb_value(x)) for x in v))
    if isinstance(v, dict):
        return field(6, pb_attributes(1, v))
    return field(1, v)


def pb_attributes(at, pairs):
    return b"".join(field(at, field(1, k) + field(2, pb_value(v))) for k, v in pairs.items())


def pb_log(body, time_ns, severity=9, attributes_of=None, trace_id=b"", span_id=b""):
    out = fixed64(1, time_ns) + number(2, severity) + field(5, pb_value(body))
    out += pb_attributes(6, attributes_of or {}) + fixed64(11, time_ns + 1)
    if trace_id:
        out += field(9, trace_id) + field(10, span_id)
    return out


def pb_logs(resource, logs, scope="test"):
    """ExportLogsServiceRequest of one resource and scope."""
    return field(1, field(1, pb_attributes(1, resource)) +
                 field(2, field(1, field(1, scope)) + b"".join(field(2, x) for x in logs)))


def pb_span(trace_id, span_id, name, start_ns, end_ns):
    return (field(1, trace_id) + field(2, span_id) + field(5, name) + number(6, 2) +
            fixed64(7, start_ns) + fixed64(8, end_ns))


def pb_spans(resource, spans, scope="test"):
    return field(1, field(1, pb_attributes(1, resource)) +
                 field(2, field(1, field(1, scope)) + b"".join(field(2, x) for x in spans)))


def pb_gauge(name, value, time_ns):
    point = fixed64(3, time_ns) + varint(4 << 3 | 1) + struct.pack("<d", value)
    return field(1, name) + field(5, field(1, point))


def pb_metrics(resource, metrics, scope="test"):
    return field(1, field(1, pb_attributes(1, resource)) +
                 field(2, field(1, field(1, scope)) + b"".join(field(2, x) for x in metrics)))


def grpc_frame(message, packed=0):
    return struct.pack(">BI", packed, len(message)) + message
