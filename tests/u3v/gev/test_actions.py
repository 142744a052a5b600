"""Actions, at once and at a time; and the clock that the times are of, which several cameras share (IEEE 1588)."""

import struct

import pytest

from tests.u3v.gev.host import CCP, STRANGER, Host
from tests.u3v.rig import MS
from u3v.gev.clock import Domain
from u3v.happenings import Happening

MODELS = ("acA4096-11gm", "acA4112-8gm", "VCXG-124M")
S = 1000 * MS
CONFIGURATION, STATUS, QUEUE = 0x954, 0x96C, 0x970
DEVICE_KEY, GROUP_KEY, GROUP_MASK = 0x90C, 0x9800, 0x9804
KEYS = (0x11111111, 0x22222222, 0x0000000F)
PTP, EXTENDED_STATUS, UNCONDITIONAL = 0x80000, 4, 8
LISTENING, MASTER, UNCALIBRATED, SLAVE, DISABLED = 4, 6, 8, 9, 3


def armed(model: str, **options: object) -> Host:
    """A camera that waits for Action1."""
    host = Host(model, paced=True, **options)  # type: ignore[arg-type]
    assert host.write(CCP, 2) == 0
    for address, value in zip((DEVICE_KEY, GROUP_KEY, GROUP_MASK), KEYS, strict=True):
        assert host.write(address, value) == 0
    assert host.write(CONFIGURATION, EXTENDED_STATUS) == 0
    features = host.camera.features
    for name, value in (("TriggerMode", "On"), ("TriggerSource", "Action1")):
        features.host_set(name, value, TriggerSelector="FrameStart")
    host.start()
    return host


def action(host: Host, *keys: int, at: int | None = None, ack: int = 1) -> list[bytes]:
    payload = struct.pack(">III", *(keys or (KEYS[0], KEYS[1], 0x1)))
    payload += b"" if at is None else struct.pack(">Q", at)
    return host.ask(0x100, payload, peer=STRANGER, flags=ack | (0 if at is None else 0x80))


def starts(host: Host) -> list[int]:
    """Instants of exposures, from now on."""
    heard: list[int] = []
    host.camera.happenings.listen(lambda _what, at_ns, _block: heard.append(at_ns), Happening.EXPOSURE_START)
    return heard


def status(answers: list[bytes]) -> int:
    (answer,) = answers
    return int.from_bytes(answer[:2], "big")


@pytest.mark.parametrize("model", MODELS)
def test_an_action_triggers_whoever_holds_its_keys(model: str) -> None:
    host = armed(model)
    heard = starts(host)
    host.wait(50 * MS)
    assert action(host, KEYS[0], KEYS[1], 0x10) == [] == action(host, KEYS[0], 7, 1)
    assert action(host, 7, KEYS[1], 1) == [] == action(host, ack=0)
    host.wait(MS)
    assert len(heard) == 1
    host.wait(200 * MS)
    assert action(host) == [bytes.fromhex("0000 0101 0000") + host._id.to_bytes(2, "big")]
    host.wait(MS)
    assert len(heard) == 2


def test_keys_are_features() -> None:
    """What is written to the bootstrap registers is what the features read, and the other way round."""
    host = armed("VCXG-124M")
    features = host.camera.features
    assert [features.get(n) for n in ("ActionDeviceKey", "ActionGroupKey", "ActionGroupMask")] == list(KEYS)
    features.host_set("ActionGroupMask", 0x80)
    assert host.read(GROUP_KEY, GROUP_MASK) == [KEYS[1], 0x80]
    assert host.read(0x934)[0] & (1 << 6 | 1 << 20) and host.read(0x908) == [1]


def test_without_a_host_actions_are_heeded_only_if_it_is_set_up_so() -> None:
    host = armed("acA4096-11gm")
    assert host.write(CCP, 0) == 0 and action(host) == []
    assert (
        host.write(CCP, 2) == 0 and host.write(CONFIGURATION, UNCONDITIONAL) == 0 and host.write(CCP, 0) == 0
    )
    assert status(action(host)) == 0


def test_a_scheduled_action_happens_at_its_instant() -> None:
    host = armed("acA4096-11gm")
    heard = starts(host)
    host.wait(S)
    due = host.now_ns + 20 * MS + 7
    assert status(action(host, at=due)) == 0
    assert host.function.next_wakeup_ns() <= due  # type: ignore[operator]
    host.wait(20 * MS)
    assert heard == []
    host.wait(5 * MS)  # however late the loop comes
    assert heard == [due]


