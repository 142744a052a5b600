"""STREAM, first part: what comes for a frame, at many geometries, in every format."""

from u3v.host.conformance.camera import MS, Camera, camera_check, expect, fail
from u3v.host.conformance.declare import SHOULD
from u3v.host.conformance.sfnc import bits_per_pixel
from u3v.host.conformance.streaming import (
    LEADER,
    LEADER_BYTES,
    Plan,
    Shot,
    defects,
    expected,
    round_up,
    streaming,
    usual_plan,
)


def _judge(camera: Camera, *rules: str, count: int = 6) -> list[Shot]:
    """Frames of a small region; fails for the first broken rule of these."""
    with camera.small(333, 41):
        want = expected(camera)
        with streaming(camera) as stream:
            shots = []
            for _ in range(count):
                shot = stream.shot()
                if shot is None:
                    break
                shots.append(shot)
                camera.run.show(
                    "leader", shot.leader[:LEADER_BYTES], f"then payload transfers {shot.lengths}"
                )
                camera.run.show("trailer", shot.trailer[:36], shot.trouble)
        for rule, text in defects(shots, want):
            if rule in rules:
                fail(text)
        expect(len(shots) == count, f"{len(shots)} of {count} frames came")
    return shots


@camera_check(
    "STREAM-001", "enable, AcquisitionStart, first transfer", "a leader", "what hosts trip over", needs="str gapi",
    trace="r",
)  # fmt: skip
def begins_with_leader(camera: Camera) -> None:
    _judge(camera, "STREAM-001")


@camera_check(
    "STREAM-002", "leader's frame: magic, size@6, length",
    "U3VL; size = bytes received = 52 (image) and ≤ max leader; longer: header of 52 + note",
    "leader of USB3 Vision 1.0; Basler, FX20 example send more room, not more bytes", needs="str gapi", trace="r",
)  # fmt: skip
def leader_frame(camera: Camera) -> None:
    shots = _judge(camera, "STREAM-002", "STREAM-018")
    longer = {len(shot.leader) for shot in shots} - {LEADER_BYTES}
    if longer:
        camera.run.note(f"leaders of {sorted(longer)} bytes: 52 of an image, and more behind")
    for shot in shots:
        expect(shot.leader[:4] == LEADER, f"leader {shot.leader[:52].hex(' ')}")


@camera_check(
    "STREAM-003", "reserved fields of leader and trailer", "0", "leader of USB3 Vision 1.0", SHOULD,
    needs="str gapi", trace="r",
)  # fmt: skip
def reserved_fields(camera: Camera) -> None:
    _judge(camera, "STREAM-003")


@camera_check(
    "STREAM-004", "payload type", "0001; with chunks 4001 (4000 pure chunk); GenDC 1001 only when its mode is on",
    "payload types of USB3 Vision", needs="str gapi", trace="r",
)  # fmt: skip
def payload_type(camera: Camera) -> None:
    _judge(camera, "STREAM-004")
    if camera.has("ChunkModeActive") and camera.writable("ChunkModeActive"):
        with camera.settings(ChunkModeActive=True):
            _judge(camera, "STREAM-004")


@camera_check(
    "STREAM-005", "pixel format, size x/y, offset x/y", "= the features at enable", "leader of USB3 Vision 1.0",
    needs="str gapi", trace="r",
)  # fmt: skip
def image_fields(camera: Camera) -> None:
    shots = _judge(camera, "STREAM-005")
    expect(
        len({shot.leader[28:50] for shot in shots}) == 1,
        "leaders of one acquisition differ in size or format",
    )
    with camera.small(128, 40):
        step = int(camera.info("OffsetX").increment or 1) if camera.has("OffsetX") else 0
        with (
            camera.settings(OffsetX=step * 2, OffsetY=int(camera.info("OffsetY").increment or 1))
            if step
            else camera.keep()
        ):
            want = expected(camera)
            with streaming(camera) as stream:
                shots = stream.shots(2)
            for rule, text in defects(shots, want):
                expect(rule != "STREAM-005", text)


