"""Registers that lie, refuse or forget, and GenICam files that are damaged: seen in the acknowledges of reads."""

import hashlib
import io
import struct
import zipfile
from collections.abc import Iterable

from gadget.faults.wrappers import ControlFault, changed
from u3v.camera import Camera
from u3v.did_you_mean import hint
from u3v.errors import Mistake, Status
from u3v.function import InTransfer
from u3v.usb3v.bootstrap import xml_text
from u3v.wire import bootstrap as boot
from u3v.wire import gencp

Sent = Iterable[InTransfer]
_BLOCKS = (
    (0, boot.ABRM),
    (boot.SBRM_ADDRESS, boot.SBRM),
    (boot.SIRM_ADDRESS, boot.SIRM),
    (boot.EIRM_ADDRESS, boot.EIRM),
)
_ENTRY = boot.MANIFEST_ADDRESS + 8
_SIZE, _SHA = _ENTRY + 16, _ENTRY + 24
MANIFEST = {"Manifest_Entry_Count": (boot.MANIFEST_ADDRESS, 8), "Manifest_Entry_Format": (_ENTRY + 4, 4)}
STATUS_NAMES = tuple(status.name for status in Status if status & 0x8000)


def find_register(name: str, camera: Camera) -> tuple[int, int]:
    """Address and size of a bootstrap register, of a feature's, or of what "0x1d8+4" says. Raises Mistake."""
    for base, layout in _BLOCKS:
        if name in layout:
            return base + layout[name].offset, layout[name].size
    if name in MANIFEST:
        return MANIFEST[name]
    if name in camera.features.address:
        return camera.features.address[name], camera.features.declared[name].size
    if name[:2] == "0x":
        try:
            at, _, size = name.partition("+")
            return int(at, 16), int(size or "4")
        except ValueError:
            pass
    known = [*(each for _, layout in _BLOCKS for each in layout), *MANIFEST, *camera.features.address]
    raise Mistake(f"fault: {camera.model.name} has no register {name!r}{hint(name, known)}")


class ReadFault(ControlFault):
    """Reads see `patches`, address -> bytes, where the camera has something else or nothing."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self.patches = self.make_patches()

    def make_patches(self) -> dict[int, bytes]:
        raise NotImplementedError

    def concerns(self, command: gencp.Command) -> bool:
        return command.command_id == gencp.READMEM_CMD and bool(self._touched(*_range(command)))

    def acks(self, transfer: InTransfer, now_ns: int) -> Sent:
        assert self.command is not None
        first, count = _range(self.command)
        data = bytearray(transfer.data)
        command_id = struct.unpack_from("<H", data, 6)[0]
        if command_id != gencp.READMEM_ACK:
            return (transfer,)
        if struct.unpack_from("<H", data, 4)[0] == Status.INVALID_ADDRESS:
            whole = [
                a
                for a in self._touched(first, count)
                if a <= first and first + count <= a + len(self.patches[a])
            ]
            if not whole:
                return (transfer,)
            data = bytearray(gencp.pack_ack(0, gencp.READMEM_ACK, self.command.request_id, bytes(count)))
        for address in self._touched(first, count):
            new = self.patches[address]
            for at in range(max(first, address), min(first + count, address + len(new))):
                data[12 + at - first] = new[at - address]
        return (changed(transfer, data),)

    def _touched(self, first: int, count: int) -> list[int]:
        return [a for a, new in self.patches.items() if a < first + count and first < a + len(new)]


class RegisterLie(ReadFault):
    """A register reads as `value`."""

    def make_patches(self) -> dict[int, bytes]:
        address, size = find_register(self.values["register"], self.victim.camera)
        return {address: (self.values["value"] & ((1 << 8 * size) - 1)).to_bytes(size, "little")}


class Refused(ControlFault):
    """A register refuses to be read, written or both, with an error status; nothing of it is executed."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self.address, self.size = find_register(self.values["register"], self.victim.camera)

    def concerns(self, command: gencp.Command) -> bool:
        wanted = {"read": (gencp.READMEM_CMD,), "write": (gencp.WRITEMEM_CMD,)}.get(
            self.values["access"], (gencp.READMEM_CMD, gencp.WRITEMEM_CMD)
        )
        first, count = _range(command)
        inside = self.address < first + count and first < self.address + self.size
        return inside and command.command_id in wanted

    def refuse(self, command: gencp.Command, now_ns: int) -> bytes | None:
        return gencp.pack_ack(Status[self.values["status"]], command.command_id | 1, command.request_id)


class Ignored(Refused):
    """A write is acknowledged and has no effect."""

    def refuse(self, command: gencp.Command, now_ns: int) -> bytes | None:
        return gencp.pack_write_ack(command.request_id, len(command.scd) - 8)


class NeedsTool(ControlFault):
    """The camera acknowledges what is written to its SI registers and ignores it, until some tool has written
    U3VCP_Configuration since power-on."""

    is_awake = False

    def concerns(self, command: gencp.Command) -> bool:
        if command.command_id != gencp.WRITEMEM_CMD:
            return False
        first, count = _range(command)
        at = boot.SBRM_ADDRESS + boot.SBRM["U3VCP_Configuration"].offset
        if first <= at < first + count:
            self.is_awake = True
        size = boot.SIRM["SI_Maximum_Leader_Size"].offset
        start = boot.SIRM_ADDRESS + size
        return not self.is_awake and start < first + count and first < boot.SIRM_ADDRESS + boot.SIRM_BYTES

    def refuse(self, command: gencp.Command, now_ns: int) -> bytes | None:
        return gencp.pack_write_ack(command.request_id, len(command.scd) - 8)


