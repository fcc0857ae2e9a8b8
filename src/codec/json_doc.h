/* json_doc.h - JSON that is not one object a line: objects printed over several lines, arrays of
 * objects, and the envelopes of cloud tools around such an array:
 *
 *     [ {...}, {...} ]                               gcloud logging read --format=json
 *     {"events":[ {...}, ... ], "nextToken":"..."}   aws logs filter-log-events
 *     {"Records":[ {...}, ... ]}                     CloudTrail
 *     {"apiVersion":"v1","items":[ ... ]}            kubectl get events -o json
 *     {                                              journalctl -o json-pretty, OTLP/JSON
 *         "MESSAGE" : "..."
 *     }
 *
 * Each object is a record, read as jsonlog and otlp_json do, or a line of a stack trace that joins
 * the one before it. A document of any size streams; one object may have JSON_DOC_OBJECT_MAX bytes.
 * What is damaged is left at the next line. */
#ifndef FL_CODEC_JSON_DOC_H
#define FL_CODEC_JSON_DOC_H

#include "codec/linefmt_int.h"

enum { JSON_DOC_OBJECT_MAX = 8 << 20 };

#endif
