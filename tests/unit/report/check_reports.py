#!/usr/bin/env python3
"""Checks finished reports: check_reports.py SCHEMA_DIRECTORY FILE_OR_DIRECTORY...

  *.json   valid against its schema (by the file's name); references (evidence ids, finding numbers) resolve; shares add up
  *.html   well-formed (every tag closed in order), no script, no external resource, no duplicate id,
           every inner link has its target, every table row has as many cells as the head
  *.md     every table row has as many cells as its head, fences are closed
"""
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import jsonschema

problems = []


def check(condition, where, text):
    if not condition:
        problems.append(f"{where}: {text}")


def check_json(path, validators):
    doc = json.loads(path.read_text(encoding="utf-8"))
    kind = path.stem if path.stem in validators else "report"
    for error in validators[kind].iter_errors(doc):
        problems.append(f"{path}: {'/'.join(map(str, error.absolute_path))}: {error.message[:200]}")
    if kind != "report":
        return
    ids = [e["id"] for e in doc["evidence"]]
    check(ids == [f"E{i + 1}" for i in range(len(ids))], path, "evidence ids are not E1, E2 ...")
    findings = len(doc["findings"])
    for part in ("order_of_failures", "propagation_path", "timeline", "alternatives"):
        for entry in doc[part]:
            check(entry["evidence"] is None or entry["evidence"] in ids, path, f"{part}: unknown evidence")
            check(entry.get("finding", 0) < max(findings, 1), path, f"{part}: unknown finding")
    for part in ("order_of_failures", "timeline"):
        times = [e["time"] for e in doc[part] if e["time"]]
        check(times == sorted(times), path, f"{part} is not in order of time")
    total = (doc["confidence"] or 0) + sum(a["confidence"] for a in doc["alternatives"])
    check(total <= 1 + 1e-9, path, "confidences add up to more than 1")


class Page(HTMLParser):
    VOID = {"meta", "br"}

    def __init__(self, where):
        super().__init__(convert_charrefs=True)
        self.where, self.open, self.ids, self.links, self.cells, self.columns = where, [], [], [], 0, None

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        check(tag not in ("script", "iframe", "object", "img", "link", "base", "form"), self.where, f"<{tag}>")
        for name, value in attrs.items():
            check(not name.startswith("on"), self.where, f"event handler {name}")
            if name == "id":
                self.ids.append(value)
            if name in ("src", "srcset", "xlink:href"):
                check(False, self.where, f"external resource {value}")
            if name == "href":
                check(re.match(r"https?://|#", value), self.where, f"link to {value}")
                if value.startswith("#"):
                    self.links.append(value[1:])
        if tag == "table":
            self.columns = None
        if tag == "tr":
            self.cells = 0
        if tag in ("td", "th"):
            self.cells += 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        check(self.open and self.open[-1] == tag, self.where, f"</{tag}> closes {self.open[-1:]}, line {self.getpos()}")
        if self.open:
            self.open.pop()
        if tag == "tr":
            if self.columns is None:
                self.columns = self.cells
            check(self.cells == self.columns, self.where, f"row of {self.cells} cells, head of {self.columns}")


def check_html(path):
    text = path.read_text(encoding="utf-8")
    page = Page(path)
    page.feed(text)
    page.close()
    check(not page.open, path, f"left open: {page.open}")
    check(len(set(page.ids)) == len(page.ids), path, "an id is there twice")
    check(set(page.links) <= set(page.ids), path, f"links without target: {set(page.links) - set(page.ids)}")
    check("url(" not in text and "@import" not in text, path, "style loads something")


def check_markdown(path):
    fence, columns = None, None
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        mark = re.match(r"`{3,}", line)
        if fence:
            if line == fence:
                fence = None
            continue
        if mark:
            fence = mark[0]
        elif line.startswith("|"):
            cells = len(re.sub(r"\\.", "", line).split("|"))
            columns = columns or cells
            check(cells == columns, f"{path}:{number}", f"{cells} cells, head of {columns}")
        else:
            columns = None
    check(fence is None, path, "a fence is not closed")


def main():
    validators = {}
    for path in Path(sys.argv[1]).glob("*.schema.json"):
        schema = json.loads(path.read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)
        validators[path.name.split(".")[0]] = jsonschema.Draft202012Validator(schema)
    counts = {".json": 0, ".html": 0, ".md": 0}
    for argument in map(Path, sys.argv[2:]):
        for path in sorted(argument.iterdir()) if argument.is_dir() else [argument]:
            if path.suffix not in counts:
                continue
            counts[path.suffix] += 1
            if path.suffix == ".json":
                check_json(path, validators)
            elif path.suffix == ".html":
                check_html(path)
            else:
                check_markdown(path)
    for line in problems:
        print(line)
    print(", ".join(f"{n} {suffix}" for suffix, n in counts.items()), f"- {len(problems)} problems")
    return 1 if problems or not all(counts.values()) else 0


sys.exit(main())
