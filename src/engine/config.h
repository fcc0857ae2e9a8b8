/* config.h - one faultline.yaml. Every key is a row of config.tbl.h (name, type, default, range,
 * reload, help): the parser, `config print`, `config validate`, the documentation
 * (docs/configuration.md) and the defaults are made from it. Unknown keys are errors with the
 * nearest known key as a hint; messages say file:line. Values may be
 * ${env:NAME} or ${file:PATH} (secrets are then never printed). */
#ifndef FL_ENGINE_CONFIG_H
#define FL_ENGINE_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

typedef struct config config; /* body in config_int.h, made from the table; accessors below */

MUST_CHECK rc config_default(config **ret, err *e);
MUST_CHECK rc config_load(str yaml, str file_name, config **ret, err *e); /* over the defaults */
void config_free(config *c);
/* Overrides by the command line: key "listen.otlp_http" = text as in YAML. */
MUST_CHECK rc config_set(config *c, str key, str value, err *e);
MUST_CHECK bool config_put(const config *c, bool with_help,
                           buf *out); /* YAML that loads back equal */

bool config_bool(const config *c,
                 const char *key); /* key of the table and of that type, else MUST fails */
int64_t config_int(const config *c, const char *key);
int64_t config_duration_ns(const config *c, const char *key);
uint64_t config_bytes(const config *c, const char *key);
str config_text(const config *c, const char *key);
size_t config_list(const config *c, const char *key, const str **ret); /* of texts */

#endif
