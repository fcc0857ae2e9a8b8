/* Any text read as sequences: counts agree with the set, and the model of whatever was read judges
 * it without fault. Reading the text twice into one set doubles the events. */
#include <stddef.h>
#include <stdint.h>

#include "detect/sessions.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    str text = {(const char *)data, size};
    session_set *s = session_set_new(&(session_opts){.max_sessions = 1000, .max_bytes = 1 << 20});
    session_read_counts c, again;
    session_counts t;
    rc r = session_read_sequences(text, s, &c, NULL);
    session_set_totals(s, &t);
    MUST(t.events == c.events && t.sessions <= c.sessions);
    MUST(c.sessions + c.bad_lines + c.empty_lines == c.lines);
    session_model *m = NULL;
    if (r == RC_OK && session_model_train(s, &m, NULL) == RC_OK) {
        for (size_t i = 0; i < t.sessions; i++) {
            session_verdict v;
            session_model_score(m, s, i, &v);
            MUST(v.score >= 0 && v.score < 1e6);
        }
        if (session_read_sequences(text, s, &again, NULL) == RC_OK) {
            session_set_totals(s, &t);
            MUST(t.events == 2 * c.events);
        }
    }
    session_model_free(m);
    session_set_free(s);
    return 0;
}
