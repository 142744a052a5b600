"""Packers against golden bytes (PFNC and IDS layouts) and a slow reference on bit strings."""

import numpy as np
import pytest

from frames.packing import PIXEL_FORMATS, PixelFormatError, pack, payload_size, pixel_format, unpack

GOLDEN = {  # P0 = 0x123, P1 = 0xABC; 10-bit layouts worked out by hand from 0x123, 0x2BC, 0x055, 0x3FE
    "Mono12": ([0x123, 0xABC], "23 01 BC 0A"),
    "Mono12p": ([0x123, 0xABC], "23 C1 AB"),
    "Mono12g24IDS": ([0x123, 0xABC], "12 AB C3"),
    "Mono8": ([0x12, 0xAB], "12 AB"),
    "Mono10": ([0x123, 0x2BC], "23 01 BC 02"),
    "Mono10p": ([0x123, 0x2BC, 0x055, 0x3FE], "23 F1 5A 85 FF"),
    "Mono10g40IDS": ([0x123, 0x2BC, 0x055, 0x3FE], "48 AF 15 FF 93"),
    "Mono12Packed": ([0x123, 0xABC], "12 C3 AB"),
    "Mono10Packed": ([0x123, 0x2BC], "48 03 AF"),
    "BayerGR12g24IDS": ([0x123, 0xABC], "12 AB C3"),
    "BayerRG12p": ([0x123, 0xABC], "23 C1 AB"),
    "BayerGR10g40IDS": ([0x123, 0x2BC, 0x055, 0x3FE], "48 AF 15 FF 93"),
    "BayerBG12Packed": ([0x123, 0xABC], "12 C3 AB"),
    "BayerGB8": ([0x12, 0xAB], "12 AB"),
    "RGB8": ([0x12, 0xAB, 0xFF], "12 AB FF"),
}


def reference(values: list[int], name: str) -> bytes:
    """Every format as a list of bits, in Python integers."""
    fmt = PIXEL_FORMATS[name]
    if name.endswith("IDS"):
        low_bits = fmt.depth - 8
        out = bytearray()
        for at in range(0, len(values), fmt.group_px):
            group = (values[at : at + fmt.group_px] + [0] * fmt.group_px)[: fmt.group_px]
            out += bytes(v >> low_bits for v in group)
            out += bytes([sum((v % (1 << low_bits)) << (k * low_bits) for k, v in enumerate(group))])
        return bytes(out[: (len(values) * fmt.bits + 7) // 8])
    if name.endswith("Packed"):
        low_bits = fmt.depth - 8
        out = bytearray()
        for at in range(0, len(values), 2):
            a, b = (values[at : at + 2] + [0])[:2]
            low = a % (1 << low_bits) + 16 * (b % (1 << low_bits))
            out += bytes([a >> low_bits, low, b >> low_bits])
        return bytes(out[: (len(values) * fmt.bits + 7) // 8])
    stream = "".join(format(v, f"0{fmt.bits // fmt.channels}b")[::-1] for v in values)
    stream += "0" * (-len(stream) % 8)
    return bytes(int(stream[at : at + 8][::-1], 2) for at in range(0, len(stream), 8))


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_bytes(name: str) -> None:
    values, text = GOLDEN[name]
    assert pack(np.array(values, np.uint16), name).tobytes() == bytes.fromhex(text)
    assert reference(values, name) == bytes.fromhex(text)


@pytest.mark.parametrize("name", PIXEL_FORMATS)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 63, 64, 1001])
def test_any_length_equals_reference_and_comes_back(name: str, count: int) -> None:
    fmt = PIXEL_FORMATS[name]
    many = count * fmt.channels
    values = np.random.default_rng(count).integers(0, 1 << fmt.depth, many).astype(np.uint16)
    packed = pack(values, name)
    assert packed.size == payload_size(count, 1, name)
    assert packed.tobytes() == reference(values.tolist(), name)
    if not (
        name.endswith(("IDS", "Packed")) and count % fmt.group_px
    ):  # a cut IDS group has lost its low bits
        assert np.array_equal(unpack(packed, count, name), values)


def test_packs_into_a_given_buffer_and_nowhere_else() -> None:
    memory = np.full(10, 0xA5, np.uint8)
    pack(np.array([0x123, 0xABC], np.uint16), "Mono12p", memory[4:7])
    assert memory.tobytes().hex() == "a5a5a5a5" + "23c1ab" + "a5a5a5"


def test_wrong_buffer_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^Mono12p: 2 pixels pack to 3 bytes, the buffer has 4$"):
        pack(np.zeros(2, np.uint16), "Mono12p", np.zeros(4, np.uint8))
    with pytest.raises(ValueError, match=r"^Mono12p: 2 pixels need 3 bytes, there are 2$"):
        unpack(np.zeros(2, np.uint8), 2, "Mono12p")


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("Mono8", 8_880_128),
        ("RGB8", 26_640_384),
        ("Mono12", 17_760_256),
        ("Mono12p", 13_320_192),
        ("Mono10p", 11_100_160),
    ],
)
def test_payload_of_the_full_frame(name: str, size: int) -> None:
    assert payload_size(4096, 2168, name) == size


def test_payload_rounds_the_whole_frame_up_not_each_line() -> None:
    assert payload_size(3, 3, "Mono12p") == 14


def test_unknown_format_names_the_nearest() -> None:
    with pytest.raises(PixelFormatError, match=r"^unknown pixel format 'Mono12P', did you mean 'Mono12p'\?$"):
        pixel_format("Mono12P")
    with pytest.raises(PixelFormatError, match=r"^unknown pixel format 'xyz'; known: Mono8, Mono10, "):
        pixel_format("xyz")
