"""OTLP conformance: requests made from the specification with the status, content type and records
that must be found afterwards. Two sets: cases of tests/e2e/conformance, and those of
$FAULTLINE_DATA/otlp-samples/conformance when it is there."""
import base64
import gzip
import json
import os
import re
import socket
import subprocess
import unittest
import zlib
from pathlib import Path

import h2client
import harness
import otlp
from server import Server

CASES = harness.ROOT / "tests" / "e2e" / "conformance"
GROWTH_MAX = 100 << 20  # of memory over a whole set


def rpc_status(body, content_type):
    """code, message, retry delay in seconds (or None) of a google.rpc.Status."""
    if "json" in content_type:
        value = json.loads(body)
        delay = None
        for detail in value.get("details", []):
            if detail.get("@type", "").endswith("google.rpc.RetryInfo"):
                delay = detail.get("retryDelay")
        return value.get("code", 0), value.get("message", ""), delay
    code, message, delay = 0, "", None
    for at, value in otlp_fields(body):
        if at == 1:
            code = value
        elif at == 2:
            message = value.decode()
        elif at == 3:
            detail = dict(otlp_fields(value))
            if detail.get(1, b"").endswith(b"google.rpc.RetryInfo"):
                delay = detail.get(2, b"")
    return code, message, delay


