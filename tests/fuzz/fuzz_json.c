/* fuzz_json - the scanner. Oracles: scan -> write again -> scan gives the same tokens;
 * json_validate, json_next and json_flat agree on what is JSON; every token lies in the text. */
#include "codec/json.h"
#include "codec/json_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16 };

/* Writes the tokens again; the code that ended the scan. */
static rc rewrite(str in, bool raw_controls, arena *mem, json_writer *w, size_t *ret_tokens) {
    json_reader r;
    json_init(&r, in);
    r.raw_controls = raw_controls;
    json_tok t;
    rc code;
    *ret_tokens = 0;
    while ((code = json_next(&r, &t, NULL)) == RC_OK) {
        ++*ret_tokens;
        MUST(t.offset < in.n && t.text.p >= in.p && t.text.p + t.text.n <= in.p + in.n);
        str text;
        MUST(json_text(&t, mem, &text, NULL) == RC_OK);
        switch (t.kind) {
        case JSON_OBJECT_BEGIN:
            json_write_object(w);
            break;
        case JSON_OBJECT_END:
            json_write_object_end(w);
            break;
        case JSON_ARRAY_BEGIN:
            json_write_array(w);
            break;
        case JSON_ARRAY_END:
            json_write_array_end(w);
            break;
        case JSON_KEY:
            json_write_key(w, text);
            break;
        case JSON_STRING:
            json_write_str(w, text);
            break;
        default:
            json_write_raw(w, text);
            break;
        }
    }
    MUST(r.at <= in.n);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > INPUT_MAX) return 0;
    str in = {(const char *)data, size};
    arena mem;
    arena_init(&mem, "fuzz", 64 << 20);
    buf once, twice;
    buf_init(&once, 16 << 20);
    buf_init(&twice, 16 << 20);
    json_writer w;
    size_t tokens, tokens2;
    json_write_init(&w, &once, 0);
    rc code = rewrite(in, true, &mem, &w, &tokens);
    MUST(code == RC_END || code == RC_INVALID || code == RC_LIMIT);
    if (code == RC_END) {
        json_write_init(&w, &twice, 0);
        MUST(rewrite(buf_str(&once), false, &mem, &w, &tokens2) == RC_END);
        MUST(tokens == tokens2 && str_eq(buf_str(&once), buf_str(&twice)));
        MUST(json_validate(buf_str(&once), NULL) == RC_OK);
    } else {
        MUST(json_validate(in, NULL) != RC_OK);
    }

    json_member m[64];
    const json_flat_opts opts = {.raw_controls = true};
    size_t total = 0, used = 0;
    rc flat = json_flat(in, &opts, &mem, m, ARRAY_LEN(m), &total, &used, NULL);
    bool object = size > 0 && str_trim(in).n > 0 && once.n > 0 && once.p[0] == '{';
    MUST((flat == RC_OK) == (code == RC_END && object));
    for (size_t i = 0; i < MIN(total, ARRAY_LEN(m)); i++) {
        MUST(m[i].val.text.p >= in.p && m[i].val.text.p + m[i].val.text.n <= in.p + in.n);
    }
    buf_release(&once);
    buf_release(&twice);
    arena_release(&mem);
    return 0;
}
