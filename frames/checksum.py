"""CRC-16 of a frame's bytes, without the GIL: a frame of 9 MB takes milliseconds, and nobody waits for them.

Importing this module does not import numba; `crc16` does.
"""

import numpy as np


def crc16(data: memoryview, start: int = 0) -> int:
    """The CRC that `binascii.crc_hqx` gives: polynomial 0x1021, highest bit first, no reflection, no final change.

    `start`: the CRC of what comes before these bytes.
    """
    from frames._checksum import TABLES, crc16_from

    return int(crc16_from(np.frombuffer(data, np.uint8), start, TABLES))
