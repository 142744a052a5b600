"""STREAM, third part: payloads at the edges of packets, regions, formats, test images, chunks."""

import struct
import zlib
from collections.abc import Iterator

from u3v.host.conformance.camera import Camera, camera_check, expect, fail, skip
from u3v.host.conformance.declare import INFO, SHOULD
from u3v.host.conformance.description import to_hex
from u3v.host.conformance.effects import binning_adds, mirrors
from u3v.host.conformance.feat_stream import BINNINGS
from u3v.host.conformance.meanings import patterns_show
from u3v.host.conformance.streaming import (
    GENDC,
    LEADER_BYTES,
    Plan,
    Shot,
    frames,
    round_up,
    streaming,
    usual_plan,
)

STILL = {
    "TestPattern": ("GreyHorizontalRamp", "GreyVerticalRamp", "ColorBar", "White"),
    "TestImageSelector": ("Testimage1", "TestImage1", "GreyHorizontalRamp"),
    "TestPatternGeneratorSelector": (),
}
"""Test images that do not move, by the feature that chooses them."""


@camera_check(
    "STREAM-019",
    "payloads of whole packets, one alignment step more and less; of less than a packet, one packet and a bit",
    "3 frames each whole, with SI-009's buffer too", "transfer rules of USB3 Vision", needs="str gapi", trace="r",
)  # fmt: skip
def edges_of_packets(camera: Camera) -> None:
    """By hand-set heights: payloads around whole packets."""
    camera.need("Width", "Height")
    found = 0
    with camera.small():
        align, packet = max(camera.sirm.alignment, 1), camera.packet
        wanted = {
            0: "whole packets",
            align % packet: "one step more",
            (packet - align) % packet: "one step less",
        }
        seen: set[int] = set()
        low, high = camera.on_grid("Height", 1), camera.on_grid("Height", 300)
        step = int(camera.info("Height").increment or 1)
        lines = _payloads(camera, range(low, high + 1, step))
        for height, size in lines:
            below = size in (packet, packet + align) or (size < packet and not found)
            if (size % packet in wanted and size % packet not in seen) or below:
                seen.add(size % packet)
                found += 1
                camera.set("Height", height)
                what = f"{size} bytes of payload: "
                frames(camera, 3, what=what)
                frames(camera, 3, Plan(0, 0, round_up(size, 1024) + 65536), what=what + "64 KiB too large: ")
    if not found:
        skip("no region gives such a payload")


def _payloads(camera: Camera, heights: range) -> list[tuple[int, int]]:
    """(height, payload bytes): foretold from two of them, where the payload grows line by line."""
    camera.set("Height", heights[0])
    first = camera.required_payload
    if len(heights) < 2:
        return [(heights[0], first)]
    camera.set("Height", heights[1])
    grow = camera.required_payload - first
    return [(height, first + grow * n) for n, height in enumerate(heights)]


@camera_check(
    "STREAM-020", "leader and trailer read with B(1 MiB)", "end short at 52 / 32..36 bytes",
    "how hosts take frames; Aravis, reading synchronously", needs="str gapi", trace="r",
)  # fmt: skip
def large_buffers(camera: Camera) -> None:
    with camera.small():
        sirm = camera.sirm
        big = 1 << 20
        plan = Plan(0, 0, round_up(sirm.required_payload, max(sirm.alignment, 4)), 0, big, big)
        for shot in frames(camera, 3, plan, what="room of 1 MiB for leader and trailer: "):
            expect(len(shot.leader) == LEADER_BYTES, f"a leader of {len(shot.leader)} bytes")


@camera_check(
    "STREAM-021", "ROI: min, max, min + inc, full width x 1 inc, 8 random", "3 frames each whole",
    "consistency of the camera", needs="str gapi", trace="r",
)  # fmt: skip
def regions(camera: Camera) -> None:
    camera.need("Width", "Height")
    with camera.small():
        steps = {name: int(camera.info(name).increment or 1) for name in ("Width", "Height")}
        low = {name: camera.on_grid(name, 0) for name in steps}
        high = {name: camera.on_grid(name, 1 << 30) for name in steps}
        pairs = [
            (low["Width"], low["Height"]),
            (low["Width"] + steps["Width"], low["Height"] + steps["Height"]),
            (high["Width"], low["Height"]),
            (high["Width"], low["Height"] + steps["Height"]),
            (low["Width"], camera.on_grid("Height", 255)),
        ]
        pairs += [
            (camera.on_grid("Width", 40 + 37 * n), camera.on_grid("Height", 9 + 23 * n)) for n in range(8)
        ]
        if camera.simulated or camera.run.count(0, 1):
            pairs.append((high["Width"], high["Height"]))
        for width, height in pairs:
            camera.set("Width", min(width, high["Width"]))
            camera.set("Height", min(height, high["Height"]))
            few = 2 if height == high["Height"] else 3
            frames(
                camera,
                few,
                usual_plan(camera, 1 << 20 if few == 2 else 1 << 16),
                what=f"{width} x {height}: ",
            )


