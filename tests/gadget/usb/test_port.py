"""Cameras that drop off the bus and come back, on a simulated clock."""

import pytest

from gadget.budget.power import Supply
from gadget.usb.in_pipe import ESHUTDOWN
from gadget.usb.port import BACK_NS, BROWN_OUT_NS, OVER_CURRENT_NS, RESET_AFTER_NS
from tests.gadget.eager import Eager, rig
from u3v.host.bus import UsbGone, get_configuration
from u3v.host.client import U3VClient
from u3v.host.nodes import DeviceNodes

SECOND = 10**9
MODEL = "acA4096-40um"


def dropped_after(eager: Eager) -> int:
    """Let time pass until the camera is off the bus: how long it took."""
    began_ns = eager.host.now_ns
    while eager.port.on_bus:
        at_ns = eager.host.time.next_wakeup_ns()
        assert at_ns is not None and at_ns < began_ns + 10 * SECOND, "it stays"
        eager.host.time.step(at_ns)
    return eager.host.now_ns - began_ns


def test_a_well_fed_camera_stays() -> None:
    time, (one,) = rig([MODEL], "5gbps", Supply(cable_ohm=0.3))
    time.advance(5 * SECOND)
    assert (one.port.drops, one.port.on_bus) == (0, True)


@pytest.mark.parametrize(
    ("supply", "after_ns", "reason"),
    [
        (Supply(cable_ohm=0.75), BROWN_OUT_NS, "brown-out: 4.4"),
        (Supply(load_ma=400), OVER_CURRENT_NS, "over-current: 1"),
    ],
)
def test_a_camera_that_starts_with_too_weak_a_supply_drops_and_comes_back(
    supply: Supply, after_ns: int, reason: str
) -> None:
    time, (one,) = rig([MODEL], "5gbps", supply)
    said: list[str] = []
    one.port.listeners.append(said.append)
    assert dropped_after(one) == pytest.approx(after_ns, abs=1000)
    assert one.ended_with == ESHUTDOWN
    assert said[0].startswith(f"drops off the bus: {reason}")
    with pytest.raises(UsbGone):
        U3VClient(one.host).open()
    assert one.camera.frames.in_flight == 0
    time.advance(BACK_NS)
    assert one.port.on_bus
    assert get_configuration(one.host) == 0
    client = U3VClient(one.host)
    one.host.device.on_complete = one.host._completed
    client.open()
    assert DeviceNodes(client).get("DeviceModelName") == MODEL
    time.advance(10 * SECOND)
    assert one.port.drops == 1, "idle is fine; the next acquisition would be too much again"


def test_a_supply_that_is_hopeless_leaves_it_off() -> None:
    time, (one,) = rig([MODEL], "5gbps", Supply(supply_v=4.4))
    said: list[str] = []
    one.port.listeners.append(said.append)
    time.advance(5 * SECOND)
    assert not one.port.on_bus
    assert said[-1] == "stays off: brown-out: 4.40 V at the camera, it needs 4.45 V"
    assert time.next_wakeup_ns() is None


def test_device_reset_is_a_cable_pulled_and_plugged() -> None:
    time, (one,) = rig([MODEL], "5gbps", Gain=6.0)
    time.advance(SECOND)
    one.host.device.on_complete = one.host._completed
    one.nodes.execute("DeviceReset")  # acknowledged, then gone
    one.host.device.on_complete = one._completed
    assert dropped_after(one) <= RESET_AFTER_NS
    time.advance(BACK_NS)
    assert one.port.drops == 1 and not one.camera.reset_requested
    one.host.device.on_complete = one.host._completed
    client = U3VClient(one.host)
    client.open()
    assert DeviceNodes(client).get("Gain") == 0.0
    time.advance(5 * SECOND)
    assert one.port.drops == 1


def test_a_camera_that_somebody_unplugs_stays_away_until_it_is_plugged_in_again() -> None:
    time, (one,) = rig([MODEL], "5gbps", Supply())
    told: list[str] = []
    one.port.listeners.append(told.append)
    one.port.replug(time.now_ns)
    assert one.port.drops == 0, "it is plugged in"
    one.port.unplug(time.now_ns)
    one.port.unplug(time.now_ns)
    time.advance(5 * SECOND)
    assert (one.port.on_bus, one.port.comes_back, one.port.drops) == (False, False, 1)
    assert told == ["drops off the bus: unplugged"]
    one.port.replug(time.now_ns)
    assert one.port.on_bus


def test_a_camera_that_is_about_to_drop_or_about_to_come_back_says_so() -> None:
    time, (one,) = rig([MODEL], "5gbps", Supply())
    time.advance(SECOND)
    assert (one.port.will_drop, one.port.comes_back) == (False, False)
    one.port.power.surround(time.now_ns, supply_v=4.0)
    assert one.port.will_drop
    dropped_after(one)
    assert (one.port.will_drop, one.port.comes_back) == (False, True)


def test_a_camera_is_not_plugged_into_a_supply_that_does_not_carry_it() -> None:
    time, (one,) = rig([MODEL], "5gbps", Supply())
    one.port.unplug(time.now_ns)
    one.port.power.surround(time.now_ns, supply_v=4.0)
    one.port.replug(time.now_ns)
    assert not one.port.on_bus
    one.port.power.surround(time.now_ns, supply_v=5.0)
    one.port.replug(time.now_ns)
    assert one.port.on_bus


@pytest.mark.parametrize("late_ns", [0, SECOND])
def test_a_short_sag_drops_a_camera_however_late_the_loop_comes(late_ns: int) -> None:
    """What was planned for two instants is done in their order, with what follows from the first in between."""
    time, (one,) = rig([MODEL], "5gbps")
    time.advance(SECOND)
    power, port = one.port.power, one.port
    port.at(time.now_ns + 10, lambda now_ns: power.surround(now_ns, supply_v=3.0))
    port.at(time.now_ns + 50_000_000, lambda now_ns: power.surround(now_ns, supply_v=5.0))
    if late_ns:
        time.now_ns += late_ns
        port.service(time.now_ns)
    else:
        time.advance(100_000_000)
    assert (port.drops, port.on_bus) == (1, False)
    time.advance(BACK_NS)
    assert port.on_bus


def test_a_cable_that_keeps_its_power_keeps_the_settings() -> None:
    time, (one,) = rig([MODEL], "5gbps", Gain=6.0)
    one.port.unplug(time.now_ns, keeps_power=True)
    assert not one.port.on_bus
    one.port.replug(time.now_ns)
    assert one.port.on_bus and one.camera.features.get("Gain") == 6.0
    one.port.unplug(time.now_ns)
    one.port.replug(time.now_ns)
    assert one.camera.features.get("Gain") == 0.0
