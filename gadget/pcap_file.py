"""A file of captured packets (pcap, https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-03.html), for any link type.

Time stamps are wall-clock time in microseconds: the device's clock plus the offset between the two at the moment the
file was made. A file that cannot be written to any more (a full disk) ends the capture, not the cameras: `close` raises
what happened.
"""

import struct
import time
from collections.abc import Sequence
from pathlib import Path

MAX_RECORD_BYTES = 262_144
"""Wireshark's limit for one record."""
_FILE_HEADER = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")
_MAGIC = 0xA1B2C3D4
_BUFFER_BYTES = 1 << 20


class PcapFile:
    """Write `path`. `epoch_ns`: wall-clock time at the device clock's zero; by default that clock is
    `time.monotonic_ns`. Raises OSError where the file cannot be had."""

    def __init__(self, path: str | Path, link_type: int, epoch_ns: int | None = None) -> None:
        self._epoch_ns = time.time_ns() - time.monotonic_ns() if epoch_ns is None else epoch_ns
        self._failure: OSError | None = None
        self._path = path
        self._file = open(path, "wb", buffering=_BUFFER_BYTES)  # noqa: SIM115
        self._file.write(_FILE_HEADER.pack(_MAGIC, 2, 4, 0, 0, MAX_RECORD_BYTES, link_type))

    def instant(self, now_ns: int) -> tuple[int, int]:
        """Wall-clock time: seconds and microseconds."""
        seconds, ns = divmod(self._epoch_ns + now_ns, 1_000_000_000)
        return seconds, ns // 1000

    def record(self, now_ns: int, parts: Sequence[bytes | memoryview], on_wire: int) -> bool:
        """One packet, of which `parts` are kept; it had so many bytes. False: the file takes no more."""
        if self._failure is not None:
            return False
        seconds, us = self.instant(now_ns)
        head = _RECORD.pack(seconds & 0xFFFFFFFF, us, sum(map(len, parts)), on_wire)
        try:
            self._file.write(b"".join((head, *parts)))
        except OSError as error:
            self._failure = error
            return False
        return True

    def flush(self) -> None:
        """Bring what is buffered into the file."""
        self._file.flush()

    def close(self) -> None:
        """Complete the file. Raises OSError where it lacks something."""
        try:
            self._file.close()
        except OSError as error:
            self._failure = self._failure or error
        if self._failure is not None:
            raise OSError(
                self._failure.errno, f"{self._failure.strerror}: the capture is cut short", str(self._path)
            )
