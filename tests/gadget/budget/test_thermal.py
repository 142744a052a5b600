"""Cameras in hot air on a simulated clock: thresholds of the makers' manuals, met to the degree."""

from itertools import pairwise
from types import ModuleType

import pytest

from gadget.budget.power import Supply
from tests.gadget.eager import Eager, rig
from u3v.sfnc import ace, vcx
from u3v.thermal import ThermalGuard
from u3v.wire.usb import EVENT_IN

ACE = "acA4096-40um"
SECOND = 10**9
MINUTE = 60 * SECOND


def temperature(eager: Eager) -> int:
    return round(eager.camera.surroundings.temperature_c(eager.host.now_ns))


def until(eager: Eager, status: str, limit_ns: int = 120 * MINUTE) -> int:
    """Let time pass to a change of the status: the reading then."""
    time = eager.host.time
    end_ns = time.now_ns + limit_ns
    while eager.camera.thermal.status != status:
        at_ns = time.next_wakeup_ns()
        assert at_ns is not None and at_ns < end_ns, f"still {eager.camera.thermal.status}"
        time.step(at_ns)
    return temperature(eager)


def slow(ambient_c: float) -> Eager:
    """A camera of few frames that draws as much as at full rate."""
    _, (one,) = rig([ACE], "5gbps", Supply(ambient_c=ambient_c), Height=8, Width=8)
    power = one.port.power
    one.camera.acquisition.abort(one.host.now_ns)
    power.load(one.host.now_ns, configured=True, bytes_per_s=379.5e6)
    one.camera.thermal.look(one.host.now_ns)
    return one


def test_cool_air_keeps_it_well() -> None:
    one = slow(25)
    one.host.run(100 * MINUTE)
    assert one.camera.thermal.status == "Ok"
    assert one.camera.thermal.next_wakeup_ns() is None


def test_the_states_of_an_ace_at_their_temperatures() -> None:
    one = slow(54)  # 54 + 8 K/W x 3.6 W = 82.8 C in the end
    assert until(one, "Critical") == 75
    assert not one.camera.thermal.is_stopped
    assert until(one, "Over") == 81
    assert one.camera.thermal.is_stopped
    assert one.port.power.power_w() < 3.6  # the sensor is off: it cools down, to 70 C
    assert until(one, "Critical") == 77
    assert not one.camera.thermal.is_stopped
    assert until(one, "Ok") == 71


def test_u7_a_status_lasts_long_enough_to_be_read() -> None:
    """U7: Over lasted 2.7 us, because the camera cools down as soon as its sensor is off."""
    one = slow(56)
    until(one, "Over")
    hot_ns = one.host.now_ns
    one.nodes.get("Width")  # a host may read something else first
    assert one.nodes.get("DeviceTemperatureStatus") == "Over"
    until(one, "Critical")
    assert one.host.now_ns - hot_ns > MINUTE


@pytest.mark.parametrize("family", [ace, vcx], ids=["ace", "vcx"])
def test_u7_every_status_has_a_hysteresis(family: ModuleType) -> None:
    limits = family.THERMAL
    for (cooler, _), (warmer, at) in pairwise(limits.status):
        assert limits.hysteresis_k > 1
        assert limits.status_at(at - 1, cooler) == cooler
        assert limits.status_at(at, cooler) == warmer
        assert limits.status_at(at - limits.hysteresis_k + 1, warmer) == warmer
        assert limits.status_at(at - limits.hysteresis_k, warmer) == cooler
    hottest = limits.status[-1][0]
    assert limits.status_at(200) == hottest
    assert limits.status_at(-40, hottest) == limits.status[0][0]


def test_events_are_sent_once_and_armed_again() -> None:
    one = slow(54)
    for name in ("CriticalTemperature", "OverTemperature"):
        one.nodes.set("EventSelector", name)
        one.nodes.set("EventNotification", "On")
    one.client.write_u32(one.client.sbrm.eirm_address, 1)
    ids = one.camera.family.event_ids
    seen: list[int] = []
    buffer = bytearray(1024)

    def receive() -> None:
        one.host.bulk_in_into(EVENT_IN, buffer, 120 * 60 * 1000)
        seen.append(int.from_bytes(buffer[14:16], "little"))

    receive()
    assert (seen, temperature(one)) == ([ids["CriticalTemperature"]], 75)
    receive()
    assert (seen[1:], temperature(one)) == ([ids["OverTemperature"]], 81)
    while temperature(one) > 74:  # the critical one is not armed again: it needs 71
        at_ns = one.host.time.next_wakeup_ns()
        one.host.run(MINUTE if at_ns is None else min(MINUTE, at_ns - one.host.now_ns))
    one.port.power.load(one.host.now_ns, configured=True, bytes_per_s=379.5e6)
    one.camera.thermal.look(one.host.now_ns)
    receive()
    assert (seen[2:], temperature(one)) == ([ids["OverTemperature"]], 81)


def test_an_over_hot_ace_sends_test_image_2() -> None:
    _, (one,) = rig([ACE], "5gbps", Supply(ambient_c=70), Height=8, Width=8)  # 86 C from the start
    assert one.nodes.get("DeviceTemperatureStatus") == "Over"
    assert one.nodes.get("DeviceTemperature") == 86
    assert one.camera.exposure(0, 0, 0, 0).test_image == 2
    assert one.camera.frames.offered > 0


def test_a_baumer_sends_nothing_when_it_is_too_hot() -> None:
    _, (one,) = rig([ACE], "5gbps", Supply(ambient_c=25), Height=8, Width=8)
    camera = one.camera
    camera.timed.remove(camera.thermal)
    camera.thermal = ThermalGuard(
        vcx.THERMAL, camera.surroundings, camera.happenings, camera.throughput.report
    )
    camera.timed.append(camera.thermal)
    one.port.power.ambient_c = 60.0  # the fan has stopped: 60 + 8 x 2 = 76 C, with the stream more
    assert one.port.power.final_temperature_c() == pytest.approx(76, abs=0.1)
    one.camera.acquisition._not_before_ns += 10**15
    one.host.run(3 * 10**9)  # until its throughput has been found to be nothing
    one.port.power.load(one.host.now_ns, configured=True, bytes_per_s=379.5e6)
    one.camera.thermal.look(one.host.now_ns)
    assert until(one, "High") == 71
    assert until(one, "Exceeded") == 76
    assert not one.camera.thermal.sends_nothing
    while not one.camera.thermal.is_stopped:
        at_ns = one.host.time.next_wakeup_ns()
        assert at_ns is not None
        one.host.time.step(at_ns)
    assert temperature(one) == 77
    assert one.camera.thermal.sends_nothing
    assert one.camera.acquisition.next_wakeup_ns() is None
