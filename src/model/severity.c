/* severity.c - level words of the common logging libraries, by first letter.
 *
 * Mapping: OpenTelemetry Logs Data Model, appendix B (syslog, java.util.logging, log4j, zap) and
 * the libraries' own documentation: .NET (trce, dbug, fail, crit), Serilog (verbose), loguru
 * (success), npm (silly), PostgreSQL (LOG, DEBUG1..5, PANIC), MySQL (Note), Android and glog
 * letters, four-letter cuts as fixed-width layouts print them (EROR, FATL). The look-up is on the
 * way of every record with a level: one switch, then a handful of comparisons. */
#include "model/severity.h"

typedef struct word {
    const char *text; /* lower case */
    severity sev;
} word;

enum { WORD_MAX = 13 }; /* "informational" */

static severity find(const word *words, size_t count, const char *text) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i].text, text) == 0) return words[i].sev;
    return SEV_NONE;
}

static severity from_letter(char c) {
    switch (c) {
    case 't':
    case 'v':
        return SEV_TRACE;
    case 'd':
        return SEV_DEBUG;
    case 'i':
        return SEV_INFO;
    case 'n':
        return SEV_INFO2;
    case 'w':
        return SEV_WARN;
    case 'e':
        return SEV_ERROR;
    case 'c':
        return SEV_ERROR2;
    case 'a':
        return SEV_ERROR3;
    case 'f':
        return SEV_FATAL;
    default:
        return SEV_NONE;
    }
}

severity severity_from_word(str w, bool letters) {
    static const word A[] = {{"alert", SEV_ERROR3}};
    static const word C[] = {
        {"critical", SEV_ERROR2}, {"crit", SEV_ERROR2}, {"config", 7}, {"crt", SEV_ERROR2}};
    static const word D[] = {{"debug", SEV_DEBUG},  {"dbg", SEV_DEBUG},    {"dbug", SEV_DEBUG},
                             {"debug1", SEV_DEBUG}, {"debug2", SEV_DEBUG}, {"debug3", SEV_DEBUG},
                             {"debug4", SEV_DEBUG}, {"debug5", SEV_DEBUG}, {"debg", SEV_DEBUG},
                             {"debu", SEV_DEBUG},   {"dpanic", SEV_ERROR2}};
    static const word E[] = {{"error", SEV_ERROR}, {"err", SEV_ERROR},       {"emerg", SEV_FATAL},
                             {"eror", SEV_ERROR},  {"emergency", SEV_FATAL}, {"erro", SEV_ERROR}};
    static const word F[] = {{"fatal", SEV_FATAL},   {"fail", SEV_ERROR}, {"fine", 6},
                             {"finer", SEV_DEBUG},   {"fatl", SEV_FATAL}, {"finest", SEV_TRACE},
                             {"failure", SEV_ERROR}, {"ftl", SEV_FATAL},  {"fata", SEV_FATAL}};
    static const word I[] = {{"info", SEV_INFO},
                             {"information", SEV_INFO},
                             {"informational", SEV_INFO},
                             {"inf", SEV_INFO}};
    static const word N[] = {{"notice", SEV_INFO2}, {"note", SEV_INFO}};
    static const word P[] = {{"panic", SEV_FATAL}};
    static const word S_[] = {{"severe", SEV_ERROR}, {"success", SEV_INFO2}, {"silly", SEV_TRACE}};
    static const word T[] = {
        {"trace", SEV_TRACE}, {"trce", SEV_TRACE}, {"trc", SEV_TRACE}, {"trac", SEV_TRACE}};
    static const word V[] = {{"verbose", SEV_TRACE}, {"vrb", SEV_TRACE}};
    static const word W[] = {{"warn", SEV_WARN}, {"warning", SEV_WARN}, {"wrn", SEV_WARN}};

    if (w.n == 0 || w.n > WORD_MAX) return SEV_NONE;
    char text[WORD_MAX + 1];
    for (size_t i = 0; i < w.n; i++) {
        char c = w.p[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c + 32);
        if (c == '\0') return SEV_NONE;
        text[i] = c;
    }
    text[w.n] = '\0';
    if (w.n == 1) return letters ? from_letter(text[0]) : SEV_NONE;
    switch (text[0]) {
    case 'a':
        return find(A, ARRAY_LEN(A), text);
    case 'c':
        return find(C, ARRAY_LEN(C), text);
    case 'd':
        return find(D, ARRAY_LEN(D), text);
    case 'e':
        return find(E, ARRAY_LEN(E), text);
    case 'f':
        return find(F, ARRAY_LEN(F), text);
    case 'i':
        return find(I, ARRAY_LEN(I), text);
    case 'l':
        return str_eq(w, S("LOG")) ? SEV_INFO : SEV_NONE; /* "log" is too common a word */
    case 'n':
        return find(N, ARRAY_LEN(N), text);
    case 'p':
        return find(P, ARRAY_LEN(P), text);
    case 's':
        return find(S_, ARRAY_LEN(S_), text);
    case 't':
        return find(T, ARRAY_LEN(T), text);
    case 'v':
        return find(V, ARRAY_LEN(V), text);
    case 'w':
        return find(W, ARRAY_LEN(W), text);
    default:
        return SEV_NONE;
    }
}

severity severity_from_syslog(unsigned code) {
    static const severity BY_CODE[] = {SEV_FATAL, SEV_ERROR3, SEV_ERROR2, SEV_ERROR,
                                       SEV_WARN,  SEV_INFO2,  SEV_INFO,   SEV_DEBUG};
    return code < ARRAY_LEN(BY_CODE) ? BY_CODE[code] : SEV_NONE;
}

severity severity_from_pino(unsigned level) {
    if (level == 0) return SEV_NONE;
    if (level < 20) return SEV_TRACE;
    if (level < 30) return SEV_DEBUG;
    if (level < 40) return SEV_INFO;
    if (level < 50) return SEV_WARN;
    return level < 60 ? SEV_ERROR : SEV_FATAL;
}

str severity_text(severity s) {
    static const str NAMES[SEV_MAX] = {
        S_INIT("TRACE"),  S_INIT("TRACE2"), S_INIT("TRACE3"), S_INIT("TRACE4"), S_INIT("DEBUG"),
        S_INIT("DEBUG2"), S_INIT("DEBUG3"), S_INIT("DEBUG4"), S_INIT("INFO"),   S_INIT("INFO2"),
        S_INIT("INFO3"),  S_INIT("INFO4"),  S_INIT("WARN"),   S_INIT("WARN2"),  S_INIT("WARN3"),
        S_INIT("WARN4"),  S_INIT("ERROR"),  S_INIT("ERROR2"), S_INIT("ERROR3"), S_INIT("ERROR4"),
        S_INIT("FATAL"),  S_INIT("FATAL2"), S_INIT("FATAL3"), S_INIT("FATAL4"),
    };
    if (s <= SEV_NONE || s > SEV_MAX) return S("");
    return NAMES[s - 1];
}
