#!/usr/bin/env python3
"""The checkers of scripts/ must catch what they are for: each test plants one violation in a small
copy of a repository and expects the checker to name it, after it passed the copy without it."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent.parent.parent / "scripts"

SOUND = {
    "layers.txt": "base:\nsys: base\nmine: base\napp: *\n",
    "src/base/README.md": "# base\n",
    "src/base/a.h": "#include <stddef.h>\ntypedef struct a {\n    size_t n;\n} a;\n",
    "src/base/a_int.h": "int a_secret(void);\n",
    "src/base/a.c": '#include "base/a.h"\n#include "base/a_int.h"\n',
    "src/sys/README.md": "# sys\n[base](../base/README.md)\n",
    "src/sys/f.c": '#include "base/a.h"\n#include <unistd.h>\n',
    "src/mine/README.md": "# mine\n## Its parts\n[below](#its-parts)\n",
    "src/mine/m.h": '#include "base/a.h"\nstatic inline a m_a(void) { return (a){1}; }\n',
    "src/mine/m.c": '/* malloc("x") */\n#include "mine/m.h"\nstatic const char *t = "free(x)";\n',
    "src/app/README.md": "# app\n",
    "src/app/main.c": '#include "mine/m.h"\n',
    "docs/design.md": "| room | may include |\n|---|---|\n| `base` | nothing |\n| `sys` | base |\n"
                      "| `mine` | base |\n| `app` | everything |\n",
    ".clang-format": "BasedOnStyle: LLVM\nIndentWidth: 4\nSortIncludes: Never\n",
    "tests/t.c": "int t;\n", "bench/b.c": "int b;\n",
}


class Checkers(unittest.TestCase):
    def run_checker(self, name, changes):
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**SOUND, **changes}.items():
                file = Path(root, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            done = subprocess.run([SCRIPTS / name, root], capture_output=True, text=True, check=False)
            return done.returncode, done.stdout + done.stderr

    def catches(self, name, path, text, message):
        code, output = self.run_checker(name, {})
        self.assertEqual(code, 0, output)
        code, output = self.run_checker(name, {path: text})
        self.assertEqual(code, 1, output)
        self.assertIn(message, output)

    def test_layers_include_of_forbidden_room(self):
        self.catches("check-layers", "src/base/a.h", '#include "mine/m.h"\n',
                     "src/base/a.h:1: room 'base' may not include 'mine/m.h'")

    def test_layers_include_after_text_that_looks_like_a_comment(self):
        self.catches("check-layers", "src/base/a.c", 'const char *t = "/*";\n#  include "sys/f.h"\n',
                     "src/base/a.c:2: room 'base' may not include 'sys/f.h'")

    def test_layers_include_without_room(self):
        self.catches("check-layers", "src/mine/m.c", '#include "m.h"\n', '"m.h" is not of the form')

    def test_layers_include_of_nothing(self):
        self.catches("check-layers", "src/mine/m.c", '#include "base/b.h"\n', "does not exist")

    def test_layers_unknown_folder(self):
        self.catches("check-layers", "src/attic/x.c", "int x;\n", "src/attic: not a room")

    def test_layers_unknown_room_allowed(self):
        self.catches("check-layers", "layers.txt", SOUND["layers.txt"] + "net: bas\n",
                     "unknown room 'bas'")

    def test_layers_circle(self):
        self.catches("check-layers", "layers.txt", "base: mine\nsys: base\nmine: base\napp: *\n",
                     "circle: base -> mine -> base")

    def test_layers_private_header(self):
        self.catches("check-layers", "src/mine/m.c", '#include "base/a_int.h"\n', "private to its")

    def test_layers_missing_readme(self):
        self.catches("check-layers", "src/new/README.txt", "", "src/new: not a room")

    def test_layers_os_header(self):
        for header in ("unistd.h", "sys/stat.h", "pthread.h", "fcntl.h"):
            self.catches("check-layers", "src/mine/m.c", f"#include <{header}>\n",
                         f"src/mine/m.c:1: <{header}> belongs into sys")

    def test_layers_heap_call(self):
        self.catches("check-layers", "src/mine/m.c", "void f(void *p) { free(p); }\n",
                     "free() belongs into base")

    def test_layers_os_call(self):
        self.catches("check-layers", "src/mine/m.c", "int f(void) {\n    return getenv(0) == 0;\n}\n",
                     "src/mine/m.c:2: getenv() belongs into sys")

    def test_layers_stated_exception_and_members_pass(self):
        code, output = self.run_checker("check-layers", {"src/mine/m.c":
            "#include <unistd.h> /* layers: named only, to ban it */\n"
            "void f(struct ops *o) { o->free(o); o->sys.remove(o); }\n"})
        self.assertEqual(code, 0, output)

    def test_headers_needs_other_header(self):
        self.catches("check-headers", "src/base/a.h", "typedef struct a {\n    size_t n;\n} a;\n",
                     "src/base/a.h: does not compile alone (clang-14)")

    def test_format(self):
        self.catches("check-format", "src/base/a.c", "int  x ;\n", "src/base/a.c:1")

    def test_text_machine_path(self):
        self.catches("check-text", "src/mine/m.c", '/* see /' + 'work/main */\n', "path of a machine")

    def test_text_data_set_name(self):
        self.catches("check-text", "src/mine/m.c", "/* as in " + "HD" + "FS logs */\n",
                     "names a data set")

    def test_text_data_set_may_be_named_by_bench(self):
        code, output = self.run_checker("check-text", {"bench/b.c": "/* HD" + "FS */\n"})
        self.assertEqual(code, 0, output)

    def test_text_conflict_marker(self):
        self.catches("check-text", "tests/t.c", "<<<<" + "<<< main\n", "conflict marker")

    def test_text_todo(self):
        self.catches("check-text", "src/mine/m.c", "/* TO" + "DO: later */\n", "TODO without an issue")

    def test_text_trailing_blank(self):
        self.catches("check-text", "src/mine/m.c", "int m; \n", "trailing blanks")

    def test_text_link_to_nothing(self):
        self.catches("check-text", "src/mine/README.md", "[x](missing.md)\n", "link to nothing")

    def test_text_link_to_missing_heading(self):
        self.catches("check-text", "src/mine/README.md", "[x](../sys/README.md#nope)\n",
                     "no such heading")

    def test_text_design_table(self):
        self.catches("check-text", "docs/design.md", SOUND["docs/design.md"].replace(
            "| `mine` | base |", "| `mine` | base sys |"), "`mine` may include 'base'")


if __name__ == "__main__":
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=1).run(
        unittest.defaultTestLoader.loadTestsFromTestCase(Checkers))
    for _ in range(result.testsRun - len(result.failures) - len(result.errors)):
        print("[       OK ]")  # counted by scripts/count-tests
    sys.exit(not result.wasSuccessful())
