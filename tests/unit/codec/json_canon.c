/* json_canon.c - for json_oracle.py: reads texts from standard input, each as a decimal length, a
 * newline and that many bytes; writes for each one line, "OK " and the value written again from the
 * scanner's tokens, or "ERR". */
#include <stdio.h>

#include "base/mem.h"
#include "codec/json.h"
#include "codec/json_write.h"

enum { TEXT_MAX = 1 << 20 };

static rc rewrite(str in, arena *mem, json_writer *w) {
    json_reader r;
    json_init(&r, in);
    json_tok t;
    rc code;
    while ((code = json_next(&r, &t, NULL)) == RC_OK) {
        str text;
        if (json_text(&t, mem, &text, NULL) != RC_OK) return RC_LIMIT;
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
    return code;
}

int main(void) {
    char *text = mem_alloc(TEXT_MAX);
    arena mem;
    arena_init(&mem, "canon", 4 * TEXT_MAX);
    buf out;
    buf_init(&out, 8 * TEXT_MAX);
    size_t n;
    while (scanf("%zu", &n) == 1 && n <= TEXT_MAX && getchar() == '\n') {
        if (fread(text, 1, n, stdin) != n) return 1;
        /* exactly n bytes on the heap: reading past the end shows under ASan */
        char *exact = mem_alloc(n ? n : 1);
        memcpy(exact, text, n);
        str in = {exact, n};
        json_writer w;
        json_write_init(&w, &out, 0);
        bool ok = json_validate(in, NULL) == RC_OK;
        if (ok && rewrite(in, &mem, &w) != RC_END) return 1;
        fwrite(ok ? "OK " : "ERR", 1, 3, stdout);
        if (ok) fwrite(out.p, 1, out.n, stdout);
        putchar('\n');
        buf_reset(&out);
        arena_reset(&mem);
        mem_free(exact);
    }
    arena_release(&mem);
    buf_release(&out);
    mem_free(text);
    return 0;
}
