"""A provider on this machine: an HTTP server that answers what a test has written down, and notes what it was asked."""

import json
import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

JSON = 'application/json'
EVENTS = 'text/event-stream'


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server answers a request with."""

    body: bytes = b''
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    pieces: Sequence[bytes] = ()
    """The body in pieces, each sent by itself."""
    dropped: bool = False
    """Whether the connection breaks when all of this has been sent, or before anything if there is nothing."""


def as_json(payload: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer that is a JSON document."""
    return Answer(body=json.dumps(payload).encode(), status=status, headers=headers or {})


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    body: Any


class Loopback:
    """The server, in a thread of its own on a free port of 127.0.0.1; it stops with its block."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(('127.0.0.1', 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={'poll_interval': 0.01}, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f'http://127.0.0.1:{self._server.server_port}'

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening; a second time is fine."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def take(self, asked: Asked) -> Answer:
        """Note a request and find its answer."""
        self.asked.append(asked)
        if len(self.asked) > len(self.answers):
            return as_json({'error': {'message': 'the script has no answer left'}}, status=500)
        return self.answers[len(self.asked) - 1]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'
            timeout = 30

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers['content-length']))
                answer = loopback.take(Asked(self.path, dict(self.headers.items()), json.loads(body)))
                if answer.dropped and not (answer.body or answer.pieces):
                    self._break()
                else:
                    self._send(answer)

            def _send(self, answer: Answer) -> None:
                self.send_response(answer.status)
                self.send_header('content-type', answer.content_type)
                self.send_header('connection', 'close')
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if answer.pieces:
                    self.send_header('transfer-encoding', 'chunked')
                    self.end_headers()
                    for piece in answer.pieces:
                        self.wfile.write(b'%x\r\n%s\r\n' % (len(piece), piece))
                        self.wfile.flush()
                    if not answer.dropped:
                        self.wfile.write(b'0\r\n\r\n')
                else:
                    self.send_header('content-length', str(len(answer.body)))
                    self.end_headers()
                    self.wfile.write(answer.body)
                self.close_connection = True

            def _break(self) -> None:
                """Reset the connection instead of closing it."""
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler
