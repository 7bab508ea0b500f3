"""Bytes of a connection in, requests out, one at a time (RFC 9112); no I/O.

llhttp (httptools) parses. What it leaves to its user is here: limits, a Host header, an absolute-form target, and the
end of a message. A caller *pulls* a head, then its body, then the next head, so that a pipelined request waits as bytes
until its turn. Therefore llhttp is never fed beyond the end of a message.
"""

from __future__ import annotations

import re
from typing import Any

import httptools

from cspd.http.message import Request

__all__ = ["BadMessage", "RequestReader"]


class BadMessage(Exception):
    """The request cannot be read on; answer with ``status`` and close (RFC 9112, 2.2 and 11.2)."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) [!-~]+ HTTP/([0-9])\.([0-9])")
_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"})
_VERSIONS = {b" HTTP/1.1": True, b" HTTP/1.0": False}
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]*)(?::[0-9]*)?")
_ABSOLUTE_FORM = re.compile(rb"https?://([^/?#@]+)(/[^?#]*)?(\?.*)?", re.IGNORECASE)
_MESSAGE_END = b"\r\n\r\n"


class RequestReader:
    """Reads the requests of one connection in order."""

    def __init__(self, max_header_bytes: int) -> None:
        self.max_header_bytes = max_header_bytes
        self.keep_alive = False
        """Whether the client can take another answer after that to the current request."""
        self.has_body = False
        self.content_length: int | None = None
        """Of the current request; None without a body or when it is chunked."""
        self.expectation: bytes | None = None
        """The current request's Expect header in lower case."""
        self.is_http_1_1 = True
        self._parser: Any = httptools.HttpRequestParser(self)
        self._buffer = b""
        self._searched = 0
        self._tail = b""
        self._reset()

    def _reset(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._hosts: list[bytes] = []
        self._is_past_head = False
        self._is_chunked = False
        self._pieces: list[bytes] = []
        self._body_bytes = 0
        self._fed_bytes = 0
        self._is_complete = False
        self.content_length = None
        self.expectation = None

    @property
    def has_buffered(self) -> bool:
        """Whether bytes wait that belong to the next request, or to one not yet whole."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take what the transport received."""
        self._buffer = self._buffer + data if self._buffer else data

    def close(self) -> None:
        """Drop what is held; the parser and this object refer to each other."""
        self._parser = None
        self._buffer = b""
        self._pieces = []

    def read_head(self) -> Request | None:
        """The next request, still without its body; None while its head is not whole. Raises BadMessage."""
        buffer = self._buffer
        if not buffer:
            return None
        if buffer[0] < 0x20:  # RFC 9112, 2.2: empty lines before a request line are skipped
            buffer = self._buffer = _without_empty_lines(buffer)
            if not buffer or buffer == b"\r":
                return None
        if not 0x41 <= buffer[0] <= 0x5A:
            # No method starts so: TLS on a plain port, or noise. Waiting for an empty line would only hold it longer.
            raise BadMessage(400, "not an HTTP request")
        end = buffer.find(_MESSAGE_END, self._searched)
        if end < 0:
            if len(buffer) >= self.max_header_bytes:
                raise self._too_large(buffer)
            self._searched = max(len(buffer) - 3, 0)
            return None
        end += 4
        if end > self.max_header_bytes:
            raise self._too_large(buffer)
        self._searched = 0
        if end == len(buffer):
            self._buffer = b""
            return self._parse_head(buffer)
        self._buffer = buffer[end:]
        return self._parse_head(buffer[:end])

    def read_body(self, limit: int) -> bytes | None:
        """The body of the current request; None while it is not whole. Raises BadMessage, 413 beyond ``limit``."""
        if not self.has_body:
            return b""
        if self.content_length is None:
            self._feed_chunks(limit)
        else:
            if self.content_length > limit:
                raise BadMessage(413, "the body is larger than allowed")
            missing = self.content_length - self._body_bytes
            data, self._buffer = self._buffer[:missing], self._buffer[missing:]
            if data:
                self._parser.feed_data(data)
        if not self._is_complete:
            return None
        pieces = self._pieces
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    # What llhttp calls.

    def on_url(self, url: bytes) -> None:
        """The request-target, whole because the head is fed whole."""
        self._target = url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer: those are dropped, whatever they say (RFC 9112, 7.1.2)."""
        if self._is_past_head:
            return
        name = name.lower()
        value = value.rstrip(b" \t")
        self._headers.append((name, value))
        if name == b"host":
            self._hosts.append(value)
        elif name == b"content-length":
            self.content_length = int(value)  # llhttp let digits through only, and once only
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked":
                raise BadMessage(501, "a transfer coding other than chunked")
            self._is_chunked = True
        elif name == b"expect":
            self.expectation = value.lower()

    def on_headers_complete(self) -> None:
        """The one moment at which llhttp knows whether the connection stays open."""
        self.keep_alive = self._parser.should_keep_alive()
        self._is_past_head = True

    def on_body(self, data: bytes) -> None:
        """A piece of the body, decoded."""
        self._pieces.append(data)
        self._body_bytes += len(data)

    def on_message_complete(self) -> None:
        """The end of body and trailers."""
        self._is_complete = True

    # Below: how.

    def _parse_head(self, head: bytes) -> Request:
        self._reset()
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            is_upgrade = True
        except httptools.HttpParserError as error:
            raise _reason(error, head) from error
        else:
            is_upgrade = False
        line_end = head.index(b"\r\n")
        self.is_http_1_1 = is_http_1_1 = self._version(head, line_end)
        method: bytes = self._parser.get_method()
        target = self._target
        if len(method) + len(target) + 10 != line_end:
            raise BadMessage(400, "spaces in the request line")
        if method == b"CONNECT":
            raise BadMessage(501, "not a proxy")
        if self._is_chunked and not is_http_1_1:
            raise BadMessage(400, "Transfer-Encoding in HTTP/1.0")
        if len(self._hosts) != 1 and (is_http_1_1 or self._hosts):
            raise BadMessage(400, "one Host header is needed")
        if self._hosts and not _HOST.fullmatch(self._hosts[0]):
            raise BadMessage(400, "the Host header is malformed")
        if b"#" in target:
            raise BadMessage(400, "a fragment in the request target")
        path = target if target[:1] == b"/" else self._path_of_other_form(method)
        path, _, query = path.partition(b"?")
        self.has_body = self._is_chunked or bool(self.content_length)
        request = Request(
            method=method.decode("ascii"),
            target=target,
            path=path.decode("ascii"),
            query=query.decode("latin-1"),
            headers=tuple(self._headers),
            body=b"",
        )
        self._tail = b""
        if is_upgrade and self.has_body:
            self._ignore_upgrade()
        return request

    def _version(self, head: bytes, line_end: int) -> bool:
        version = _VERSIONS.get(head[line_end - 9 : line_end])
        if version is None:
            raise _reason(ValueError("version"), head)
        return version

    def _path_of_other_form(self, method: bytes) -> bytes:
        """Absolute-form and asterisk-form (RFC 9112, 3.2.2 and 3.2.4); gives path and query."""
        if self._target == b"*":
            if method != b"OPTIONS":
                raise BadMessage(400, "the target * is for OPTIONS")
            return b"*"
        found = _ABSOLUTE_FORM.fullmatch(self._target)
        if found is None or not _HOST.fullmatch(found[1]):
            raise BadMessage(400, "the request target is malformed")
        # The target's host wins over the header (RFC 9112, 3.2.2); handlers only ever see one of them.
        self._headers = [(name, found[1] if name == b"host" else value) for name, value in self._headers]
        return (found[2] or b"/") + (found[3] or b"")

    def _ignore_upgrade(self) -> None:
        """Read the body of a request that asks for an upgrade, which a server may ignore (RFC 9110, 7.8).

        llhttp takes what follows such a head for the other protocol, so another parser is told of the framing alone.
        """
        length, keep_alive, has_expectation = self.content_length, self.keep_alive, self.expectation
        self._is_past_head = True
        framing = b"Transfer-Encoding: chunked" if self._is_chunked else b"Content-Length: %d" % (length or 0)
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
        self.keep_alive, self.expectation, self._is_complete = keep_alive, has_expectation, False

    def _feed_chunks(self, limit: int) -> None:
        """Feed a chunked body up to its end and not beyond.

        It ends with an empty line. So each feed goes to the next CR LF CR LF, be it the end or data that look like it.
        """
        window = self._tail + self._buffer
        start, search = len(self._tail), 0
        self._buffer = b""
        while start < len(window):
            found = window.find(_MESSAGE_END, search)
            end = found + 4 if found >= 0 else len(window)
            try:
                self._parser.feed_data(window[start:end])
            except httptools.HttpParserError as error:
                raise BadMessage(400, "the chunked body is malformed") from error
            self._fed_bytes += end - start
            if self._body_bytes > limit:
                raise BadMessage(413, "the body is larger than allowed")
            if self._fed_bytes - self._body_bytes > limit + self.max_header_bytes:
                # Chunk sizes, extensions and trailers: nobody needs more of them than of what they frame.
                raise BadMessage(413, "more chunk framing than allowed")
            start, search = end, end - 3
            if self._is_complete:
                self._buffer = window[end:]
                return
        self._tail = window[-3:]

    def _too_large(self, buffer: bytes) -> BadMessage:
        if buffer.find(b"\r\n", 0, self.max_header_bytes) < 0:
            return BadMessage(414, "the request target is longer than allowed")
        return BadMessage(431, "the header is larger than allowed")


def _without_empty_lines(buffer: bytes) -> bytes:
    start = 0
    while buffer.startswith(b"\r\n", start):
        start += 2
    return buffer[start:]


def _reason(error: Exception, head: bytes) -> BadMessage:
    """What llhttp's refusal of a head means to the client."""
    if isinstance(error.__context__, BadMessage):  # raised by one of our callbacks
        return error.__context__
    line = _REQUEST_LINE.fullmatch(head[: head.index(b"\r\n")])
    if line is None:
        return BadMessage(400, "the request line is malformed")
    if line[2] != b"1" or line[3] not in b"01":
        return BadMessage(505, "not HTTP/1.0 or HTTP/1.1")
    if isinstance(error, httptools.HttpParserInvalidMethodError):
        return BadMessage(501 if line[1] not in _METHODS else 400, "the method is unknown")
    return BadMessage(400, "the header is malformed")
