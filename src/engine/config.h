/* config.h - one faultline.yaml. Every key is a row of config.tbl.h (name, kind, range, default,
 * reload, help): the parser, `config print`, `config validate`, the documentation
 * (docs/configuration.md) and the defaults are made from it. Unknown keys are errors with the
 * nearest known key as a hint; messages say file:line:column. Values may hold ${env:NAME} or
 * ${file:PATH} (the text is taken at load, and never printed: config_put gives the reference back);
 * $${ stands for ${ itself.
 *
 *     config *c;
 *     config_load(yaml, S("faultline.yaml"), &c, e)
 *     config_set(c, S("listen.api"), S("127.0.0.1:0"), e)
 *     config_check(c, e)                     what concerns several keys
 *     config_bytes(c, "limits.body") */
#ifndef FL_ENGINE_CONFIG_H
#define FL_ENGINE_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

typedef struct config config; /* body in config_int.h, made from the table; accessors below */

enum { CONFIG_FILE_BYTES_MAX = 1 << 20, CONFIG_LIST_MAX = 1024 };

MUST_CHECK rc config_default(config **ret, err *e);
MUST_CHECK rc config_load(str yaml, str file_name, config **ret, err *e); /* over the defaults */
void config_free(config *c);
/* Overrides by the command line: key "listen.otlp_http" = text (of a list: YAML, or one item). */
MUST_CHECK rc config_set(config *c, str key, str value, err *e);
/* What one key alone cannot say: certificate and key together, well-formed tokens, and no listener
 * on other than loopback addresses without tokens unless auth.allow_anonymous. */
MUST_CHECK rc config_check(const config *c, err *e);
MUST_CHECK bool config_put(const config *c, bool with_help,
                           buf *out);      /* YAML that loads back equal */
MUST_CHECK bool config_put_docs(buf *out); /* docs/configuration.md */
/* A key whose value differs and that only a start takes over, "" when there is none. */
str config_needs_restart(const config *before, const config *after);

/* key: of the table and of that kind, else MUST fails. Texts live as long as c. */
bool config_bool(const config *c, const char *key);
int64_t config_int(const config *c, const char *key);
int64_t config_duration_ns(const config *c, const char *key);
uint64_t config_bytes(const config *c, const char *key);
str config_text(const config *c, const char *key); /* TEXT, PATH, CHOICE, ADDRESS */
size_t config_list(const config *c, const char *key, const str **ret); /* of texts */
/* ADDRESS in its parts; false when it is off. host "" is all interfaces. */
bool config_address(const config *c, const char *key, str *ret_host, uint16_t *ret_port);

bool config_is_loopback(str host);

#endif
