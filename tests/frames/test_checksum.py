"""The checksum of a frame is the one that Python's own library computes."""

from binascii import crc_hqx

import numpy as np
import pytest

from frames.checksum import crc16


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 15, 16, 4096, 10_007])
def test_as_the_standard_library(size: int) -> None:
    data = np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()
    for start in (0, 1, 0xFFFF):
        assert crc16(memoryview(data), start) == crc_hqx(data, start)


def test_the_value_that_everybody_publishes() -> None:
    """CRC-16/XMODEM's check value."""
    assert crc16(memoryview(b"123456789")) == 0x31C3


def test_parts_follow_each_other() -> None:
    data = memoryview(bytes(range(256)) * 5)
    assert crc16(data[100:], crc16(data[:100])) == crc16(data)
