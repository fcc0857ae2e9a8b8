/* auth.c - tokens by their SHA-256, and what the configuration says about several keys at once. */
#include "engine/auth.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "base/mem.h"

struct auth_table {
    arena mem;
    auth_entry *entries;
    size_t count;
    size_t configured; /* of `entries`; the rest is the local token */
    net_role anonymous;
};

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool role_from(str name, net_role *ret) {
    static const struct {
        str name;
        net_role role;
    } ROLES[] = {{S_INIT("read"), ROLE_READ},
                 {S_INIT("write"), ROLE_WRITE},
                 {S_INIT("read+write"), (net_role)(ROLE_READ | ROLE_WRITE)},
                 {S_INIT("admin"), ROLE_ADMIN}};
    for (size_t i = 0; i < ARRAY_LEN(ROLES); i++) {
        if (!str_eq(name, ROLES[i].name)) continue;
        *ret = ROLES[i].role;
        return true;
    }
    return false;
}

rc auth_parse(str text, auth_entry *ret, err *e) {
    str rest = text, name, role, hash;
    bool three = str_next(&rest, ':', &name) && str_next(&rest, ':', &role) &&
                 str_next(&rest, ':', &hash) && rest.n == 0;
    auth_entry a = {0};
    if (!three || name.n == 0 || !role_from(role, &a.role) || hash.n != 2 * AUTH_HASH_BYTES) {
        /* The entry itself is not shown: somebody may have put the token there. */
        rc code = FAIL(e, RC_INVALID, "auth.tokens: an entry is not of the form name:role:sha256");
        err_hint(e, "roles are read, write, read+write and admin; "
                    "'faultline token new' prints an entry");
        return code;
    }
    for (size_t i = 0; i < AUTH_HASH_BYTES; i++) {
        int high = hex_digit(hash.p[2 * i]), low = hex_digit(hash.p[2 * i + 1]);
        if (high < 0 || low < 0) {
            return FAIL(e, RC_INVALID, "auth.tokens: the hash of '%.*s' is not hexadecimal",
                        (int)MIN(name.n, 80), name.p);
        }
        a.hash[i] = (uint8_t)(high << 4 | low);
    }
    a.name = name;
    *ret = a;
    return RC_OK;
}

static void hash_of(str token, uint8_t out[AUTH_HASH_BYTES]) {
    SHA256((const unsigned char *)(token.p ? token.p : ""), token.n, out);
}

rc auth_new(const config *c, net_role anonymous, str local_token, auth_table **ret, err *e) {
    const str *list;
    size_t n = config_list(c, "auth.tokens", &list);
    auth_table *t = mem_new(auth_table);
    arena_init(&t->mem, "auth", 1 << 20);
    t->entries = arena_try_new_n(&t->mem, auth_entry, n + 1);
    rc code = t->entries ? RC_OK : FAIL(e, RC_LIMIT, "too many tokens");
    for (size_t i = 0; code == RC_OK && i < n; i++) {
        code = auth_parse(list[i], &t->entries[i], e);
        if (code == RC_OK) t->entries[i].name = str_dup(&t->mem, t->entries[i].name);
    }
    if (code != RC_OK) {
        auth_free(t);
        return code;
    }
    t->count = t->configured = n;
    if (local_token.n > 0) {
        auth_entry *a = &t->entries[t->count++];
        *a = (auth_entry){.name = S("local"), .role = ROLE_ADMIN};
        hash_of(local_token, a->hash);
    }
    t->anonymous = n == 0 ? anonymous : ROLE_NONE;
    *ret = t;
    return RC_OK;
}

void auth_free(auth_table *t) {
    if (!t) return;
    arena_release(&t->mem);
    mem_free(t);
}

size_t auth_count(const auth_table *t) { return t->configured; }

net_role auth_role_of(const auth_table *t, str token) {
    if (token.n == 0) return t->anonymous;
    uint8_t hash[AUTH_HASH_BYTES];
    hash_of(token, hash);
    net_role found = ROLE_NONE;
    bool known = false;
    /* All of them, in constant time each: how long it takes tells nothing. */
    for (size_t i = 0; i < t->count; i++) {
        if (CRYPTO_memcmp(hash, t->entries[i].hash, AUTH_HASH_BYTES) != 0) continue;
        known = true;
        found = (net_role)(found | t->entries[i].role);
    }
    /* Without tokens nobody is known: what clients send along does not matter. */
    return known ? found : t->anonymous;
}

