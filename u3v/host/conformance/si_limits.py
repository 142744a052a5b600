"""SI, second part: plans that are wrong, and when a plan may be written."""

import struct
from dataclasses import replace

from u3v.host.bus import clear_halt
from u3v.host.conformance.camera import DISABLED, ENABLED, Camera, camera_check, expect, fail, skip
from u3v.host.conformance.declare import SHOULD
from u3v.host.conformance.si import BAD_ALIGNMENT, INCONSISTENT, KIB, MIB, NAMES, refusal, three
from u3v.host.conformance.streaming import (
    CHUNK_TRAILER_BYTES,
    LEADER_BYTES,
    TRAILER,
    Plan,
    Stream,
    expect_whole,
    expected,
    streaming,
    usual_plan,
)
from u3v.host.registers import SI_CONTROL, SI_MAX_LEADER


@camera_check(
    "SI-014", "count FFFFFFFF; size FFFFFC00",
    "A004, or followed to the letter (a zero-length packet for every unfilled transfer); alive",
    "transfer rules of USB3 Vision", needs="str gapi", trace="r",
)  # fmt: skip
def absurd_plans(camera: Camera) -> None:
    with camera.small(333, 41):
        for size, count in ((64 * KIB, 0xFFFFFFFF), (0xFFFFFC00, 1), (0xFFFFFC00, 0xFFFFFFFF)):
            plan = Plan(size, count)
            status = refusal(camera, plan)
            expect(status in (0, INCONSISTENT), f"{count:#x} transfers of {size:#x}: status {status:#06x}")
            if not status and size <= MIB:
                _to_the_letter(camera, plan)
            camera.run.alive()


