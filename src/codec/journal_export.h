/* journal_export.h - the journal export format (journalctl -o export, systemd-journal-remote):
 *
 *     __CURSOR=s=39326543...                     KEY=VALUE, a line of text
 *     __REALTIME_TIMESTAMP=1423944916375353
 *     MESSAGE                                    KEY alone: a binary value follows,
 *     <8 bytes: size, little-endian><bytes>\n    which may hold newlines and anything else
 *                                                an empty line ends the entry
 *
 * Keys are A-Z 0-9 _ . Entries longer than JOURNAL_ENTRY_MAX and damaged ones end at the next empty
 * line and are refused by parse (RC_INVALID). */
#ifndef FL_CODEC_JOURNAL_EXPORT_H
#define FL_CODEC_JOURNAL_EXPORT_H

#include "codec/linefmt_int.h"

enum { JOURNAL_ENTRY_MAX = 8 << 20, JOURNAL_KEY_MAX = 64 };

/* One field off the front of *rest. RC_OK, RC_END (empty line or nothing left; consumed), RC_AGAIN
 * (the rest is no complete field), RC_INVALID. */
rc journal_field(str *rest, str *ret_key, str *ret_val);

#endif
