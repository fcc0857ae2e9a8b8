/* auth.h - bearer tokens and what they allow. The configuration holds SHA-256 of each token, never
 * the token: who reads the file cannot use it. Tokens are random (256 bits), so a plain hash is as
 * hard to turn round as a slow one.
 *
 *     name:role:sha256hex       role: read, write, read+write, admin */
#ifndef FL_ENGINE_AUTH_H
#define FL_ENGINE_AUTH_H

#include "base/arena.h"
#include "engine/config.h"
#include "net/server.h"

enum { AUTH_HASH_BYTES = 32, AUTH_TOKEN_CHARS = 51 };

typedef struct auth_entry {
    str name;
    net_role role;
    uint8_t hash[AUTH_HASH_BYTES];
} auth_entry;

typedef struct auth_table auth_table; /* immutable once made: any thread */

MUST_CHECK rc auth_parse(str text, auth_entry *ret, err *e); /* borrows text */
/* anonymous: the role of requests without a token when the table holds none (ROLE_NONE: refused).
 * local_token: one more token with every right, kept in memory only; may be empty. */
MUST_CHECK rc auth_new(const config *c, net_role anonymous, str local_token, auth_table **ret,
                       err *e);
void auth_free(auth_table *t);
net_role auth_role_of(const auth_table *t, str token);
size_t auth_count(const auth_table *t);

/* A new random token ("fl_" and 48 characters) and its hash in hexadecimal. */
MUST_CHECK rc auth_make_token(char ret_token[AUTH_TOKEN_CHARS + 1],
                              char ret_hash_hex[2 * AUTH_HASH_BYTES + 1], err *e);

#endif