@camera_check(
    "STREAM-022", "every PixelFormat", "3 frames whole, code in the leader right",
    "leader and trailer of USB3 Vision", needs="str gapi", trace="r",
)  # fmt: skip
def formats(camera: Camera) -> None:
    if not camera.writable("PixelFormat"):
        skip("PixelFormat cannot be written")
    with camera.small(), camera.keep("OffsetX", "OffsetY", "Height", "Width", "PixelFormat"):
        for name in camera.info("PixelFormat").entries:
            camera.set("PixelFormat", name)
            camera.nodes.refresh()
            frames(camera, 3, what=f"PixelFormat {name}: ")


@camera_check(
    "STREAM-023", "binning, decimation, reverse, each",
    "3 frames whole; mirrored, sums brighter than averages (virtual)",
    "consistency of the camera",
    needs="str gapi", trace="r",
)  # fmt: skip
def binned(camera: Camera) -> None:
    seen = 0
    with camera.small(), camera.keep("OffsetX", "OffsetY", "Height", "Width"):
        for name in (*BINNINGS, "ReverseX", "ReverseY"):
            if not camera.writable(name):
                continue
            info = camera.info(name)
            values = (
                (True,)
                if info.kind == "Boolean"
                else tuple(range(int(info.minimum or 1), min(int(info.maximum or 1), 4) + 1))
            )
            with camera.keep(name):
                for value in values:
                    if value == camera.get(name):
                        continue  # as it is in all other checks
                    camera.set(name, value)
                    camera.nodes.refresh()
                    seen += 1
                    frames(camera, 3, what=f"{name} {value}: ")
    for name in ("ReverseX", "ReverseY"):
        mirrors(camera, name)
    binning_adds(camera)
    if not seen:
        skip("neither binning nor mirroring")


@camera_check(
    "STREAM-024", "Mono10/12/16-bit containers", "unused high bits 0", "PFNC", needs="str gapi", trace="r",
)  # fmt: skip
def unused_bits(camera: Camera) -> None:
    if not camera.writable("PixelFormat"):
        skip("PixelFormat cannot be written")
    depths = {"10": 10, "12": 12, "14": 14}
    seen = 0
    for name in camera.info("PixelFormat").entries:
        code = camera.description.entries("PixelFormat")[name]
        depth = next((bits for text, bits in depths.items() if name.endswith(text)), 0)
        if not depth or code >> 16 & 0xFF != 16:
            continue
        seen += 1
        with camera.small(PixelFormat=name):
            for shot in frames(camera, 2):
                highest = max(struct.unpack(f"<{len(shot.image) // 2}H", shot.image[: len(shot.image) & ~1]))
                expect(highest < 1 << depth, f"{name}: a pixel is {highest}, {depth} bits are used")
    if not seen:
        skip("no format with 10 to 14 bits in 16")


def still_image(camera: Camera) -> dict[str, str]:
    """A setting that makes frames alike; empty where there is none."""
    for name, entries in STILL.items():
        if camera.writable(name):
            known = camera.info(name).entries
            for entry in entries:
                if entry in known:
                    return {name: entry}
    return {}


@camera_check(
    "STREAM-025", "static test pattern, two frames and after restart; each test pattern with a known name",
    "payload byte-identical; CRC reported; what its name says: black, rising to the right, moving, ...",
    "SFNC 2.7 TestPattern; Basler's test images", SHOULD, needs="str gapi", trace="r",
)  # fmt: skip
def still(camera: Camera) -> None:
    pattern = still_image(camera)
    if not pattern:
        skip("no test image that does not move")
    with camera.small(333, 41, **pattern):
        images = [shot.image for shot in frames(camera, 4) + frames(camera, 2)]
        camera.run.note(f"{pattern}: CRC-32 {zlib.crc32(images[0]):08x}")
        expect(len(set(images)) == 1, f"frames of {pattern} differ")
    patterns_show(camera)


@camera_check(
    "STREAM-026", "sensor image, two frames", "not byte-identical, not all one value", "consistency of the camera",
    INFO, needs="str gapi", trace="r",
)  # fmt: skip
def lively(camera: Camera) -> None:
    with camera.small():
        images = [shot.image for shot in frames(camera, 3)]
        expect(len(set(images)) > 1, "frames of the sensor are alike, byte for byte")
        expect(len(set(images[0])) > 1, "every byte of a frame is the same")


def chunks_of(image: bytes) -> Iterator[tuple[int, bytes]]:
    """(chunk id, data), the last one first: each is followed by its id and length, little-endian."""
    end = len(image)
    while end > 0:
        if end < 8:
            fail(f"{end} bytes in front of the first chunk")
        number, length = struct.unpack_from("<II", image, end - 8)
        if not length or length > end - 8:
            fail(f"chunk {number:#x} at byte {end - 8}: length {length}, {end - 8} bytes are in front")
        yield number, image[end - 8 - length : end - 8]
        end -= 8 + length