def test_a_late_action_happens_at_once_and_says_so() -> None:
    host = armed("acA4096-11gm")
    host.wait(S)
    heard, late = starts(host), []
    host.camera.happenings.listen(lambda _w, at_ns, _b: late.append(at_ns), Happening.ACTION_LATE)
    assert status(action(host, at=S // 2)) == 0x8016
    assert heard == late == [S]
    host.wait(S)
    assert host.write(CONFIGURATION, 0) == 0  # a host that does not know that status
    assert status(action(host, at=1)) == 0 and status(action(host, at=0)) == 0


def test_as_many_actions_wait_as_the_register_says() -> None:
    host = armed("acA4096-11gm")
    (room,) = host.read(QUEUE)
    assert room > 0 and host.read(0x934)[0] & 1 << 17
    assert [status(action(host, at=S + n)) for n in range(room + 1)] == [0] * room + [0x8015]
    host.press("DeviceReset")
    heard = starts(host)
    host.wait(2 * S)
    assert heard == []


def test_the_baumer_schedules_nothing() -> None:
    host = armed("VCXG-124M")
    assert host.read(QUEUE) == [0] and not host.read(0x934)[0] & 1 << 17
    assert status(action(host, at=S)) == 0x8001


# -- the clock ------------------------------------------------------------------------------------------------


def pair() -> tuple[Host, Host]:
    """Two cameras of one network, the first with the less identity; their clocks differ by 0.3 s."""
    domain = Domain()
    hosts = [armed("acA4096-11gm", domain=domain, serial=serial) for serial in ("40000001", "40000002")]
    first, second = sorted(hosts, key=lambda host: host.function.clock.identity)
    for host in hosts:
        host.wait(300 * MS)
    assert second.write(0x944, 1) == 0
    assert (first.camera.timestamp_ns, second.camera.timestamp_ns) == (300 * MS, 0)
    return first, second


def wait(hosts: tuple[Host, Host], duration_ns: int) -> list[int]:
    """PTP states after that time."""
    for _ in range(10):
        for host in hosts:
            host.wait(duration_ns // 10)
            host.write(0x938, 3000)
    return [host.read(STATUS)[0] for host in hosts]


def test_cameras_agree_on_a_clock() -> None:
    hosts = first, second = pair()
    assert [host.write(CONFIGURATION, PTP) for host in hosts] == [0, 0]
    assert wait(hosts, S) == [LISTENING, LISTENING]
    assert wait(hosts, 5 * S // 2) == [MASTER, UNCALIBRATED]
    assert second.camera.timestamp_ns != first.camera.timestamp_ns
    second.write(0xA01C, 1)
    (offset,) = struct.unpack(">q", second.memory(0xA010, 8))
    assert offset == -300 * MS and second.memory(0xA008, 8) == first.memory(0xA000, 8)
    assert wait(hosts, S) == [MASTER, SLAVE]
    assert second.camera.timestamp_ns == first.camera.timestamp_ns
    second.write(0xA01C, 1)
    assert second.memory(0xA010, 8) == bytes(8) and second.read(0xA018) == [SLAVE]
    assert second.write(0x944, 3) == 0  # a clock that follows another is not reset
    assert second.camera.timestamp_ns == first.camera.timestamp_ns


def test_when_the_master_leaves_another_one_takes_over() -> None:
    hosts = first, _ = pair()
    for host in hosts:
        host.write(CONFIGURATION, PTP)
    assert wait(hosts, 5 * S) == [MASTER, SLAVE]
    first.write(CONFIGURATION, 0)
    assert wait(hosts, S) == [DISABLED, SLAVE]
    assert wait(hosts, 3 * S) == [DISABLED, MASTER]
    first.write(CONFIGURATION, PTP)  # the better clock comes back
    assert wait(hosts, 3 * S) == [MASTER, SLAVE]


def test_one_scheduled_action_exposes_all_cameras_at_the_same_instant() -> None:
    hosts = first, _ = pair()
    for host in hosts:
        host.write(CONFIGURATION, PTP | EXTENDED_STATUS)
    wait(hosts, 5 * S)
    heard = [starts(host) for host in hosts]
    due = first.camera.timestamp_ns + 123_456_789
    assert [status(action(host, at=due)) for host in hosts] == [0, 0]
    wait(hosts, S)
    assert heard[0] == heard[1] == [due]
    leaders = [host.blocks(1)[0][0].data for host in hosts]
    assert [struct.unpack_from(">Q", data, 4)[0] for data in leaders] == [due, due]


def test_without_ptp_the_same_action_finds_different_instants() -> None:
    hosts = first, _ = pair()
    heard = [starts(host) for host in hosts]
    for host in hosts:
        action(host, at=first.camera.timestamp_ns + 100 * MS)
    wait(hosts, S)
    assert heard[1][0] - heard[0][0] == 300 * MS


def test_the_baumer_has_no_ptp() -> None:
    host = armed("VCXG-124M")
    assert host.write(CONFIGURATION, PTP | 6) == 0 and host.read(CONFIGURATION) == [6]
    assert host.read(STATUS) == [0] and not host.read(0x934)[0] & 1 << 19


def test_an_action_that_comes_before_pixels_can_be_made_exposes_at_its_instant() -> None:
    """A camera of metal has nothing to prepare. Frames that nobody triggers wait until they can be made."""
    host = armed("acA4096-11gm")
    host.camera.pixels_ready(False, host.now_ns)
    host.painted.paints = False
    heard = starts(host)
    host.wait(50 * MS)
    assert status(action(host)) == 0 == status(action(host, at=host.now_ns + 100 * MS))
    due = [host.now_ns, host.now_ns + 100 * MS]
    host.wait(500 * MS)
    assert heard == due and host.camera.frames.in_flight == 2 and host.packets() == []
    host.camera.features.host_set("TriggerMode", "Off", TriggerSelector="FrameStart")
    host.wait(500 * MS)
    assert heard == due
    host.camera.pixels_ready(True, host.now_ns)
    assert len(heard) == 3 and heard[-1] == host.now_ns