rc auth_make_token(char ret_token[AUTH_TOKEN_CHARS + 1], char ret_hash_hex[2 * AUTH_HASH_BYTES + 1],
                   err *e) {
    static const char ALPHABET[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char noise[AUTH_TOKEN_CHARS - 3];
    if (RAND_bytes(noise, sizeof noise) != 1)
        return FAIL(e, RC_IO, "the system gives no random numbers");
    memcpy(ret_token, "fl_", 3);
    for (size_t i = 0; i < sizeof noise; i++) ret_token[3 + i] = ALPHABET[noise[i] & 63];
    ret_token[AUTH_TOKEN_CHARS] = '\0';
    uint8_t hash[AUTH_HASH_BYTES];
    hash_of(str_make(ret_token, AUTH_TOKEN_CHARS), hash);
    static const char HEX[] = "0123456789abcdef";
    for (size_t i = 0; i < AUTH_HASH_BYTES; i++) {
        ret_hash_hex[2 * i] = HEX[hash[i] >> 4];
        ret_hash_hex[2 * i + 1] = HEX[hash[i] & 15];
    }
    ret_hash_hex[2 * AUTH_HASH_BYTES] = '\0';
    return RC_OK;
}

/* ---- what concerns several keys ---- */

static rc check_tls(const config *c, const char *cert_key, const char *key_key, err *e) {
    bool cert = config_text(c, cert_key).n > 0, key = config_text(c, key_key).n > 0;
    if (str_eq(config_text(c, cert_key), S("none"))) return RC_OK;
    if (cert == key) return RC_OK;
    return FAIL(e, RC_INVALID, "%s is set and %s is not", cert ? cert_key : key_key,
                cert ? key_key : cert_key);
}

static rc check_exposed(const config *c, err *e) {
    static const char *const LISTENERS[] = {"listen.otlp_grpc", "listen.otlp_http", "listen.api"};
    const str *tokens;
    if (config_list(c, "auth.tokens", &tokens) > 0) return RC_OK;
    if (config_bool(c, "auth.allow_anonymous")) return RC_OK;
    for (size_t i = 0; i < ARRAY_LEN(LISTENERS); i++) {
        str host;
        uint16_t port;
        if (!config_address(c, LISTENERS[i], &host, &port) || config_is_loopback(host)) continue;
        rc code = FAIL(e, RC_INVALID, "%s %.*s is open to other machines and auth.tokens is empty",
                       LISTENERS[i], STR_ARG(config_text(c, LISTENERS[i])));
        err_hint(e, "add a token ('faultline token new'), listen on 127.0.0.1, or set "
                    "auth.allow_anonymous: true");
        return code;
    }
    return RC_OK;
}

rc config_check(const config *c, err *e) {
    static const char *const TLS[][2] = {{"tls.cert", "tls.key"},
                                         {"tls.otlp_grpc.cert", "tls.otlp_grpc.key"},
                                         {"tls.otlp_http.cert", "tls.otlp_http.key"},
                                         {"tls.api.cert", "tls.api.key"},
                                         {"tls.syslog.cert", "tls.syslog.key"}};
    const str *tokens;
    size_t n = config_list(c, "auth.tokens", &tokens);
    rc code = RC_OK;
    for (size_t i = 0; code == RC_OK && i < n; i++) {
        auth_entry a;
        code = auth_parse(tokens[i], &a, e);
    }
    for (size_t i = 0; code == RC_OK && i < ARRAY_LEN(TLS); i++)
        code = check_tls(c, TLS[i][0], TLS[i][1], e);
    str host, cert = config_text(c, "tls.syslog.cert");
    uint16_t port;
    if (code == RC_OK && config_address(c, "listen.syslog_tls", &host, &port) &&
        (str_eq(cert, S("none")) || (cert.n == 0 && config_text(c, "tls.cert").n == 0)))
        code = FAIL(e, RC_INVALID, "listen.syslog_tls needs tls.cert and tls.key");
    if (code == RC_OK &&
        config_int(c, "retention.cold_days") < config_int(c, "retention.hot_days")) {
        code = FAIL(e, RC_INVALID,
                    "retention.cold_days %" PRId64 " is less than retention.hot_days %" PRId64,
                    config_int(c, "retention.cold_days"), config_int(c, "retention.hot_days"));
    }
    if (code == RC_OK && config_text(c, "data.dir").n == 0)
        code = FAIL(e, RC_INVALID, "data.dir is empty");
    if (code == RC_OK) code = check_exposed(c, e);
    return code;
}