def _with_chunks(camera: Camera) -> tuple[list[tuple[int, bytes]], Shot]:
    """The chunks of a frame, all of them enabled, the first one first; and the frame."""
    camera.need("ChunkModeActive")
    with camera.small(ChunkModeActive=True), camera.keep("ChunkSelector"):
        enabled: list[str] = []
        for entry in camera.info("ChunkSelector").entries if camera.has("ChunkSelector") else ():
            camera.set("ChunkSelector", entry)
            if camera.writable("ChunkEnable") and not camera.get("ChunkEnable"):
                camera.set("ChunkEnable", True)
                enabled.append(entry)
        try:
            shots = frames(camera, 2)
            want = {"Width": camera.get_int("Width"), "Height": camera.get_int("Height")}
        finally:
            for entry in enabled:
                camera.set("ChunkSelector", entry)
                camera.set("ChunkEnable", False)
    found = list(chunks_of(shots[-1].image))[::-1]
    camera.run.note(f"chunks {[(hex(number), len(data)) for number, data in found]}, {want}")
    return found, shots[-1]


@camera_check(
    "STREAM-027", "chunks on: walk from the end",
    "(id, length) pairs little-endian, sum = valid size, none empty, first the image, ids = the XML's ChunkIDs",
    "chunks of USB3 Vision", needs="str gapi", trace="r",
)  # fmt: skip
def chunk_layout(camera: Camera) -> None:
    found, _ = _with_chunks(camera)
    known = {
        to_hex(text)
        for name in camera.description.named("Port")
        if (text := camera.description.text_of(name, "ChunkID"))
    }
    expect(found, "no chunks")
    unknown = [hex(number) for number, _ in found if number not in known]
    expect(not unknown, f"chunks {', '.join(unknown)} have no port in the XML")
    largest = max(len(data) for _, data in found)
    expect(
        len(found[0][1]) == largest, f"the image is not the first chunk: lengths {[len(d) for _, d in found]}"
    )


@camera_check(
    "STREAM-028", "chunk values (Width, Height, Timestamp, ExposureTime, FrameID)", "= leader and features",
    "consistency of the camera", SHOULD, needs="str gapi", trace="r",
)  # fmt: skip
def chunk_values(camera: Camera) -> None:
    chunks, shot = _with_chunks(camera)
    found = dict(chunks)
    dues = {
        "ChunkWidth": shot.head(32, "<I"),
        "ChunkHeight": shot.head(36, "<I"),
        "ChunkTimestamp": shot.timestamp,
        "ChunkFrameID": shot.block_id,
        "ChunkOffsetX": shot.head(40, "<I"),
        "ChunkOffsetY": shot.head(44, "<I"),
    }
    seen = 0
    for name, due in dues.items():
        register = camera.description.register_behind(name)
        if register is None:
            continue
        port = camera.description.text_of(register, "pPort") or ""
        number = to_hex(camera.description.text_of(port, "ChunkID") or "")
        place = camera.place(register)
        if number is None or number not in found or place is None:
            continue
        seen += 1
        value = int.from_bytes(found[number][place[0] : place[0] + place[1]], "little")
        expect(value == due, f"{name} is {value}, the leader says {due}")
    if not seen:
        skip("none of the known chunks")


@camera_check(
    "STREAM-029", "GenDC on: container", "descriptor parses, sizes within valid size", "GenDC", SHOULD,
    needs="str gapi", trace="r",
)  # fmt: skip
def gendc(camera: Camera) -> None:
    camera.need("GenDCStreamingMode")
    with camera.small(GenDCStreamingMode="On"), streaming(camera) as stream:
        shot = stream.shots(1)[0]
    expect(shot.head(18, "<H") == GENDC, f"payload type {shot.head(18, '<H'):#06x} with GenDC on")
    head = shot.image[:56].ljust(56, b"\0")
    expect(head[:4] == b"GNDC", f"the container begins with {head[:4]!r}")
    data_size, data_offset, descriptor, parts = struct.unpack_from("<QQII", head, 32)
    expect(descriptor <= len(shot.image) and parts, f"a descriptor of {descriptor} bytes, {parts} components")
    expect(
        data_offset + data_size <= len(shot.image),
        f"data up to {data_offset + data_size}, {len(shot.image)} bytes came",
    )


@camera_check(
    "STREAM-030", "payload that begins with U3VL / U3VT (test image or virtual scene)",
    "frames whole (a host-side trap, noted for Aravis sync)", "how hosts take frames", INFO, needs="str sim gapi",
    trace="r",
)  # fmt: skip
def looks_like_a_leader(camera: Camera) -> None:
    pattern = still_image(camera)
    if not pattern:
        skip("no test image to choose bytes with")
    with camera.small(**pattern):
        starts = {shot.image[:4] for shot in frames(camera, 2)}
    camera.run.note(f"payload begins with {[start.hex(' ') for start in starts]}")
    expect(
        not starts & {b"U3VL", b"U3VT"},
        "a payload begins like a leader or trailer: hosts may take it for one",
    )
