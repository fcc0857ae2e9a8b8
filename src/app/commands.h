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
int cmd_query_logs(const cli_args *a);
int cmd_query_traces(const cli_args *a);
int cmd_query_trace(const cli_args *a);
int cmd_query_metrics(const cli_args *a);
int cmd_tail(const cli_args *a);
int cmd_status(const cli_args *a);
int cmd_partitions(const cli_args *a);
int cmd_fsck(const cli_args *a);
int cmd_compact(const cli_args *a);
int cmd_export(const cli_args *a);

/* "faultline: MESSAGE" and, when there is one, "hint: ..." on standard error; the exit status that
 * fits the code. */
int tell_failure(const err *e);
/* The same for a question to a server, whose failures are its own (EXIT_WITH_FAILED). */
int tell_answer(const err *e);

#endif
