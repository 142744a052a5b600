"""What real hosts said from opening to closing a camera, recorded on the wire, played back step by step.

The files were written by tests/system/record_gige.py; what their lines mean is said in tests/u3v/gev/transcript.py.
"""

import struct
from pathlib import Path

import pytest

from tests.u3v.gev.host import Host
from tests.u3v.gev.transcript import CODES, Line, Registers, command, parse
from tests.u3v.rig import MS
from u3v.gev.bootstrap import WireOptions, xml_file
from u3v.gev.control import Datagram

RECORDED = sorted(Path(__file__).with_name("transcripts").glob("*.txt"))


class Playback:
    """The camera of a transcript, and what it sends meanwhile."""

    def __init__(self, model: str) -> None:
        self.host = Host(model)
        self.registers = Registers(self.host.camera.features)
        self.file = xml_file(self.host.camera, WireOptions.of(self.host.camera.model))
        self.blocks: dict[int, list[int]] = {}
        """Kinds of the packets of each block."""

    def ask(self, line: Line, datagram: bytes) -> list[Datagram]:
        return self.host.function.datagrams(
            [Datagram(datagram, ("10.0.0.5", 40000 + line.socket))], self.host.now_ns
        )

    def play(self, line: Line) -> None:
        for _ in range(0, line.after_ms, 10):
            assert self.host.wait(min(10, line.after_ms) * MS) == []
            for packet in self.host.packets():
                self.blocks.setdefault(packet.block, []).append(packet.kind)
        if line.name == "XML":
            assert self.xml(line) == self.file
            return
        answers = self.ask(line, command(line, self.registers))
        if line.status is None:
            assert answers == []
            return
        (answer,) = answers
        status, code, length, request_id = struct.unpack_from(">HHHH", answer.data)
        assert (status, code) == (line.status, CODES[line.name] + 1)
        assert (length, request_id) == (len(answer.data) - 8, line.request_id)
        if line.data != "*":
            assert answer.data[8:] == bytes.fromhex(line.data)

    def xml(self, line: Line) -> bytes:
        """The whole file in pieces, with ids that count up; the last piece is rounded up."""
        size, at, got = int(line.words[0]), self.registers.address("XML"), b""
        while len(got) < len(self.file):
            count = min(size, -(-(len(self.file) - len(got)) // 4) * 4)
            request_id = (line.request_id + len(got) // size) & 0xFFFF
            asked = struct.pack(">BBHHHIHH", 0x42, line.flags, 0x84, 8, request_id, at + len(got), 0, count)
            (answer,) = self.ask(line, asked)
            assert answer.data[:8] == struct.pack(">HHHH", 0, 0x85, 4 + count, request_id)
            got += answer.data[12:]
        return got[: len(self.file)]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_recorded_host_finds_what_it_found(path: Path) -> None:
    text = path.read_text()
    playback = Playback(text.split(",")[0].removeprefix("# "))
    lines = list(parse(text))
    assert [line.text() for line in lines] == text.splitlines()[1:]
    for number, line in enumerate(lines, 2):
        try:
            playback.play(line)
        except AssertionError as error:
            pytest.fail(f"{path.name}:{number}: {line.text()}: {error}")
    assert lines[-1].words == ("CCP=00000000",) and playback.host.read(0xA00) == [0]
    whole = [block for block in playback.blocks.values() if block[0] == 1 and block[-1] == 2]
    assert len(whole) >= 3 and playback.host.camera.frames.offered > 0


def test_four_hosts_were_recorded() -> None:
    assert {"aravis", "aravis-baumer", "gstreamer", "pylon", "viva"} == {path.stem for path in RECORDED}
