"""JSON-RPC by lines: what arrives in any pieces, what is too long, and what is no request at all."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadget.control import protocol
from gadget.control.protocol import Answer, LineReader, Request, RpcError, TooLong

LINES = b'{"a":1}\n\n[2]\r\nthree\n'
SEEN = [b'{"a":1}', b"[2]\r", b"three"]


def test_lines_are_the_same_whole_byte_by_byte_and_with_more_to_come() -> None:
    assert LineReader().feed(LINES) == SEEN
    reader = LineReader()
    assert [line for at in range(len(LINES)) for line in reader.feed(LINES[at : at + 1])] == SEEN
    reader = LineReader()
    assert reader.feed(LINES + b"fo") == SEEN
    assert reader.feed(b"ur\n") == [b"four"]


@pytest.mark.parametrize("step", [1, 7, 100])
def test_a_long_line_is_refused_once_without_being_kept(step: int) -> None:
    reader = LineReader(limit_bytes=10)
    data = b"x" * 95 + b"\nok\n"
    lines: list[bytes | TooLong] = []
    for at in range(0, len(data), step):
        lines += reader.feed(data[at : at + step])
        assert len(reader._begun) <= 10
    assert isinstance(lines[0], TooLong)
    assert "more than 10 bytes" in str(lines[0])
    assert lines[1:] == [b"ok"]


def test_a_line_of_the_longest_length_is_taken() -> None:
    assert LineReader(limit_bytes=4).feed(b"1234\n") == [b"1234"]


REFUSED = {
    b"{": (protocol.PARSE_ERROR, "not JSON"),
    b"\xff\xfe": (protocol.PARSE_ERROR, "not JSON"),
    b"[" * 60_000: (protocol.PARSE_ERROR, "not JSON"),
    b'{"jsonrpc":"2.0","id":1,"method":"get","params":{"x":NaN}}': (protocol.PARSE_ERROR, "NaN is no number"),
    b"9" * 5000: (protocol.PARSE_ERROR, "not JSON"),
    b"7": (protocol.INVALID_REQUEST, "not an object"),
    b"[]": (protocol.INVALID_REQUEST, "batches are not served"),
    b"{}": (protocol.INVALID_REQUEST, '"jsonrpc" must be "2.0"'),
    b'{"jsonrpc":"2.0","id":{},"method":"get"}': (protocol.INVALID_REQUEST, '"id" must be'),
    b'{"jsonrpc":"2.0","id":true,"method":"get"}': (protocol.INVALID_REQUEST, '"id" must be'),
    b'{"jsonrpc":"2.0","id":1,"method":5}': (protocol.INVALID_REQUEST, '"method" must be a text'),
    b'{"jsonrpc":"2.0","id":1,"method":"get","params":[1]}': (protocol.INVALID_PARAMS, "by name"),
}


@pytest.mark.parametrize("line", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_request_is_told_so(line: bytes) -> None:
    code, message = REFUSED[line]
    with pytest.raises(RpcError) as error:
        protocol.parse_request(line)
    assert error.value.code == code
    assert message in str(error.value)


@given(st.binary(max_size=200))
def test_nothing_but_an_rpc_error_comes_of_any_bytes(data: bytes) -> None:
    for line in LineReader(50).feed(data + b"\n"):
        if isinstance(line, bytes):
            for parse in (protocol.parse_request, protocol.parse_answer):
                with contextlib.suppress(RpcError):
                    assert parse(line)


def test_what_is_packed_is_parsed_and_stays_one_line() -> None:
    line = protocol.pack_request("get", {"name": "Wi\ndth\u2028"}, 5)
    assert line.count(b"\n") == 1
    assert protocol.parse_request(line) == Request("get", {"name": "Wi\ndth\u2028"}, 5)
    assert protocol.parse_request(protocol.pack_request("stop", {})) == Request("stop", {}, None)
    assert protocol.parse_answer(protocol.pack_result("a", [1.5])) == Answer("a", [1.5])
    packed = protocol.pack_error(RpcError(protocol.REFUSED, "no", 7, {"status": "BUSY"}))
    answer = protocol.parse_answer(packed)
    assert isinstance(answer, Answer)
    assert answer.error is not None
    assert (answer.id, answer.error.code, str(answer.error), answer.error.data) == (
        *(7, protocol.REFUSED, "no"),
        {"status": "BUSY"},
    )
    assert json.loads(packed)["jsonrpc"] == "2.0"


@pytest.mark.parametrize("line", [b"5", b"{}", b'{"id":1,"error":5}', b'{"id":1,"error":{"code":"x"}}'])
def test_what_is_no_answer_is_told_so(line: bytes) -> None:
    with pytest.raises(RpcError):
        protocol.parse_answer(line)


def test_a_notification_is_told_from_an_answer() -> None:
    message = protocol.parse_answer(protocol.pack_request("happened", {"what": "FrameStart"}))
    assert message == Request("happened", {"what": "FrameStart"}, None)
