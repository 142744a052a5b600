"""GenApi's way to the registers of the camera under test: the run's control channel, so that all of it is evidence."""

from u3v.errors import GenCPError, Status
from u3v.host.conformance.control import Control
from u3v.host.conformance.packets import HEAD_BYTES, Ack
from u3v.host.conformance.xml_file import XmlFile


class FeaturePort:
    """Reads and writes that succeed, raise GenCPError where the camera refuses, or Failed where none answers."""

    def __init__(self, control: Control, xml: XmlFile) -> None:
        self._control, self._xml = control, xml

    def read(self, address: int, count: int) -> bytes:
        step, data = max(self._control.max_ack_bytes - HEAD_BYTES, 4) & ~3, b""
        while len(data) < count:
            ack = self._control.read(address + len(data), min(step, count - len(data)))
            _check(ack, f"read at {address:#x}")
            data += ack.scd
        return data

    def write(self, address: int, data: bytes) -> None:
        _check(self._control.write(address, data), f"write at {address:#x}")

    def xml(self) -> XmlFile:
        return self._xml


def _check(ack: Ack, what: str) -> None:
    if ack.status & 0x8000:
        raise GenCPError(_status(ack.status), f"{what}: {ack}")


def _status(code: int) -> Status:
    try:
        return Status(code)
    except ValueError:
        return Status.ERROR
