/* config_file.h - the configuration as the command line states it: --config FILE over the defaults,
 * then --data, --otlp-grpc, --otlp-http, --api, then --set in their order. */
#ifndef FL_APP_CONFIG_FILE_H
#define FL_APP_CONFIG_FILE_H

#include "app/cli.h"
#include "engine/config.h"

MUST_CHECK rc config_from_args(const cli_args *a, config **ret, err *e);
MUST_CHECK rc config_from_file(str path, config **ret, err *e);

#endif
