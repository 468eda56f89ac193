"""One plain socket to the broker: whole requests, or any bytes at all.

`ask` speaks properly, by the schemas; `send` and `fate` are for what no client would do.
"""

import socket
import struct

import coverage
from schema import unsigned_varint

API_VERSIONS = 18


class Closed(Exception):
    """The broker has closed the connection."""


class Connection:
    def __init__(self, address, schemas, client_id="wire", timeout=20):
        host, port = address.rsplit(":", 1)
        self.schemas, self.client_id = schemas, client_id
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        self.correlation = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def header(self, key, version, flexible):
        self.correlation += 1
        client_id = self.client_id.encode()
        head = struct.pack(">hhih", key, version, self.correlation, len(client_id)) + client_id
        # The client id stays in the old form; a flexible header has tags behind it.
        return head + (unsigned_varint(0) if flexible else b"")

    def frame(self, api, version, body):
        """The bytes of a request, its length in front."""
        request = self.schemas.request(api)
        content = (self.header(request.key, version, version in request.flexible)
                   + (body if isinstance(body, bytes) else request.encode(version, body)))
        return struct.pack(">i", len(content)) + content

    def ask(self, api, version, body):
        self.send(self.frame(api, version, body))
        return self.answer(api, version)

    def answer(self, api, version):
        content = self.receive()
        correlation = int.from_bytes(content[:4], "big")
        assert correlation == self.correlation, f"answer to {correlation}, wanted {self.correlation}"
        response = self.schemas.response(api)
        tagged_header = version in response.flexible and response.key != API_VERSIONS
        assert not tagged_header or content[4] == 0, "tags in the header"
        answer = response.decode(version, content[5 if tagged_header else 4:])
        coverage.note(api, version, answer)
        return answer

    def send(self, content):
        try:
            self.socket.sendall(content)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed from error

    def receive(self):
        size = int.from_bytes(self.exactly(4), "big")
        return self.exactly(size)

    def exactly(self, count):
        parts, left = [], count
        while left:
            try:
                part = self.socket.recv(min(left, 1 << 20))
            except ConnectionResetError as error:
                raise Closed from error
            if not part:
                raise Closed
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def fate(self, within_seconds=3):
        """What becomes of the connection in time: `closed`, `answered` or `silent`."""
        self.socket.settimeout(within_seconds)
        try:
            return "answered" if self.socket.recv(1) else "closed"
        except ConnectionResetError:
            return "closed"
        except TimeoutError:
            return "silent"
