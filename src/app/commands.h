/* commands.h - one function per command of options.tbl.h; each returns the exit status. Failures
 * are told on standard error. */
#ifndef FL_APP_COMMANDS_H
#define FL_APP_COMMANDS_H

#include "app/cli.h"

int cmd_analyze(const cli_args *a);
int cmd_mine(const cli_args *a);
int cmd_patterns_diff(const cli_args *a);
int cmd_detect_sessions(const cli_args *a);
int cmd_serve(const cli_args *a);
int cmd_config(const cli_args *a); /* config print, validate, docs */
int cmd_token_new(const cli_args *a);

/* "faultline: MESSAGE" and, when there is one, "hint: ..." on standard error; the exit status that
 * fits the code. */
int tell_failure(const err *e);

#endif
