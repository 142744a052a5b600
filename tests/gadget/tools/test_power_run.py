import json
import subprocess
import sys
import time
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


def test_hot_air_stops_the_images() -> None:
    made = run(minutes=240, ambient_c=58)
    assert "temperature status Critical" in what(made)
    assert "temperature status Over" in what(made)
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
    assert {"time_s", "current_ma", "voltage_v", "temperature_c", "state"} <= set(made["samples"][0])
    with Image.open(picture) as image:
        assert image.size[0] == 1000
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "acquiring" in table
