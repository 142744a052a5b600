"""GenApi's way to the registers of the camera under test."""

from u3v.errors import GenCPError, Status
from u3v.host.conformance.context import Context
from u3v.host.conformance.packets import HEAD_BYTES, Ack
from u3v.host.conformance.xml_file import XmlFile


class FeaturePort:
    """GenApi's way to the registers, through the run's control channel."""

    def __init__(self, run: Context) -> None:
        self._run = run

    def read(self, address: int, count: int) -> bytes:
        step, data = max(self._run.max_ack_bytes - HEAD_BYTES, 4) & ~3, b""
        while len(data) < count:
            ack = self._run.read(address + len(data), min(step, count - len(data)))
            _check(ack, f"read at {address:#x}")
            data += ack.scd
        return data

    def write(self, address: int, data: bytes) -> None:
        _check(self._run.write(address, data), f"write at {address:#x}")

    def xml(self) -> XmlFile:
        return self._run.xml


def _check(ack: Ack, what: str) -> None:
    if ack.status & 0x8000:
        raise GenCPError(_status(ack.status), f"{what}: {ack}")


def _status(code: int) -> Status:
    try:
        return Status(code)
    except ValueError:
        return Status.ERROR
