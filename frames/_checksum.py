"""The compiled part of frames/checksum.py."""

import numpy as np
import numpy.typing as npt

from frames._jit import kernel

POLYNOMIAL = 0x1021


def _tables() -> npt.NDArray[np.uint16]:
    """(8, 256): what a byte makes of the CRC when 0 to 7 bytes follow it."""
    crc = np.arange(256, dtype=np.uint32) << 8
    rows = []
    for _ in range(8):
        for _ in range(8):
            crc = (crc << 1 ^ np.where(crc & 0x8000, POLYNOMIAL, 0)) & 0xFFFF
        rows.append(crc.astype(np.uint16))
    return np.array(rows)


TABLES = _tables()
TABLES.setflags(write=False)


@kernel
def crc16_from(data: npt.NDArray[np.uint8], start: int, tables: npt.NDArray[np.uint16]) -> np.int64:
    """Eight bytes a step: their tables do not wait for each other."""
    crc = np.int64(start)
    whole = data.size & ~7
    for at in range(0, whole, 8):
        crc = np.int64(
            tables[7, data[at] ^ (crc >> 8)]
            ^ tables[6, data[at + 1] ^ (crc & 0xFF)]
            ^ tables[5, data[at + 2]]
            ^ tables[4, data[at + 3]]
            ^ tables[3, data[at + 4]]
            ^ tables[2, data[at + 5]]
            ^ tables[1, data[at + 6]]
            ^ tables[0, data[at + 7]]
        )
    for at in range(whole, data.size):
        crc = (crc << 8 & 0xFFFF) ^ tables[0, data[at] ^ (crc >> 8)]
    return crc
