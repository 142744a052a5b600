"""What a real host and a camera said to each other, as text: recorded once from the wire, played back to any camera.

One line is one command with its answer. Registers have names, so that a transcript outlives a change of addresses:

    +12 0 READREG 01 0013 SCP SCDA = 0000 00000000 7f000001

ms since the line before, which of the host's sockets, command, flags, request id, registers (`=` and bytes for writes),
then the answer: status and bytes. `*` stands for bytes that are the model's, not the protocol's. XML is the whole file,
read in pieces of that size.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from u3v.feature_set import FeatureSet

BOOTSTRAP = {
    "Version": 0x0, "Mode": 0x4, "MAC": 0x8, "Supported_IP": 0x10, "IP_Configuration": 0x14, "Current_IP": 0x24,
    "Manufacturer": 0x48, "Model": 0x68, "Device_Version": 0x88, "Info": 0xA8, "Serial": 0xD8,
    "User_Name": 0xE8, "URL": 0x200, "URL2": 0x400, "Interfaces": 0x600, "Link_Speed": 0x670,
    "Message_Channels": 0x900, "Stream_Channels": 0x904, "Stream_Capability": 0x92C,
    "Message_Capability": 0x930, "Capability": 0x934, "Heartbeat": 0x938, "Tick_High": 0x93C, "Tick_Low": 0x940,
    "Timestamp_Control": 0x944, "Timestamp": 0x948, "Configuration": 0x954, "Pending_Timeout": 0x958,
    "GVSP_Configuration": 0x960, "CCP": 0xA00, "Owner_Port": 0xA04, "Owner_IP": 0xA14, "MCP": 0xB00,
    "MCDA": 0xB10, "MCTT": 0xB14, "MCRC": 0xB18, "MCSP": 0xB1C, "SCP": 0xD00, "SCPS": 0xD04, "SCPD": 0xD08,
    "SCDA": 0xD18, "SCSP": 0xD1C, "SCC": 0xD20, "SCCFG": 0xD24,
}  # fmt: skip
CODES = {
    "DISCOVERY": 0x02, "PACKETRESEND": 0x40, "READREG": 0x80, "WRITEREG": 0x82, "READMEM": 0x84, "WRITEMEM": 0x86,
}  # fmt: skip
XML_ADDRESS = 0x200000
_VARIES = ("MAC", "URL", "Timestamp", "SCSP", "MCSP", "Current_IP", "Owner_Port", "Owner_IP")


@dataclass(frozen=True)
class Line:
    after_ms: int
    socket: int
    name: str
    flags: int
    request_id: int
    words: tuple[str, ...]
    """Registers; of PACKETRESEND the payload."""
    status: int | None
    """None: nothing was answered, or nothing was to be."""
    data: str
    """Answered bytes as hex digits; "*": not compared."""

    def text(self) -> str:
        answer = "" if self.status is None else f" = {self.status:04x} {self.data}".rstrip()
        words = "".join(f" {word}" for word in self.words)
        return f"+{self.after_ms} {self.socket} {self.name} {self.flags:02x} {self.request_id:04x}{words}{answer}"


def parse(text: str) -> Iterator[Line]:
    for row in text.splitlines():
        if not row or row.startswith("#"):
            continue
        asked, _, answer = row.partition(" = ")
        after, number, name, flags, request_id, *words = asked.split()
        status, _, data = answer.partition(" ")
        yield Line(
            int(after), int(number), name, int(flags, 16), int(request_id, 16), tuple(words),
            int(status, 16) if status else None, data,
        )  # fmt: skip


class Registers:
    """Names of addresses and back, for one camera."""

    def __init__(self, features: FeatureSet) -> None:
        self._at = {f"@{name}": at for name, at in features.address.items() if at >= 0x10000}
        self._at |= {f"@{aspect.node}": aspect.address for aspect in features.aspects.values()}
        self._at |= BOOTSTRAP
        self._at["XML"] = XML_ADDRESS
        self._names = sorted(((at, name) for name, at in self._at.items()), reverse=True)

    def name(self, address: int) -> str:
        """The last register before the address, and how far behind it that is."""
        for at, name in self._names:
            if at <= address < at + 0x10000 and (name.startswith("@") or address < 0x10000 or name == "XML"):
                return name if at == address else f"{name}+{address - at:x}"
        return f"{address:#x}"

    def address(self, word: str) -> int:
        if word.startswith("0x"):
            return int(word, 16)
        name, _, offset = word.partition("+")
        return self._at[name] + int(offset or "0", 16)


def command(line: Line, registers: Registers) -> bytes:
    """The command of a line as bytes; none of XML."""
    payload = b""
    if line.name == "PACKETRESEND":
        payload = bytes.fromhex(line.words[0])
    elif line.name == "READMEM":
        payload = struct.pack(">IHH", registers.address(line.words[0]), 0, int(line.words[1]))
    else:
        for word in line.words:
            name, _, value = word.partition("=")
            payload += struct.pack(">I", registers.address(name)) + bytes.fromhex(value)
    return struct.pack(">BBHHH", 0x42, line.flags, CODES[line.name], len(payload), line.request_id) + payload


def record(datagrams: Iterable[tuple[int, tuple[str, int], bytes]], registers: Registers) -> Iterator[Line]:
    """Lines from (now_ns, the host's socket, datagram) of the control channel, both directions, in order."""
    sockets: dict[tuple[str, int], int] = {}
    asked: dict[tuple[str, int], tuple[int, bytes]] = {}
    before_ns: int | None = None
    xml = False
    for now_ns, host, data in datagrams:
        if data[0] == 0x42:
            asked[host] = now_ns, data
            if data[2:4] != b"\0\x40":
                continue
            answer = None
        else:
            answer = data
        at_ns, sent = asked.pop(host)
        line = _line(sent, answer, registers, sockets.setdefault(host, len(sockets)), 0)
        is_xml = line.name == "READMEM" and line.words[0].startswith("XML")
        if is_xml and xml:
            continue
        xml = is_xml
        after_ms = 0 if before_ns is None else (at_ns - before_ns) // 1_000_000
        before_ns = at_ns
        words = (line.words[1],) if is_xml else line.words
        name, data_hex = ("XML", "*") if is_xml else (line.name, line.data)
        yield Line(after_ms, line.socket, name, line.flags, line.request_id, words, line.status, data_hex)


def _line(sent: bytes, answer: bytes | None, registers: Registers, number: int, after_ms: int) -> Line:
    flags, code, request_id = sent[1], int.from_bytes(sent[2:4], "big"), int.from_bytes(sent[6:8], "big")
    name = next(name for name, known in CODES.items() if known == code)
    payload = sent[8:]
    step = {"READREG": 4, "WRITEREG": 8}.get(name, len(payload) or 1)
    words: list[str] = []
    if name == "PACKETRESEND":
        words = [payload.hex()]
    else:
        for at in range(0, len(payload), step):
            one = payload[at : at + step]
            word = registers.name(int.from_bytes(one[:4], "big"))
            if name == "READMEM":
                words = [word, str(int.from_bytes(one[6:8], "big"))]
            else:
                words.append(word + (f"={one[4:].hex()}" if name.startswith("WRITE") else ""))
    if answer is None:
        return Line(after_ms, number, name, flags, request_id, tuple(words), None, "")
    varies = name == "DISCOVERY" or any(re.match(r"@|XML|0x", w) or w.split("+")[0] in _VARIES for w in words)
    data = "*" if varies and name.startswith(("READ", "DISC")) and len(answer) > 8 else answer[8:].hex(" ", 4)
    return Line(
        after_ms, number, name, flags, request_id, tuple(words), int.from_bytes(answer[:2], "big"), data
    )
