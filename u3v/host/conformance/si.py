"""SI: the stream registers: plans of many hosts, plans that are wrong, and when a plan may be written."""

from u3v.host.conformance.camera import DISABLED, Camera, camera_check, expect, skip
from u3v.host.conformance.declare import INFO, SHOULD
from u3v.host.conformance.stream_forms import still_image
from u3v.host.conformance.streaming import (
    CHUNK_TRAILER_BYTES,
    LEADER_BYTES,
    Plan,
    Stream,
    frames,
    round_up,
    usual_plan,
)
from u3v.host.registers import SI_CONTROL

BAD_ALIGNMENT, INCONSISTENT = 0xA003, 0xA004
KIB, MIB = 1 << 10, 1 << 20
NAMES = ("leader", "size", "count", "final1", "final2", "trailer")


def _region(camera: Camera, remainder: int, at_least: int = 3) -> bool:
    """Choose Width and Height so that the payload is `remainder` more than whole packets; False where none fits."""
    packet, payload_before = camera.packet, 0
    low, high = camera.on_grid("Height", 8), camera.on_grid("Height", 1200)
    step = int(camera.info("Height").increment or 1)
    width_step = int(camera.info("Width").increment or 1)
    for width in range(camera.on_grid("Width", 64), camera.on_grid("Width", 512) + 1, width_step * 2):
        camera.set("Width", width)
        camera.set("Height", low)
        payload_before = camera.required_payload
        per_line, rest = divmod(payload_before, low)
        if rest:
            continue
        for height in range(low, high + 1, step):
            size = per_line * height
            if size % packet == remainder % packet and size >= at_least * packet:
                camera.set("Height", height)
                return camera.required_payload == size
    return False


def three(camera: Camera, plan: Plan, what: str) -> None:
    frames(camera, 3, plan, what=f"{what}: ")


def _sizes(camera: Camera, alignment: int) -> tuple[int, int]:
    sirm = camera.sirm
    return (
        round_up(max(sirm.required_leader, LEADER_BYTES), alignment),
        round_up(max(sirm.required_trailer, CHUNK_TRAILER_BYTES), alignment),
    )