class XmlDamage(ReadFault):
    """The GenICam file has one of `XML_DAMAGES`; size and SHA-1 in the manifest fit it, unless they are the damage."""

    def make_patches(self) -> dict[int, bytes]:
        camera, how = self.victim.camera, self.values["how"]
        size = int.from_bytes(camera.memory.device_read(_SIZE, 8), "little")
        file = camera.memory.device_read(boot.XML_ADDRESS, size)
        form = struct.unpack("<I", camera.memory.device_read(_ENTRY + 4, 4))[0]
        if how == "sha-zero":
            return {_SHA: bytes(20)}
        if how == "sha-wrong":
            return {_SHA: bytes((file[0] ^ 0xFF, *hashlib.sha1(file).digest()[1:]))}
        if how == "flipped-bit":
            return {boot.XML_ADDRESS + size // 2: bytes((file[size // 2] ^ 1,))}
        if how == "truncated":
            return xml_patches(file[: size // 2], form)
        text = damaged(xml_text(camera), how, camera)
        if how == "raw":
            return xml_patches(text.encode(), form & ~(0x3F << 10))
        return xml_patches(zipped(text.encode(), camera.model.name, how), form)


XML_DAMAGES = {
    "raw": "not zipped, and the manifest says so (legal)",
    "sha-zero": "the SHA-1 in the manifest is all zeros (legal: not given)",
    "sha-wrong": "the SHA-1 in the manifest is another file's",
    "two-files": "two files in the zip",
    "flipped-bit": "one bit of the file is inverted, the SHA-1 is the right file's",
    "truncated": "the second half of the file is missing, SHA-1 and size fit the rest",
    "unclosed": "the last tag is missing",
    "dangling": "a feature points to a node that is not there",
    "cycle": "a feature points to itself",
    "duplicate": "two nodes have the same name",
    "wrong-address": "a register's address is where the camera has none",
    "wrong-length": "a register is longer than a register may be",
    "bad-formula": "a formula that cannot be computed",
    "no-root": "no node is called Root",
}


def damaged(xml: str, how: str, camera: Camera) -> str:
    """The XML text with one damage of `XML_DAMAGES`."""
    address = camera.features.address["Width"]
    spoiled = {
        "unclosed": lambda: xml[: xml.rindex("</")],
        "dangling": lambda: xml.replace("<pFeature>Width</pFeature>", "<pFeature>Widht</pFeature>", 1),
        "cycle": lambda: _value_of(xml, "Width", "Width"),
        "duplicate": lambda: xml.replace('Name="Height"', 'Name="Width"', 1),
        "wrong-address": lambda: xml.replace(f"<Address>{address:#x}<", "<Address>0xe0000000<", 1),
        "wrong-length": lambda: xml.replace("<Length>4</Length>", "<Length>44</Length>", 1),
        "bad-formula": lambda: (
            xml.replace("</Group>", _SWISS, 1) if "</Group>" in xml else _before_end(xml, _SWISS)
        ),
        "no-root": lambda: xml.replace('Name="Root"', 'Name="Rooot"', 1),
    }
    made = spoiled.get(how)
    return xml if made is None else made()


_SWISS = '<IntSwissKnife Name="Impossible"><Formula>1 + * 2</Formula></IntSwissKnife>'


def _before_end(xml: str, new: str) -> str:
    at = xml.rindex("</")
    return xml[:at] + new + xml[at:]


def _value_of(xml: str, name: str, target: str) -> str:
    """The node's pValue points elsewhere."""
    at = xml.index("<pValue>", xml.index(f'Name="{name}"'))
    return f"{xml[:at]}<pValue>{target}</pValue>{xml[xml.index('</pValue>', at) + len('</pValue>') :]}"


def zipped(text: bytes, name: str, how: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in (f"{name}.xml", "readme.txt")[: 2 if how == "two-files" else 1]:
            archive.writestr(zipfile.ZipInfo(each), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def xml_patches(file: bytes, form: int) -> dict[int, bytes]:
    """Another file, and a manifest that fits it."""
    return {
        boot.XML_ADDRESS: file,
        _ENTRY + 4: struct.pack("<I", form),
        _SIZE: struct.pack("<Q", len(file)),
        _SHA: hashlib.sha1(file).digest(),
    }


def _range(command: gencp.Command) -> tuple[int, int]:
    """What a command is about: address and bytes; nothing, where it is too short to say."""
    if (len(command.scd) < 12 and command.command_id == gencp.READMEM_CMD) or len(command.scd) < 8:
        return 0, 0
    address = struct.unpack_from("<Q", command.scd)[0]
    if command.command_id == gencp.READMEM_CMD:
        return address, struct.unpack_from("<H", command.scd, 10)[0]
    return address, len(command.scd) - 8
