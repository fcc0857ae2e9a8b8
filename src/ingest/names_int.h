/* names_int.h - which service a log file belongs to, told from its path alone. Pure. */
#ifndef FL_INGEST_NAMES_INT_H
#define FL_INGEST_NAMES_INT_H

#include "base/str.h"

/* The service named by a path; empty when the path names none ("app.log", "/var/log/messages",
 * "0.log"). Borrows from `path`. Rotated and compressed siblings give the same name. */
str service_of_path(str path);
/* The file name without directory, rotation, compression and log suffixes: "app" for
 * "x/app.log.2.gz". The last resort when service_of_path finds nothing. Never empty for a non-empty
 * file name. */
str stem_of_path(str path);
/* True for names that are not logs by what they are called (program text, pictures, archives,
 * documents): skipped inside directories, read when given by name. */
bool name_is_no_log(str path);

#endif