@camera_check(
    "SI-001",
    "plan of Aravis: transfers of the payload up to 1 MiB, even if unaligned; the rest rounded up to the alignment",
    "frames whole; A003 and A004 for an unaligned payload below 1 MiB are noted",
    "starts and stops of hosts, Aravis issue 816", SHOULD, needs="str gapi", trace="r",
)  # fmt: skip
def plan_of_aravis(camera: Camera) -> None:
    with camera.small(333, 41):
        sirm = camera.sirm
        need, align = sirm.required_payload, sirm.alignment
        leader, trailer = _sizes(camera, align)
        size = min(need, MIB)
        plan = Plan(size, need // size, round_up(need % size, align), 0, leader, trailer)
        if size % align:
            camera.run.note(
                f"{size} is no multiple of {align}: a strict camera refuses it with A003 and A004"
            )
            if refusal(camera, plan) in (BAD_ALIGNMENT, INCONSISTENT):
                return
        three(camera, plan, "plan of Aravis")


@camera_check(
    "SI-002", "plan of cameleon: 64 KiB transfers, the rest rounded up, room for the trailer as for the leader",
    "frames whole", "starts and stops of hosts", needs="str gapi", trace="r",
)  # fmt: skip
def plan_of_cameleon(camera: Camera) -> None:
    with camera.small(333, 241):
        sirm = camera.sirm
        align = sirm.alignment
        size = round_up(64 * KIB, align)
        count, rest = divmod(sirm.required_payload, size)
        leader, _ = _sizes(camera, align)
        three(camera, Plan(size, count, round_up(rest, align), 0, leader, leader), "plan of cameleon")


@camera_check(
    "SI-003", "plan of NI: 64 KiB transfers, final 1 the whole packets of the rest, final 2 its tail rounded up",
    "frames whole", "starts and stops of hosts", needs="str gapi", trace="r",
)  # fmt: skip
def plan_of_ni(camera: Camera) -> None:
    with camera.small(333, 241):
        sirm, packet = camera.sirm, camera.packet
        count, rest = divmod(sirm.required_payload, 64 * KIB)
        final1 = rest // packet * packet
        plan = Plan(64 * KIB, count, final1, round_up(rest - final1, sirm.alignment), packet, packet)
        three(camera, plan, "plan of NI")


@camera_check(
    "SI-004", "plan of NI without scattering: count 0, all in final transfer 1", "frames whole",
    "other hosts as observed", needs="str gapi", trace="r",
)  # fmt: skip
def plan_without_count(camera: Camera) -> None:
    with camera.small(333, 41):
        three(camera, Plan(0, 0, round_up(camera.required_payload, 1024), 0), "all in one final transfer")


@camera_check(
    "SI-005", "plan of pylon: 256 KiB transfers, room of 52 bytes for the leader, 36 for the trailer",
    "frames whole", "pylon as observed", needs="str gapi", trace="r",
)  # fmt: skip
def plan_of_pylon(camera: Camera) -> None:
    with camera.small(333, 241):
        sirm = camera.sirm
        count, rest = divmod(sirm.required_payload, 0x40000)
        leader = LEADER_BYTES if sirm.required_leader <= LEADER_BYTES else sirm.required_leader
        trailer = (
            CHUNK_TRAILER_BYTES if sirm.required_trailer <= CHUNK_TRAILER_BYTES else sirm.required_trailer
        )
        three(camera, Plan(0x40000, count, round_up(rest, 1024), 0, leader, trailer), "plan of pylon")


@camera_check(
    "SI-006", "one packet per transfer", "frames whole", "consistency of the camera", needs="str gapi", trace="r",
)  # fmt: skip
def packet_by_packet(camera: Camera) -> None:
    with camera.small(333, 41):
        count, rest = divmod(camera.required_payload, camera.packet)
        three(
            camera,
            Plan(camera.packet, count, round_up(rest, camera.sirm.alignment)),
            "one packet per transfer",
        )


@camera_check(
    "SI-007", "a plan of exactly the payload, in whole packets", "frames whole; no ZLP",
    "transfer rules of USB3 Vision", needs="str gapi", trace="r",
)  # fmt: skip
def exact_plan(camera: Camera) -> None:
    with camera.small():
        if not _region(camera, 0):
            skip("no region gives whole packets")
        packets = camera.required_payload // camera.packet
        three(camera, Plan(camera.packet, packets), "size x count is the payload")


@camera_check(
    "SI-008", "one transfer for the whole payload", "frames whole", "GenTL producers ask so", needs="str gapi",
    trace="r",
)  # fmt: skip
def one_transfer(camera: Camera) -> None:
    with camera.small(333, 241):
        size = round_up(camera.required_payload, max(camera.sirm.alignment, 4))
        three(camera, Plan(size, 1), "one transfer")


@camera_check(
    "SI-009", "final transfer 1 64 KiB too large; the payload ends in a short packet",
    "last payload transfer short; trailer next", "transfer rules of USB3 Vision", needs="str gapi", trace="r",
)  # fmt: skip
def too_large(camera: Camera) -> None:
    with camera.small():
        if not _region(camera, camera.sirm.alignment, 3) and not _region(camera, 64, 3):
            camera.run.note("the payload is as the smallest region gives it")
        three(camera, Plan(0, 0, round_up(camera.required_payload, 1024) + 64 * KIB), "64 KiB too large")


@camera_check(
    "SI-010", "final transfer 1 64 KiB too large; the payload ends with a full packet",
    "ends with a zero-length packet", "transfer rules of USB3 Vision, Aravis issue 737", needs="str gapi",
    trace="r",
)  # fmt: skip
def too_large_whole_packets(camera: Camera) -> None:
    with camera.small():
        if not _region(camera, 0):
            skip("no region gives whole packets")
        three(camera, Plan(0, 0, camera.required_payload + 64 * KIB), "64 KiB too large, whole packets")


@camera_check(
    "SI-011", "transfers of one packet and a bit", "each transfer ends short by itself, frames whole",
    "transfer rules of USB3 Vision", SHOULD, needs="str gapi", trace="r",
)  # fmt: skip
def odd_transfers(camera: Camera) -> None:
    with camera.small(333, 41):
        size = camera.packet + max(camera.sirm.alignment, 4)
        count, rest = divmod(camera.required_payload, size)
        three(camera, Plan(size, count, round_up(rest, camera.sirm.alignment)), "no whole packets")


@camera_check(
    "SI-012", "final2 only", "frames whole, or A004", "consistency of the camera", INFO, needs="str gapi",
    trace="r",
)  # fmt: skip
def final2_alone(camera: Camera) -> None:
    with camera.small(333, 41):
        plan = Plan(0, 0, 0, round_up(camera.required_payload, 1024))
        if refusal(camera, plan) == 0:
            three(camera, plan, "final transfer 2 alone")


@camera_check(
    "SI-013", "size 0 with count 5", "as count 0, or A004", "consistency of the camera", INFO, needs="str gapi",
    trace="r",
)  # fmt: skip
def size_zero(camera: Camera) -> None:
    with camera.small(333, 41):
        plan = Plan(0, 5, round_up(camera.required_payload, 1024))
        status = refusal(camera, plan)
        expect(status in (0, INCONSISTENT), f"size 0 with count 5: status {status:#06x}")
        if not status:
            three(camera, plan, "size 0 with count 5")


def refusal(camera: Camera, plan: Plan) -> int:
    """First status that is not 0 of programming and enabling a plan; off afterwards, registers as before."""
    camera.write(camera.si + SI_CONTROL, DISABLED)
    kept = camera.plan_registers()
    stream = Stream(camera, plan, 1)
    try:
        return stream.program() or stream.enable()
    finally:
        stream.close()
        camera.put_back_plan(kept)


@camera_check(
    "SI-027", "transfers of 16 KiB, 64 KiB, 1 MiB and 4 MiB", "same bytes in every case",
    "Aravis issue 314, Aravis issue 761", needs="str gapi", trace="r",
)  # fmt: skip
def request_sizes(camera: Camera) -> None:
    with camera.small(333, 241):
        pattern = still_image(camera)
        with camera.settings(**pattern):
            images = []
            for size in (16 * KIB, 64 * KIB, MIB, 4 * MIB):
                images.append(
                    frames(camera, 3, usual_plan(camera, size), what=f"requests of {size} bytes: ")[0].image
                )
            if pattern:
                expect(len(set(images)) == 1, "a still test image differs between sizes of requests")
