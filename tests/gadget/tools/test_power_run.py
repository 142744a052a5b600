import json
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from gadget.budget.bus import parse_bus
from gadget.budget.power import Supply
from gadget.tools.power_run import MAX_REOPENED, PowerRun, power_run

ACE = "acA4096-40um"
FULL = f"{ACE}:DeviceLinkThroughputLimitMode=Off"


def run(camera: str = FULL, minutes: float = 60.0, bus: str = "5gbps", **supply: float) -> PowerRun:
    return power_run(camera, parse_bus(bus), Supply(**supply), minutes * 60)


def what(made: PowerRun) -> list[str]:
    return [event for _, event in made.events]


def test_an_hour_takes_a_moment_and_shows_every_state() -> None:
    began_s = time.monotonic()
    made = run()
    assert time.monotonic() - began_s < 10
    by_state = {sample.state: sample for sample in made.samples}
    currents = {state: round(sample.current_ma) for state, sample in by_state.items()}
    assert currents == {"plugged in": 150, "idle": 400, "acquiring": 720}
    times = [sample.time_s for sample in made.samples]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(3600)
    assert made.samples[0].temperature_c == pytest.approx(25)
    hottest = max(sample.temperature_c for sample in made.samples)
    assert 50 < hottest < 25 + 8 * 3.6
    assert what(made) == ["plugged in", "idle", "acquiring", "idle again"]


def test_a_thin_cable_browns_it_out_until_the_host_gives_up() -> None:
    made = run(minutes=2, cable_ohm=0.8)
    drops = [event for event in what(made) if event.startswith("drops off the bus: brown-out")]
    assert len(drops) == MAX_REOPENED + 1
    assert min(sample.voltage_v for sample in made.samples) < 4.45
    assert made.samples[-1].state == "plugged in"
    assert "off" in {sample.state for sample in made.samples}


def test_u7_a_host_that_gives_up_says_so() -> None:
    """U7: the run went silent after the last brown-out."""
    made = run(minutes=2, cable_ohm=0.8)
    after = what(made)[what(made).index("acquiring") + 1 :]
    assert after[1::2][:-1] == ["the host opens it again"] * MAX_REOPENED
    assert after[-1] == "the host gives up after 4 drops: nobody opens the camera any more"
    assert made.drops_s == [at for at, event in made.events if event in after[0::2]]


def test_u7_a_short_brown_out_is_among_what_mattered() -> None:
    """U7: of a state only the last sample was shown. The stretch of 1 ms has its lowest voltage, too."""
    made = run(minutes=2, cable_ohm=0.8)
    acquiring = [stretch for stretch in made.stretches() if stretch.state == "acquiring"]
    assert len(acquiring) == MAX_REOPENED + 1
    for stretch in acquiring:
        assert stretch.to_s - stretch.from_s == pytest.approx(0.001)
        assert stretch.voltage_v.max < 4.45
    assert sum("acquiring" in line and "1 ms" in line for line in made.lines()) == len(acquiring)


def test_u7_every_state_has_its_lowest_mean_and_highest_values() -> None:
    made = run(minutes=240, ambient_c=58)
    plugged, idle, acquiring, again = made.stretches()
    assert [s.state for s in (plugged, idle, acquiring, again)] == ["plugged in", "idle", "acquiring", "idle"]
    assert (plugged.power_w.min, plugged.power_w.max) == (0.75, 0.75)
    assert plugged.power_w.mean == pytest.approx(0.75)
    assert (round(acquiring.power_w.min, 2), round(acquiring.power_w.max, 2)) == (2.0, 3.6)
    assert acquiring.statuses == ("Ok", "Critical", "Over")
    on_s = sum(
        b.time_s - a.time_s
        for a, b in pairwise(s for s in made.samples if s.state == "acquiring")
        if a.power_w == b.power_w > 3
    )
    part = on_s / (acquiring.to_s - acquiring.from_s)
    assert 0.2 < part < 0.9
    assert acquiring.power_w.mean == pytest.approx(2 + 1.6 * part, abs=0.01)


def test_u7_other_traffic_on_the_bus_keeps_it_cooler() -> None:
    """U7: --bus had no say in the power."""
    busy = run(bus="5gbps,other=400MB/s", minutes=10)
    alone = run(minutes=10)
    busy_w, alone_w = (max(s.power_w for s in made.samples) for made in (busy, alone))
    share = 479 / 2
    assert alone_w == pytest.approx(3.6, abs=0.01)
    assert busy_w == pytest.approx(2.0 + 4.216e-3 * share, abs=0.01)


def test_u7_a_port_that_refuses_the_camera_does_so_in_a_run() -> None:
    """U7: as `run --port-ma 500` does."""
    made = run(minutes=10, port_ma=500)
    assert what(made) == [
        "plugged in",
        "idle",
        "stays unconfigured: the port offers 500 mA, the camera needs 720 mA",
    ]
    assert {s.state for s in made.samples} == {"plugged in"}
    assert max(s.current_ma for s in made.samples) == pytest.approx(150)


def test_hot_air_stops_the_images() -> None:
    made = run(minutes=240, ambient_c=58)
    assert "temperature status Critical" in what(made)
    assert "temperature status Over" in what(made)
    over, cooler = (
        next(at for at, event in made.events if event == f"temperature status {status}")
        for status in ("Over", "Critical")
    )
    assert cooler < over
    # The sensor's power goes with the images, so it never gets much hotter.
    assert max(sample.temperature_c for sample in made.samples) == pytest.approx(80.5, abs=0.05)


def test_a_high_speed_port_carries_what_it_lets_through() -> None:
    made = run(bus="480mbps")
    assert max(sample.current_ma for sample in made.samples) < 500
    assert what(made)[-1] == "idle again"


@pytest.mark.parametrize("supply_v", [12.0, 24.0])
def test_the_current_of_a_gige_camera_is_its_power_over_its_voltage(supply_v: float) -> None:
    made = run("acA4112-8gm", bus="1gbe", supply_v=supply_v)
    busiest = max(made.samples, key=lambda sample: sample.current_ma)
    assert busiest.power_w == pytest.approx(2.7, abs=0.05)
    assert busiest.current_ma == pytest.approx(2700 / supply_v, rel=0.02)


def test_poe_costs_a_little_more() -> None:
    made = run("acA4112-8gm", bus="1gbe", supply_v=48.0)
    assert max(sample.power_w for sample in made.samples) == pytest.approx(3.2, abs=0.05)


def test_the_command(tmp_path: Path) -> None:
    picture = tmp_path / "power.png"
    command = [sys.executable, "-m", "gadget", "power", ACE, "--minutes", "5"]
    done = subprocess.run(
        [*command, "--json", "-o", str(picture)], capture_output=True, text=True, check=True
    )
    made = json.loads(done.stdout)
    assert made["peak_current_ma"] == pytest.approx(704, abs=1)
    assert [s["state"] for s in made["states"]] == ["plugged in", "idle", "acquiring", "idle"]
    assert made["states"][2]["current_ma"].keys() == {"min", "mean", "max"}
    assert {"time_s", "current_ma", "voltage_v", "temperature_c", "state"} <= set(made["samples"][0])
    with Image.open(picture) as image:
        assert image.size[0] == 1000
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "acquiring" in table
