"""Pixel formats: PFNC name, 32-bit code and bits per pixel in memory (PFNC 2.x; the codes carry the bits)."""

from dataclasses import dataclass

_FORMATS = {
    "Mono8": 0x01080001,
    "Mono10": 0x01100003,
    "Mono10p": 0x010A0046,
    "Mono12": 0x01100005,
    "Mono12p": 0x010C0047,
}


@dataclass(frozen=True, slots=True)
class PixelFormat:
    name: str
    code: int
    bits_per_pixel: int

    def payload_bytes(self, width: int, height: int) -> int:
        """Bytes of an image of width x height pixels. Lines are not padded; the image ends on a byte."""
        return (width * height * self.bits_per_pixel + 7) // 8


PIXEL_FORMATS = {name: PixelFormat(name, code, code >> 16 & 0xFF) for name, code in _FORMATS.items()}
BY_CODE = {f.code: f for f in PIXEL_FORMATS.values()}
