"""A small HTTP/2 client for tests that need more than a library lets them do: gRPC with raw frames,
floods, clients that stop reading. Framing and HPACK are those of python3-h2."""
import socket
import ssl
import struct
import sys

try:
    import h2.config
    import h2.connection
    import h2.events
except ImportError:  # another Python than Debian's: its packages are pure Python
    sys.path.append("/usr/lib/python3/dist-packages")
    import h2.config
    import h2.connection
    import h2.events

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    """Any frame, right or wrong."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class Answer:
    def __init__(self):
        self.status = None
        self.headers = {}
        self.trailers = {}
        self.body = b""
        self.reset = None  # error code of a reset
        self.ended = False

    @property
    def grpc_status(self):
        value = self.trailers.get("grpc-status", self.headers.get("grpc-status"))
        return None if value is None else int(value)

    @property
    def grpc_message(self):
        return self.trailers.get("grpc-message", self.headers.get("grpc-message", ""))

    def messages(self):
        """The gRPC messages of the body."""
        out, at = [], 0
        while at + 5 <= len(self.body):
            packed, n = struct.unpack_from(">BI", self.body, at)
            out.append((packed, self.body[at + 5:at + 5 + n]))
            at += 5 + n
        return out


class Connection:
    def __init__(self, address, timeout=30, tls_context=None):
        self.socket = socket.create_connection(address, timeout)
        if tls_context:
            tls_context.set_alpn_protocols(["h2"])
            self.socket = tls_context.wrap_socket(self.socket, server_hostname=address[0])
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8",
                                           validate_outbound_headers=False,
                                           normalize_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.answers = {}
        self.goaway = None
        self.closed = False
        self.flush()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.socket.sendall(data)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def receive(self):
        """Takes what comes next; False when the server has closed."""
        try:
            data = self.socket.recv(65536)
        except (ConnectionError, ssl.SSLError):
            data = b""
        if not data:
            self.closed = True
            return False
        for event in self.h2.receive_data(data):
            answer = self.answers.get(getattr(event, "stream_id", None))
            if isinstance(event, h2.events.ResponseReceived):
                answer.headers = dict(event.headers)
                answer.status = int(answer.headers[":status"])
            elif isinstance(event, h2.events.DataReceived):
                answer.body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.TrailersReceived):
                answer.trailers = dict(event.headers)
            elif isinstance(event, h2.events.StreamEnded):
                answer.ended = True
            elif isinstance(event, h2.events.StreamReset) and answer:
                answer.reset = event.error_code
                answer.ended = True
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.goaway = event.error_code
        self.flush()
        return True

    def start(self, headers, body=None):
        """Begins a request; body None leaves the stream open. Returns the stream's number."""
        stream = self.h2.get_next_available_stream_id()
        self.answers[stream] = Answer()
        self.h2.send_headers(stream, headers, end_stream=body == b"")
        self.flush()
        if body:
            self.send(stream, body)
        return stream

    def send(self, stream, body, end=True):
        at = 0
        while at < len(body) and not self.answers[stream].ended and not self.closed:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room <= 0:
                self.receive()
                continue
            part = body[at:at + room]
            at += len(part)
            try:
                self.h2.send_data(stream, part, end_stream=end and at == len(body))
                self.flush()
            except (h2.exceptions.StreamClosedError, ConnectionError):
                break

    def wait(self, stream):
        while not self.answers[stream].ended and self.receive():
            pass
        return self.answers[stream]

    def request(self, headers, body=b""):
        return self.wait(self.start(headers, body))


def grpc_headers(path, extra=(), content_type="application/grpc", authority="localhost"):
    return [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", authority),
            ("content-type", content_type), ("te", "trailers"), *extra]


SERVICES = {
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "profiles": "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
}
