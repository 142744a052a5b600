"""The language of the control socket: JSON-RPC 2.0, one object per line. No sockets here.

    -> {"jsonrpc": "2.0", "id": 1, "method": "get", "params": {"name": "ExposureTime"}}
    <- {"jsonrpc": "2.0", "id": 1, "result": 2000.0}
    <- {"jsonrpc": "2.0", "method": "happened", "params": {"what": "FrameStart", "at_ns": 5, "block_id": 0, ...}}

`LineReader` cuts what arrives into lines; it never holds more than one line of its longest, and what is longer is
reported once and thrown away up to its end. `parse_request` and `parse_answer` judge a line. Whatever arrives,
the answer is an error object and the connection goes on.
"""

import json
from dataclasses import dataclass
from typing import Any

MAX_REQUEST_BYTES = 1 << 16
MAX_ANSWER_BYTES = 1 << 24
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
INTERNAL_ERROR, REFUSED, TIMED_OUT, NO_FEATURE = -32603, -32000, -32001, -32002

Id = int | str | None


class RpcError(Exception):
    """A line that cannot be answered with a result. `data`: more for programs, such as a GenCP status."""

    def __init__(self, code: int, message: str, id_: Id = None, data: Any = None) -> None:
        super().__init__(message)
        self.code, self.id, self.data = code, id_, data


class TooLong(RpcError):
    """A line beyond the limit, of which nothing was kept."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(INVALID_REQUEST, f"a line of more than {limit_bytes} bytes")


@dataclass(frozen=True, slots=True)
class Request:
    """`id` is None for a notification, which gets no answer."""

    method: str
    params: dict[str, Any]
    id: Id


@dataclass(frozen=True, slots=True)
class Answer:
    """A result, or the error (`RpcError`) that came instead."""

    id: Id
    result: Any
    error: RpcError | None = None


class LineReader:
    """Bytes in, lines out. State: the unfinished line, and whether the rest of one is being thrown away."""

    def __init__(self, limit_bytes: int = MAX_REQUEST_BYTES) -> None:
        self._limit = limit_bytes
        self._begun = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes | TooLong]:
        """The lines that are complete now, without their ends; empty ones are left out."""
        lines: list[bytes | TooLong] = []
        *ends, rest = data.split(b"\n")
        for part in ends:
            self._add(part, lines)
            if self._begun.strip():
                lines.append(bytes(self._begun))
            self._begun.clear()
            self._skipping = False
        self._add(rest, lines)
        return lines

    def _add(self, part: bytes, lines: list[bytes | TooLong]) -> None:
        if self._skipping:
            return
        if len(self._begun) + len(part) > self._limit:
            self._begun.clear()
            self._skipping = True
            lines.append(TooLong(self._limit))
        else:
            self._begun += part


def parse_request(line: bytes) -> Request:
    """Raises RpcError, with the request's id where it can be seen."""
    message = _parse(line)
    if not isinstance(message, dict):
        kind = "batches are not served" if isinstance(message, list) else "not an object"
        raise RpcError(INVALID_REQUEST, f"not a request: {kind}")
    id_ = _id(message)
    method, params = message.get("method"), message.get("params", {})
    if message.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'not a request: "jsonrpc" must be "2.0"', id_)
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, 'not a request: "method" must be a text', id_)
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, f"{method}: parameters go by name, in an object", id_)
    return Request(method, params, id_)


def parse_answer(line: bytes) -> Answer | Request:
    """An answer, or a notification. Raises RpcError."""
    message = _parse(line)
    if isinstance(message, dict) and "method" in message:
        return parse_request(line)
    if not isinstance(message, dict) or not ("result" in message or "error" in message):
        raise RpcError(INVALID_REQUEST, "neither an answer nor a notification")
    id_ = _id(message)
    if "error" not in message:
        return Answer(id_, message["result"])
    error = message["error"]
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        raise RpcError(INVALID_REQUEST, "an error without a code", id_)
    return Answer(id_, None, RpcError(error["code"], str(error.get("message", "")), id_, error.get("data")))


def pack_request(method: str, params: dict[str, Any], id_: Id = None) -> bytes:
    """A request, or without an id a notification."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    return _pack(message if id_ is None else message | {"id": id_})


def pack_result(id_: Id, result: Any) -> bytes:
    return _pack({"jsonrpc": "2.0", "id": id_, "result": result})


def pack_error(error: RpcError) -> bytes:
    about: dict[str, Any] = {"code": error.code, "message": str(error)}
    if error.data is not None:
        about["data"] = error.data
    return _pack({"jsonrpc": "2.0", "id": error.id, "error": about})


def _pack(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def _parse(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        text = "too deep" if isinstance(error, RecursionError) else str(error)
        raise RpcError(PARSE_ERROR, f"not JSON: {text}") from None


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number in JSON")


def _id(message: dict[str, Any]) -> Id:
    id_ = message.get("id")
    if isinstance(id_, bool) or not isinstance(id_, int | str | None):
        raise RpcError(INVALID_REQUEST, 'not a request: "id" must be a number or a text')
    return id_
