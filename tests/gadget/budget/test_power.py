import math

import pytest

from gadget.budget.power import PowerModel, Supply
from u3v.model import load_model
from u3v.wire.usb import Speed

MODEL = load_model("acA4096-40um")
FULL = 379.5e6
SECOND = 10**9


def test_current_follows_the_state() -> None:
    power = PowerModel(MODEL)
    assert power.current_ma(0) == pytest.approx(150)
    power.load(0, configured=True, bytes_per_s=0)
    assert power.current_ma(0) == pytest.approx(400)
    power.load(0, configured=True, bytes_per_s=FULL)
    assert power.current_ma(0) == pytest.approx(720, abs=0.5)
    assert power.power_w() == pytest.approx(3.6, abs=0.005)
    assert power.fault() == ""
    assert PowerModel(MODEL, speed=Speed.HIGH).current_ma(0) == pytest.approx(100)


def test_a_high_speed_port_cannot_carry_the_full_rate() -> None:
    power = PowerModel(MODEL, speed=Speed.HIGH)
    power.load(0, configured=True, bytes_per_s=40e6)
    assert power.fault() == ""
    power.load(0, configured=True, bytes_per_s=FULL)
    assert power.fault() == "over-current: 720 mA, the port gives 500 mA"


@pytest.mark.parametrize("ohm", [0.05, 0.3, 0.6, 1.0])
def test_the_voltage_sags_as_ohm_and_joule_have_it(ohm: float) -> None:
    power = PowerModel(MODEL, supply=Supply(cable_ohm=ohm))
    power.load(0, configured=True, bytes_per_s=FULL)
    volts, amps = power.voltage_v(), power.current_ma(0) / 1000
    assert volts + amps * ohm == pytest.approx(5.0)
    assert volts * amps == pytest.approx(3.6, abs=0.005)


def test_a_long_cable_browns_out_under_load_only() -> None:
    power = PowerModel(MODEL, supply=Supply(cable_ohm=0.75))
    power.load(0, configured=True, bytes_per_s=0)
    assert power.fault() == ""
    power.load(0, configured=True, bytes_per_s=FULL)
    assert power.fault().startswith("brown-out: 4.3")
    assert power.fault().endswith("it needs 4.45 V")


def test_a_supply_that_cannot_carry_the_load_collapses() -> None:
    power = PowerModel(MODEL, supply=Supply(cable_ohm=2.0))
    power.load(0, configured=True, bytes_per_s=FULL)
    assert power.voltage_v() == 0
    assert power.fault().startswith("brown-out: 0.00 V")


def test_a_sagging_supply_draws_more_than_the_port_gives() -> None:
    power = PowerModel(MODEL, supply=Supply(supply_v=4.75, port_ma=750))
    power.load(0, configured=True, bytes_per_s=FULL)
    assert power.fault() == "over-current: 758 mA, the port gives 750 mA"


def test_a_load_on_the_supply_pin_counts() -> None:
    power = PowerModel(MODEL, supply=Supply(load_ma=400))
    power.load(0, configured=True, bytes_per_s=0)
    assert power.current_ma(0) == pytest.approx(800)
    power.load(0, configured=True, bytes_per_s=FULL)
    assert power.fault() == "over-current: 1120 mA, the port gives 900 mA"


def test_no_power_no_current() -> None:
    power = PowerModel(MODEL)
    power.switch_off(0)
    power.load(0, configured=True, bytes_per_s=FULL)  # a camera without power has no say
    assert (power.current_ma(0), power.fault(), power.voltage_v()) == (0, "", 5.0)
    power.switch_on(0)
    assert power.current_ma(0) == pytest.approx(150)


def test_temperature_is_a_first_order_lag() -> None:
    power = PowerModel(MODEL, supply=Supply(ambient_c=30))
    assert power.temperature_c(0) == pytest.approx(30 + 8 * 2.0)
    power.load(0, configured=True, bytes_per_s=FULL)
    end_c = power.final_temperature_c()
    assert end_c == pytest.approx(30 + 8 * 3.6, abs=0.05)
    after_tau = power.temperature_c(600 * SECOND)
    assert after_tau == pytest.approx(46 + (end_c - 46) * (1 - math.exp(-1)))
    power.load(600 * SECOND, configured=True, bytes_per_s=0)
    assert power.temperature_c(600 * SECOND) == pytest.approx(after_tau)
    assert power.temperature_c(10**5 * SECOND) == pytest.approx(46)


def test_when_it_passes_a_temperature() -> None:
    power = PowerModel(MODEL)
    power.load(0, configured=True, bytes_per_s=FULL)
    at_ns = power.reaches_ns(45.0, 0)
    assert at_ns is not None
    assert power.temperature_c(at_ns) == pytest.approx(45.0, abs=1e-6)
    assert power.temperature_c(at_ns) > 45.0
    assert power.reaches_ns(45.0, at_ns) is None
    assert power.reaches_ns(60.0, 0) is None
    assert power.reaches_ns(30.0, 0) is None


def test_other_surroundings_count_from_now_on() -> None:
    power = PowerModel(MODEL, supply=Supply(ambient_c=30))
    changes: list[int] = []
    power.on_change = changes.append
    power.load(0, configured=True, bytes_per_s=0)
    before = power.temperature_c(100 * SECOND)
    power.surround(100 * SECOND, ambient_c=50, supply_v=4.8, cable_ohm=0.5, load_ma=10, limit_ma=300)
    assert power.temperature_c(100 * SECOND) == pytest.approx(before), "no leap"
    assert power.temperature_c(10**5 * SECOND) == pytest.approx(50 + 8 * 2.0)
    assert power.voltage_v() < 4.8
    assert "over-current" in power.fault()
    power.surround(100 * SECOND, limit_ma=900)
    assert (power.fault(), power.cable_ohm, power.ambient_c) == ("", 0.5, 50)
    assert changes == [0, 100 * SECOND, 100 * SECOND]