@camera_check(
    "STREAM-006", "padding x", "0, or PayloadSize accounts for it", "leader and trailer of USB3 Vision",
    needs="str gapi", trace="r",
)  # fmt: skip
def padding(camera: Camera) -> None:
    with camera.small(333, 41):
        need, bits = camera.required_payload, bits_of(camera)
        with streaming(camera) as stream:
            for shot in stream.shots(3):
                told = shot.head(48, "<H")
                width, height = shot.head(32, "<I"), shot.head(36, "<I")
                if told and bits is not None:
                    due = (-(-width * bits // 8) + told) * height
                    expect(due <= need, f"padding {told} per line makes {due} bytes, {need} are sent")


def bits_of(camera: Camera) -> int | None:
    name = str(camera.get("PixelFormat"))
    return bits_per_pixel(name, camera.description.entries("PixelFormat").get(name, 0))


@camera_check(
    "STREAM-007", "block ids", "0 first, +1 each while the host keeps up", "leader and trailer of USB3 Vision",
    needs="str gapi", trace="r",
)  # fmt: skip
def block_ids(camera: Camera) -> None:
    _judge(camera, "STREAM-007", count=20)


@camera_check(
    "STREAM-008", "leader timestamps", "rise strictly (against the period: TIME-009)",
    "leader and trailer of USB3 Vision", needs="str gapi", trace="r",
)  # fmt: skip
def timestamps_rise(camera: Camera) -> None:
    _judge(camera, "STREAM-008", count=20)


@camera_check(
    "STREAM-009", "leader timestamp between latches around the frame", "latch before ≤ it + exposure ≤ latch after",
    "GenCP 1.3 5.4.16; consistency of the camera", SHOULD, needs="str gapi", trace="r",
)  # fmt: skip
def timestamps_fit_clock(camera: Camera) -> None:
    with camera.small():
        exposure = int(camera.get_float("ExposureTime") * 1000) if camera.has("ExposureTime") else 0
        for _ in range(2):
            with streaming(camera, begin=False) as stream:
                before = camera.latch()
                stream.begin()
                shot = stream.shots(1)[0]
                after = camera.latch()
            at = shot.timestamp
            expect(
                before <= at + exposure and at <= after,
                f"leader at {at} ns, the clock went from {before} to {after}",
            )
            expect(at >= before - MS, f"leader at {at} ns, before the start at {before}")


@camera_check(
    "STREAM-010", "payload bytes", "= SI_Required_Payload_Size exactly", "what hosts trip over", needs="str gapi",
    trace="r",
)  # fmt: skip
def payload_bytes(camera: Camera) -> None:
    _judge(camera, "STREAM-010")


@camera_check(
    "STREAM-011", "each payload transfer", "= its planned size (the last: the rest)",
    "transfer rules of USB3 Vision", needs="str gapi", trace="r",
)  # fmt: skip
def transfer_sizes(camera: Camera) -> None:
    _judge(camera, "STREAM-011")
    with camera.small(333, 241):
        want = expected(camera)
        with streaming(camera, usual_plan(camera, 8 * camera.packet)) as stream:
            for rule, text in defects(stream.shots(3), want):
                expect(rule != "STREAM-011", text)


@camera_check(
    "STREAM-012", "trailer: magic, size@6, length", "U3VT; 32, or 36 for 4001; ≤ max trailer",
    "trailer of USB3 Vision 1.0", needs="str gapi", trace="r",
)  # fmt: skip
def trailer_frame(camera: Camera) -> None:
    _judge(camera, "STREAM-012")


@camera_check(
    "STREAM-013", "trailer's block id", "= leader's", "pylon as observed", needs="str gapi", trace="r",
)  # fmt: skip
def trailer_block_id(camera: Camera) -> None:
    _judge(camera, "STREAM-013", count=12)


@camera_check(
    "STREAM-014", "trailer status", "0 for whole frames",
    "trailer of USB3 Vision 1.0; cameleon drops such frames, pylon reports it", needs="str gapi", trace="r",
)  # fmt: skip
def trailer_status(camera: Camera) -> None:
    _judge(camera, "STREAM-014")


@camera_check(
    "STREAM-015", "valid payload size", "= bytes received",
    "leader and trailer of USB3 Vision; pylon as observed; viva", needs="str gapi", trace="r",
)  # fmt: skip
def valid_size(camera: Camera) -> None:
    _judge(camera, "STREAM-015")


@camera_check(
    "STREAM-016", "trailer size y", "= leader's for whole frames (the image's height in cameleon)",
    "leader and trailer of USB3 Vision", needs="str gapi", trace="r",
)  # fmt: skip
def trailer_lines(camera: Camera) -> None:
    _judge(camera, "STREAM-016")


@camera_check(
    "STREAM-017", "zero-length packets", "only where a planned transfer is unfilled and n % packet size = 0",
    "transfer rules of USB3 Vision", needs="str gapi", trace="r",
)  # fmt: skip
def zero_length_packets(camera: Camera) -> None:
    with camera.small(333, 41):
        need = camera.required_payload
        want = expected(camera)
        plans = (usual_plan(camera), Plan(0, 0, round_up(need, 1024), 4096), Plan(4096, need // 4096 + 4))
        for plan in plans:
            with streaming(camera, plan) as stream:
                for rule, text in defects(stream.shots(3), want):
                    expect(rule not in ("STREAM-017", "STREAM-012", "STREAM-018"), f"{plan}: {text}")


@camera_check(
    "STREAM-018", "nothing between trailer and next leader", "=", "transfer rules of USB3 Vision", needs="str gapi",
    trace="r",
)  # fmt: skip
def nothing_between(camera: Camera) -> None:
    _judge(camera, "STREAM-018", "STREAM-001", count=12)
