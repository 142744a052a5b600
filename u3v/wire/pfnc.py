"""Pixel formats: PFNC name, 32-bit code, bits per pixel in memory and significant bits (PFNC 2.x).

Standard codes carry the bits per pixel in bits 16..23: 0x010C0047 is Mono12p, with 0x0C = 12 bits. The codes of IDS
have 0 there, so a size must be taken from this table and not from a code.
"""

import re
from dataclasses import dataclass

_STANDARD = {
    "Mono8": 0x01080001,
    "Mono10": 0x01100003,
    "Mono10p": 0x010A0046,
    "Mono12": 0x01100005,
    "Mono12p": 0x010C0047,
    "BayerGR8": 0x01080008,
    "BayerRG8": 0x01080009,
    "BayerGB8": 0x0108000A,
    "BayerBG8": 0x0108000B,
    "BayerGR10": 0x0110000C,
    "BayerRG10": 0x0110000D,
    "BayerGB10": 0x0110000E,
    "BayerBG10": 0x0110000F,
    "BayerGR12": 0x01100010,
    "BayerRG12": 0x01100011,
    "BayerGB12": 0x01100012,
    "BayerBG12": 0x01100013,
    "BayerBG10p": 0x010A0052,
    "BayerGB10p": 0x010A0054,
    "BayerGR10p": 0x010A0056,
    "BayerRG10p": 0x010A0058,
    "BayerBG12p": 0x010C0053,
    "BayerGB12p": 0x010C0055,
    "BayerGR12p": 0x010C0057,
    "BayerRG12p": 0x010C0059,
    "RGB8": 0x02180014,
}
_IDS = {
    "BayerRG10g40IDS": 0x40000001,
    "BayerGB10g40IDS": 0x40000002,
    "BayerGR10g40IDS": 0x40000003,
    "BayerBG10g40IDS": 0x40000004,
    "Mono10g40IDS": 0x4000000F,
    "BayerRG12g24IDS": 0x40000011,
    "BayerGB12g24IDS": 0x40000012,
    "BayerGR12g24IDS": 0x40000013,
    "BayerBG12g24IDS": 0x40000014,
    "Mono12g24IDS": 0x4000001F,
}


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """`bits_per_pixel` in memory. `depth`: significant bits of a pixel, or of each of its colours."""

    name: str
    code: int
    bits_per_pixel: int
    depth: int

    def payload_bytes(self, width: int, height: int) -> int:
        """Bytes of an image of width x height pixels. Lines are not padded; the image ends on a byte."""
        return (width * height * self.bits_per_pixel + 7) // 8


def _depth(name: str) -> int:
    """The first number of a name."""
    return int(re.findall(r"\d+", name)[0])


PIXEL_FORMATS = {
    name: PixelFormat(name, code, code >> 16 & 0xFF, _depth(name)) for name, code in _STANDARD.items()
} | {name: PixelFormat(name, code, _depth(name), _depth(name)) for name, code in _IDS.items()}
BY_CODE = {f.code: f for f in PIXEL_FORMATS.values()}
