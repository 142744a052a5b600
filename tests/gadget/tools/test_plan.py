import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from gadget.budget.bus import parse_bus
from gadget.budget.power import Supply
from gadget.feature_text import parse_camera
from gadget.tools.plan import default_bus, draw_plan, plan
from tests.gadget.eager import rig
from u3v.errors import GenCPError, ModelError

ACE = "acA4096-40um"
SECOND = 10**9


def test_one_camera_has_its_printed_rate() -> None:
    (one,) = plan([f"{ACE}:DeviceLinkThroughputLimitMode=Off"], parse_bus("5gbps")).cameras
    assert f"{one.fps:.1f}" == "42.7"
    assert (one.offered_fps, one.discarded_per_s, one.fits) == (one.fps, 0.0, True)
    assert one.acquisition_fps == pytest.approx(47.67, abs=0.01)
    assert one.power_w == pytest.approx(3.6, abs=0.01)
    assert one.link_share == pytest.approx(379.5 / 479, abs=1e-4)


def test_two_on_one_bus_get_half_each() -> None:
    made = plan([ACE, ACE], parse_bus("5gbps"))
    assert not made.fits
    for camera in made.cameras:
        assert camera.link_share == pytest.approx(0.5)
        assert camera.fps == pytest.approx(479e6 / 2 / 8880128)
        assert camera.fps + camera.discarded_per_s == pytest.approx(camera.offered_fps)
    assert plan([ACE, ACE], parse_bus("10gbps")).fits


@pytest.mark.parametrize(
    ("models", "bus"),
    [
        (3, "5gbps"),
        (2, "5gbps,other=60MB/s"),
        (1, "5gbps,other=200MB/s"),
        (4, "10gbps"),
        (1, "480mbps"),
    ],
)
def test_what_is_planned_is_what_happens(models: int, bus: str) -> None:
    """The real cores on a simulated bus, once their memory is full."""
    settings = {"Width": 2048, "ExposureTime": 1000.0}
    text = f"{ACE}:" + ",".join(f"{k}={v}" for k, v in settings.items())
    made = plan([text] * models, parse_bus(bus))
    time, hosts = rig([ACE] * models, bus, **settings)
    time.advance(3 * SECOND)
    before = [(h.payload_bytes, h.camera.frames.discarded, h.camera.frames.offered) for h in hosts]
    time.advance(4 * SECOND)
    for host, (bytes_, lost, offered), planned in zip(hosts, before, made.cameras, strict=True):
        stream = host.camera.frames
        assert (host.payload_bytes - bytes_) / 4 == pytest.approx(planned.bytes_per_s, rel=0.02)
        assert (stream.discarded - lost) / 4 == pytest.approx(planned.discarded_per_s, abs=0.8)
        assert (stream.offered - offered) / 4 == pytest.approx(planned.offered_fps, abs=0.5)


def test_exposure_and_frame_rate_count() -> None:
    slow, set_ = plan(
        [f"{ACE}:ExposureTime=100000", f"{ACE}:AcquisitionFrameRateEnable=1,AcquisitionFrameRate=5"],
        parse_bus("5gbps"),
    ).cameras
    assert slow.fps == pytest.approx(10, abs=0.01)
    assert set_.fps == pytest.approx(5)
    assert set_.acquisition_fps == pytest.approx(5)


def test_a_weak_supply_is_told() -> None:
    (one,) = plan([ACE], parse_bus("5gbps"), Supply(cable_ohm=1.0)).cameras
    assert one.fault.startswith("brown-out: 4.")
    assert not one.fits


def test_settings_are_checked() -> None:
    assert parse_camera("X:A=1,B=2") == ("X", {"A": "1", "B": "2"})
    assert default_bus([ACE]) == "5gbps"
    bus = parse_bus("5gbps")
    with pytest.raises(ValueError, match=r"no feature 'Widht', did you mean 'Width'\?"):
        plan([f"{ACE}:Widht=3"], bus)
    with pytest.raises(GenCPError, match="Width = 3"):
        plan([f"{ACE}:Width=3"], bus)
    with pytest.raises(ModelError, match="no such camera, did you mean 'acA4096-40um'"):
        plan(["acA4096-40u"], bus)
    with pytest.raises(ValueError, match="1gbe is an Ethernet bus"):
        plan([ACE], parse_bus("1gbe"))


def test_the_picture_shows_what_is_lost() -> None:
    lossless = draw_plan(plan([f"{ACE}:Height=500"], parse_bus("5gbps"))).getcolors(1 << 20)
    lossy = draw_plan(plan([ACE, ACE], parse_bus("5gbps"))).getcolors(1 << 20)
    assert lossless is not None and lossy is not None
    assert (214, 39, 40) not in [colour for _, colour in lossless]
    assert (214, 39, 40) in [colour for _, colour in lossy]


def test_the_command(tmp_path: Path) -> None:
    picture = tmp_path / "plan.png"
    command = [sys.executable, "-m", "gadget", "plan", ACE, f"{ACE}:Width=640"]
    done = subprocess.run(
        [*command, "--json", "-o", str(picture)], capture_output=True, text=True, check=True
    )
    made = json.loads(done.stdout)
    keys = {"name", "acquisition_fps", "fps", "link_share", "discarded_per_s", "power_w"}
    assert [keys <= set(camera) for camera in made["cameras"]] == [True, True]
    assert made["bus"] == "5gbps"
    with Image.open(picture) as image:
        assert image.size[0] == 1000
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "it fits" in table
    wrong = subprocess.run(
        [*command, "-o", str(tmp_path / "no" / "x.png")], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("settings", "acquisition", "interface"),
    [
        ("Width=3840,Height=2160", 20, 14),
        ("Width=1920,Height=1080", 40, 40),
        ("Width=640,Height=480", 86, 86),
        ("Width=320,Height=240", 157, 157),
        ("Height=2048", 22, 14),
        ("Height=512", 81, 58),
        ("Height=128", 252, 235),
        ("Height=8", 728, 728),
        ("Height=1", 817, 817),
    ],
)
def test_the_printed_table_of_the_vcxg_124m(settings: str, acquisition: int, interface: int) -> None:
    """Baumer's data sheet: partial scan at the shortest exposure; the figures there are truncated."""
    (one,) = plan([f"VCXG-124M:{settings},ExposureTime=1"], parse_bus("1gbe")).cameras
    assert (int(one.acquisition_fps), int(one.fps)) == (acquisition, interface)


def test_fast_ethernet_is_a_tenth() -> None:
    (fast,) = plan(["acA4096-11gm"], parse_bus("1gbe")).cameras
    (slow,) = plan(["acA4096-11gm"], parse_bus("100mbe")).cameras
    assert f"{fast.fps:.1f}" == "13.1"
    assert 9 < fast.fps / slow.fps < 11
    assert slow.discarded_per_s == 0