def otlp_fields(body):
    """(number, value) of each field of a message."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = body[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    out = []
    while at < len(body):
        key = varint()
        if key & 7 == 0:
            out.append((key >> 3, varint()))
        elif key & 7 == 1:
            out.append((key >> 3, body[at:at + 8]))
            at += 8
        elif key & 7 == 2:
            n = varint()
            out.append((key >> 3, body[at:at + n]))
            at += n
        else:
            raise ValueError(f"wire type {key & 7}")
    return out


def partial(body, content_type):
    """rejected, message of an Export...ServiceResponse; None when partial_success is unset."""
    if "json" in content_type:
        value = json.loads(body).get("partialSuccess")
        if value is None:
            return None
        rejected = [v for k, v in value.items() if k.startswith("rejected")]
        return int(rejected[0]) if rejected else 0, value.get("errorMessage", "")
    for at, value in otlp_fields(body):
        if at == 1:
            inner = dict(otlp_fields(value))
            return inner.get(1, 0), inner.get(2, b"").decode()
    return None


def body_of(case):
    """The bytes of a case: its text, JSON, hex, or a Python expression over the writers of otlp.py."""
    if "json" in case:
        body = json.dumps(case["json"], ensure_ascii=False).encode()
    elif "text" in case:
        body = case["text"].encode()
    elif "hex" in case:
        body = bytes.fromhex(case["hex"])
    elif "make" in case:
        names = {k: getattr(otlp, k) for k in dir(otlp) if not k.startswith("_")}
        body = eval(case["make"], {**names, "T": 1795168800 * 10**9, "gzip": gzip, "zlib": zlib,
                                   "base64": base64, "zstd": zstd})
    else:
        body = b""
    return body if isinstance(body, bytes) else body.encode()


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


class ConformanceCase(harness.Case):
    def start(self, *settings):
        self.server = Server(self.dir, *settings)
        self.addCleanup(self.server.kill)
        self.server.start()
        self.server.request("GET", "/healthz", listener="api")
        self.before = self.server.memory_bytes()

    def count(self, signal_name):
        requests = self.server.export(signal_name)
        if signal_name == "profiles":
            return sum(len(s.get("profiles") or []) for r in requests
                       for p in r.get("resourceProfiles") or [] for s in p.get("scopeProfiles") or [])
        records = otlp.all_records(signal_name, requests)
        return len([x for x in records if '["service.name", ["text", "faultline"]]' not in x])

    def end(self):
        self.assertTrue(self.server.alive(), "the server ended:\n" + self.server.log())
        grown = self.server.memory_bytes() - self.before
        if not self.server.sanitized():
            self.assertLess(grown, GROWTH_MAX, "the server grew")
        self.assertEqual(self.server.stop(), 0, self.server.log())


class OwnCases(ConformanceCase):
    def http(self, case, body):
        headers = {"Content-Type": "application/x-protobuf", **case.get("headers", {})}
        headers = {k: v for k, v in headers.items() if v is not None}
        status, answer, text = self.server.request(case.get("method", "POST"), case["path"], body,
                                                   headers, listener=case.get("listener", "otlp_http"))
        return {"status": status, "type": answer.get("content-type", ""), "body": text, **{
            k: answer[k] for k in ("retry-after", "allow") if k in answer}}

    def raw(self, case, body):
        """Bytes as they are; the first line and headers of what comes back."""
        with socket.create_connection(self.server.host_port("otlp_http"), 30) as s:
            s.sendall(body)
            if not case.get("open"):
                s.shutdown(socket.SHUT_WR)
            answer = b""
            while True:
                part = s.recv(65536)
                if not part:
                    break
                answer += part
        head, _, text = answer.partition(b"\r\n\r\n")
        found = re.match(rb"HTTP/1\.1 (\d+)", head)
        kind = re.search(rb"(?im)^content-type: *(.*?)\r?$", head)
        return {"status": int(found.group(1)) if found else None, "body": text,
                "type": kind.group(1).decode() if kind else ""}

    def grpc(self, case, body):
        path = case.get("path") or h2client.SERVICES[case["signal"]]
        if not case.get("unframed"):
            body = otlp.grpc_frame(body, case.get("packed", 0))
        extra = [tuple(x) for x in case.get("headers", {}).items()]
        with h2client.Connection(self.server.host_port("otlp_grpc")) as c:
            answer = c.request(h2client.grpc_headers(path, extra, case.get("type", "application/grpc")),
                               body)
        message = answer.messages()
        return {"status": answer.status, "grpc": answer.grpc_status, "reset": answer.reset,
                "type": answer.headers.get("content-type", ""), "message": answer.grpc_message,
                "details": answer.trailers.get("grpc-status-details-bin",
                                               answer.headers.get("grpc-status-details-bin")),
                "body": message[0][1] if message else b""}

    def judge(self, case, got):
        """What differs from the expectation, as text."""
        want = case["expect"]
        wrong = []

        def check(what, have, expected):
            good = have in expected if isinstance(expected, list) else have == expected
            if not good:
                wrong.append(f"{what}: {have!r}, want {expected!r}")
        for key in ("status", "grpc", "reset", "allow"):
            if key in want:
                check(key, got.get(key), want[key])
        if "type" in want:
            check("content type", got["type"].split(";")[0].strip(), want["type"])
        good = got.get("grpc", 0) in (0, None) and got["status"] == 200
        if "partial" in want and good:
            found = partial(got["body"], got["type"] if case.get("transport") != "grpc" else "")
            if want["partial"] is None:
                check("partial_success", found, None)
            else:
                check("rejected", (found or (None,))[0], want["partial"])
                if found and not found[1]:
                    wrong.append("partial_success without a message")
        if not good and case.get("transport") in (None, "http") and got["status"] not in (404, 405):
            if "rpc_code" in want:
                code, message, delay = rpc_status(got["body"], got["type"])
                check("rpc code", code, want["rpc_code"])
                if not message:
                    wrong.append("a status without a message")
        if want.get("retry") is False and (got.get("retry-after") or got.get("details")):
            if got.get("retry-after") or b"RetryInfo" in base64.b64decode(
                    (got.get("details") or "") + "=="):
                wrong.append("says when to come back, and must not")
        return wrong

    def test_cases(self):
        self.start("limits.body=1MiB")
        cases = []
        for file in sorted(CASES.glob("*.json")):
            cases += json.loads(file.read_text())
        self.assertGreaterEqual(len(cases), 60)
        self.assertEqual(len({c["id"] for c in cases}), len(cases), "two cases of one name")
        counts, wrong = {}, []
        for case in cases:
            signal_name = case.get("signal", "logs")
            if signal_name not in counts:
                counts[signal_name] = self.count(signal_name)
            how = {"grpc": self.grpc, "raw": self.raw}.get(case.get("transport"), self.http)
            try:
                got = how(case, body_of(case))
            except (OSError, AssertionError) as e:
                wrong.append(f"{case['id']}: {type(e).__name__}: {e}")
                continue
            after = self.count(signal_name)
            differs = self.judge(case, got)
            stored = after - counts[signal_name]
            want = case["expect"]["stored"]
            if stored not in (want if isinstance(want, list) else [want]):
                differs.append(f"stored: {stored}, want {want}")
            counts[signal_name] = after
            if differs:
                wrong.append(f"{case['id']} ({case['why']}): {'; '.join(differs)}; {got['body'][:120]!r}")
        self.assertEqual(wrong, [], "\n".join([f"{len(wrong)} of {len(cases)} off:", *wrong]))
        self.end()


class SpecificationCases(ConformanceCase):
    def test_cases(self):
        data = os.environ.get("FAULTLINE_DATA")
        folder = Path(data or ".") / "otlp-samples" / "conformance"
        if not data or not folder.exists():
            self.skipTest("FAULTLINE_DATA is not set")
        self.start()
        counts, wrong = {}, []
        for line in (folder / "cases.jsonl").read_text().splitlines():
            case = json.loads(line)
            signal_name = case["signal"]
            known = signal_name in otlp.LAYERS or signal_name == "profiles"
            if known and signal_name not in counts:
                counts[signal_name] = self.count(signal_name)
            body = (folder / case["body_file"]).read_bytes()
            try:
                status, headers, answer = self.server.request(case["method"], case["path"], body,
                                                              case["headers"])
            except OSError as e:
                wrong.append(f"{case['id']}: {type(e).__name__}: {e}")
                continue
            if status not in case["expect_status"]:
                wrong.append(f"{case['id']}: {status}, want {case['expect_status']}: {answer[:100]!r}")
            sent = {k.lower(): v for k, v in case["headers"].items()}.get("content-type", "")
            kind = sent.split(";")[0].strip()
            if status in (200, 400, 413) and kind in ("application/json", "application/x-protobuf"):
                if headers.get("content-type", "").split(";")[0] != kind:
                    wrong.append(f"{case['id']}: answered as {headers.get('content-type')!r}")
            if known:
                after = self.count(signal_name)
                stored = after - counts[signal_name]
                counts[signal_name] = after
                if case["expect_accepted"] is not None and stored != case["expect_accepted"]:
                    wrong.append(f"{case['id']}: {stored} stored, want {case['expect_accepted']}")
        self.assertEqual(wrong, [], "\n".join(wrong))
        self.end()


if __name__ == "__main__":
    harness.main()