def _to_the_letter(camera: Camera, plan: Plan) -> None:
    need = camera.required_payload
    with streaming(camera, plan, begin=False) as stream:
        stream.start_acquisition()
        lengths: list[int] = []
        for size in (plan.leader, *[plan.size] * 12):
            data = camera.bytes_on(camera.run.stream_in, size, 3000)
            expect(data is not None, f"nothing more after transfers of {lengths} bytes")
            lengths.append(len(data or b""))
    expect(lengths[0] == LEADER_BYTES, f"the leader has {lengths[0]} bytes")
    expect(sum(lengths[1:]) == need, f"transfers of {lengths[1:]} bytes for {need} of payload")
    filled = -(-need // plan.size)
    expect(not any(lengths[1 + filled :]), f"unfilled transfers have {lengths[1 + filled :]} bytes")


def _short_plan(camera: Camera) -> Plan:
    """One alignment step less than the payload needs."""
    align = max(camera.sirm.alignment, 4)
    return Plan(0, 0, (camera.required_payload - 1) // align * align - align)


@camera_check(
    "SI-015", "a plan of one alignment step less than the payload",
    "status A004; or frames with trailer A101, valid size = what was sent",
    "status codes of USB3 Vision; SIRM of USB3 Vision", needs="str gapi", trace="r",
)  # fmt: skip
def too_small(camera: Camera) -> None:
    with camera.small(333, 41):
        plan = _short_plan(camera)
        status = refusal(camera, plan)
        expect(status in (0, INCONSISTENT), f"a plan that is too small: status {status:#06x}")
        if status:
            return
        with streaming(camera, plan) as stream:
            for shot in stream.shots(3):
                expect(shot.trailer[:4] == TRAILER, f"no trailer after {shot.lengths} bytes")
                told, valid = struct.unpack_from("<H2xQ", shot.trailer, 16)
                expect(told == 0xA101, f"trailer status {told:#06x} for a frame that was cut")
                expect(
                    valid == sum(shot.lengths), f"valid payload size {valid}, {sum(shot.lengths)} bytes came"
                )
                expect(sum(shot.lengths) <= plan.final1, "more bytes than announced")


@camera_check(
    "SI-016", "a plan of less than the payload needs", "A004 at enable", "status codes of USB3 Vision", SHOULD,
    needs="str gapi", trace="r",
)  # fmt: skip
def too_small_refused(camera: Camera) -> None:
    with camera.small(333, 41):
        status = refusal(camera, _short_plan(camera))
        expect(status == INCONSISTENT, f"a plan that is too small: status {status:#06x}, not A004")


def _small_mark(camera: Camera, name: str, required: int) -> None:
    """A maximum leader or trailer below what is required."""
    align = camera.sirm.alignment
    small = max((required - 1) // align * align, align)
    with camera.small():
        plan = replace(usual_plan(camera), **{name: small})
        status = refusal(camera, plan)
        if status or small < CHUNK_TRAILER_BYTES:
            expect(
                status == INCONSISTENT, f"a maximum {name} of {small} bytes: status {status:#06x}, not A004"
            )
            return
        camera.run.note(f"a maximum {name} of {small} bytes is accepted, {required} are required")
        with streaming(camera, plan) as stream:
            longest = max(len(shot.leader if name == "leader" else shot.trailer) for shot in stream.shots(2))
        expect(longest <= small, f"a {name} of {longest} bytes, {small} were announced")


@camera_check(
    "SI-017", "max leader < required", "A004; if accepted the leader still fits",
    "status codes of USB3 Vision; SIRM of USB3 Vision", SHOULD, needs="str gapi", trace="r",
)  # fmt: skip
def small_leader(camera: Camera) -> None:
    _small_mark(camera, "leader", camera.sirm.required_leader)


@camera_check(
    "SI-018", "max trailer < required", "A004; if accepted the trailer still fits", "status codes of USB3 Vision",
    SHOULD, needs="str gapi", trace="r",
)  # fmt: skip
def small_trailer(camera: Camera) -> None:
    _small_mark(camera, "trailer", camera.sirm.required_trailer)


@camera_check(
    "SI-019", "alignment above 1: value alignment + 1 to each of the five size registers",
    "status A003, old value kept", "status codes of USB3 Vision; Aravis issue 209", SHOULD, needs="str gapi",
    trace="r",
)  # fmt: skip
def unaligned_sizes(camera: Camera) -> None:
    align = camera.sirm.alignment
    if align < 2:
        skip("any size is aligned")
    for n, name in enumerate(NAMES):
        if name == "count":
            continue
        address = camera.si + SI_MAX_LEADER + 4 * n
        with camera.run.restoring(address, 4) as before:
            status = camera.write(address, struct.pack("<I", align + 1))
            now = camera.read(address, 4)
        expect(status == BAD_ALIGNMENT, f"{name} = {align + 1}: status {status:#06x}, not A003")
        expect(now == before, f"{name} = {align + 1} was refused, and the register has changed")


@camera_check(
    "SI-020", "alignment above 1: count alignment + 1", "success",
    "status codes of USB3 Vision lists five registers", needs="str gapi", trace="r",
)  # fmt: skip
def count_is_free(camera: Camera) -> None:
    with camera.run.restoring(camera.si + SI_MAX_LEADER + 8, 4):
        status = camera.write(camera.si + SI_MAX_LEADER + 8, struct.pack("<I", camera.sirm.alignment + 1))
        expect(not status, f"a count of {camera.sirm.alignment + 1}: status {status:#06x}")


@camera_check(
    "SI-021", "after a refused enable", "SI_Control reads 0; correct plan then works", "consistency of the camera",
    needs="str gapi", trace="r",
)  # fmt: skip
def after_refusal(camera: Camera) -> None:
    with camera.small():
        good = usual_plan(camera)
        camera.write(camera.si + SI_CONTROL, DISABLED)
        kept = camera.plan_registers()
        stream = Stream(camera, _short_plan(camera), 1)
        status = stream.program() or stream.enable()
        now = camera.sirm.control
        stream.close()
        camera.put_back_plan(kept)
        expect(not status or now == 0, f"SI_Control reads {now} after it was refused with {status:#06x}")
        three(camera, good, "after a refused plan")


@camera_check(
    "SI-022", "any order of the six writes", "same result", "what hosts trip over", needs="str gapi", trace="r",
)  # fmt: skip
def any_order(camera: Camera) -> None:
    with camera.small():
        plan = usual_plan(camera)
        for order in (range(6), range(5, -1, -1), (2, 5, 0, 3, 1, 4)):
            with streaming(camera, plan, begin=False) as stream:
                camera.write(camera.si + SI_CONTROL, DISABLED)
                for n in order:
                    value = struct.pack("<I", plan.registers[n])
                    status = camera.write(camera.si + SI_MAX_LEADER + 4 * n, value)
                    expect(not status, f"{NAMES[n]} in the order {list(order)}: status {status:#06x}")
                expect(not stream.enable(), f"enable after the order {list(order)}")
                stream.begin()
                expect_whole(stream.shots(2), expected(camera), f"order {list(order)}: ")


@camera_check(
    "SI-023", "enabled: write to the six registers",
    "refused (8006, 800F, A004), or success and the running stream keeps its plan", "SIRM of USB3 Vision",
    needs="str gapi", trace="r",
)  # fmt: skip
def written_while_enabled(camera: Camera) -> None:
    with camera.small(333, 41):
        want = expected(camera)
        with streaming(camera) as stream:
            shots = stream.shots(2)
            for n, value in enumerate((2048, 4096, 1, 4096, 0, 2048)):
                status = camera.write(camera.si + SI_MAX_LEADER + 4 * n, struct.pack("<I", value))
                legal = (0, 0x8006, 0x800F, 0x8004, 0x8007, INCONSISTENT)
                expect(status in legal, f"{NAMES[n]} while enabled: status {status:#06x}")
            shots += stream.shots(4)
        expect_whole(shots, want, "registers written while enabled: ")


@camera_check(
    "SI-024", "SI_Control 0 when 0; 1 when 1", "success; a second 1 continues or restarts at a leader",
    "what hosts trip over; pylon writes 1 again at stop", needs="str gapi", trace="r",
)  # fmt: skip
def twice(camera: Camera) -> None:
    with camera.small():
        for _ in range(2):
            status = camera.write(camera.si + SI_CONTROL, DISABLED)
            expect(not status, f"SI_Control = 0 while it is 0: status {status:#06x}")
        want = expected(camera)
        with streaming(camera) as stream:
            stream.shots(2)
            stream.drop()
            status = camera.write(camera.si + SI_CONTROL, ENABLED)
            expect(not status, f"SI_Control = 1 while it is 1: status {status:#06x}")
            stream.to_leader()
            shots = stream.shots(3)
        expect_whole(shots, want, "SI_Control = 1 again: ")


@camera_check(
    "SI-025", "plan left as it was, disable, enable", "works unchanged", "Aravis 0.8 writes it long before",
    needs="str gapi", trace="r",
)  # fmt: skip
def kept_plan(camera: Camera) -> None:
    with camera.small():
        want = expected(camera)
        with streaming(camera) as stream:
            stream.shots(2)
            stream.stop_acquisition()
            stream.drop()
            camera.write(camera.si + SI_CONTROL, DISABLED)
            clear_halt(camera.bus, camera.run.stream_in)
            expect(not camera.write(camera.si + SI_CONTROL, ENABLED), "the plan from before is refused")
            stream.begin()
            shots = stream.shots(3)
        expect_whole(shots, want, "enabled again with the same plan: ")


@camera_check(
    "SI-026", "region made larger after the plan, then enable",
    "A004 or A101 frames, never more bytes than announced", "Aravis 0.8: Width after create_stream",
    needs="str gapi", trace="r",
)  # fmt: skip
def larger_region(camera: Camera) -> None:
    with camera.small(64, 32):
        plan = usual_plan(camera)
        larger = min(camera.on_grid("Height", 64), int(camera.info("Height").maximum or 0))
        with camera.settings(Height=larger):
            if camera.required_payload <= sum(plan.transfers()):
                skip("no larger region")
            status = refusal(camera, plan)
            expect(status in (0, INCONSISTENT), f"a plan for a smaller region: status {status:#06x}")
            if status:
                return
            with streaming(camera, plan) as stream:
                for shot in stream.shots(3):
                    if shot.trailer[:4] != TRAILER:
                        fail(f"no trailer after transfers of {shot.lengths} bytes: more than announced?")
                    told = struct.unpack_from("<H", shot.trailer, 16)[0]
                    expect(told == 0xA101, f"trailer status {told:#06x} for a frame that does not fit")
