/* certs.h - certificates made for one test: an authority, and names signed by it. */
#ifndef FL_TESTS_CERTS_H
#define FL_TESTS_CERTS_H

#include "../unit.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

typedef struct cert {
    EVP_PKEY *key;
    X509 *x509;
} cert;

static inline void cert_extension(X509 *x, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
}

/* issuer NULL: signs itself and others. */
static inline cert cert_make(const char *name, long serial, const cert *issuer) {
    cert c = {EVP_EC_gen("P-256"), X509_new()};
    assert_true(c.key && c.x509);
    X509_set_version(c.x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c.x509), serial);
    X509_gmtime_adj(X509_getm_notBefore(c.x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(c.x509), 3600);
    X509_set_pubkey(c.x509, c.key);
    X509_NAME *n = X509_get_subject_name(c.x509);
    X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509 *by = issuer ? issuer->x509 : c.x509;
    X509_set_issuer_name(c.x509, X509_get_subject_name(by));
    cert_extension(c.x509, by, NID_basic_constraints, issuer ? "CA:FALSE" : "critical,CA:TRUE");
    if (issuer) cert_extension(c.x509, by, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    assert_true(X509_sign(c.x509, issuer ? issuer->key : c.key, EVP_sha256()) > 0);
    return c;
}

static inline void cert_write(const cert *c, const char *cert_path, const char *key_path) {
    FILE *f = fopen(cert_path, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, c->x509), 1);
    fclose(f);
    if (!key_path) return;
    f = fopen(key_path, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_PrivateKey(f, c->key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
}

static inline void cert_free(cert *c) {
    EVP_PKEY_free(c->key);
    X509_free(c->x509);
}

#endif
