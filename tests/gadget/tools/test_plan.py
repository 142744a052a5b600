import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from PIL import Image

from gadget.budget.bus import parse_bus
from gadget.budget.power import Supply
from gadget.cli.plan import plan_command
from gadget.cli.power import power_command
from gadget.feature_text import parse_camera
from gadget.tools.plan import Machine, default_bus, plan
from tests.gadget.eager import rig
from u3v.errors import GenCPError, Mistake

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
    with pytest.raises(Mistake, match="no such camera, did you mean 'acA4096-40um'"):
        plan(["acA4096-40u"], bus)
    with pytest.raises(ValueError, match="1gbe is an Ethernet bus"):
        plan([ACE], parse_bus("1gbe"))


def test_u7_hot_air_is_told() -> None:
    """U7: at 60 C an ace overheats, and a camera that says nothing of it is outside of its data sheet."""
    ace, ids = plan([ACE, "IDS-IMX412"], parse_bus("10gbps"), Supply(ambient_c=60)).cameras
    assert ace.steady_c == pytest.approx(60 + 8 * 3.52, abs=0.1)
    assert (ace.status, ace.fits) == ("Over", False)
    assert ace.fault == "overheats: on its way to 88 C, its images stop at 81 C"
    assert ids.fault == "too hot: air of 60 C, its data sheet allows a housing of 55 C"
    (warm,) = plan([ACE], parse_bus("5gbps"), Supply(ambient_c=48)).cameras
    assert (warm.status, warm.fits) == ("Critical", True)


def test_u7_a_port_that_refuses_a_camera_does_so_in_a_plan() -> None:
    """U7: `run --port-ma 500` leaves it unconfigured, so it takes nothing of the bus either."""
    (one,) = plan([ACE], parse_bus("5gbps"), Supply(port_ma=500)).cameras
    assert one.fault == "stays unconfigured: the port offers 500 mA, the camera needs 720 mA"
    assert (one.limited_by, one.fps, one.link_share, one.fits) == ("port", 0.0, 0.0, False)
    assert one.current_ma == pytest.approx(150)
    (gige,) = plan(["acA4112-8gm"], parse_bus("1gbe"), Supply(port_ma=100, supply_v=12)).cameras
    assert gige.fps > 9, "it has a supply of its own"


@pytest.mark.parametrize(
    ("camera", "bus", "limit"),
    [
        (f"{ACE}:Width=640", "5gbps", "sensor"),
        (f"{ACE}:ExposureTime=100000", "5gbps", "exposure"),
        (ACE, "5gbps", "throughput limit"),
        (f"{ACE}:DeviceLinkThroughputLimitMode=Off", "5gbps", "link"),
        (f"{ACE}:AcquisitionFrameRateEnable=1,AcquisitionFrameRate=5", "5gbps", "frame rate"),
        (ACE, "5gbps,other=300MB/s", "bus"),
        ("acA4096-11gm", "1gbe", "link"),
        ("VCXG-124M:TriggerMode=On", "1gbe", "image buffer"),
    ],
)
def test_u8_what_limits_a_camera(camera: str, bus: str, limit: str) -> None:
    (one,) = plan([camera], parse_bus(bus)).cameras
    assert one.limited_by == limit


def test_a_machine_that_renders_too_slowly_is_the_limit() -> None:
    """Half of what two cameras want is made, so half of their frames arrive; the limit that is suggested fits."""
    bus = parse_bus("10gbps")
    both = [ACE, f"{ACE}:Width=2048"]
    free = plan(both, bus)
    pixels = [4096 * 2168, 2048 * 2168]
    wanted = sum(camera.fps * px for camera, px in zip(free.cameras, pixels, strict=True))
    slow = plan(both, bus, machine=Machine(wanted / 2))
    assert not slow.fits
    for camera, before in zip(slow.cameras, free.cameras, strict=True):
        assert camera.limited_by == "rendering"
        assert camera.fps == pytest.approx(before.fps / 2)
        assert camera.discarded_per_s == pytest.approx(before.fps / 2)
        assert camera.suggested_limit_bytes_per_s == pytest.approx(camera.bytes_per_s, rel=0.001)
    assert plan(both, bus, machine=Machine(wanted * 1.001)).cameras == free.cameras


def test_a_scene_cache_is_no_limit_and_takes_memory() -> None:
    bus = parse_bus("480mbps")
    (slow,) = plan([ACE], bus, machine=Machine(20e6)).cameras
    assert slow.limited_by == "rendering"
    assert slow.fps == pytest.approx(20e6 / (4096 * 2168))
    cached = plan([ACE], bus, machine=Machine(20e6, 8))
    (one,), (plain,) = cached.cameras, plan([ACE], bus).cameras
    assert (one.fps, one.limited_by, one.fits) == (plain.fps, "link", True)
    assert (one.scene_cache_bytes, plain.scene_cache_bytes) == (8 * 4096 * 2168, 0)
    assert cached.lines()[4:-1] == [
        "scene cache: 8 frames of each camera, 71.0 MB of memory",
        " 1  pixels repeat every 1.78 s",
    ]
    assert cached.as_json()["scene_cache"] == 8


@pytest.mark.parametrize("other", [0, 50, 250])
def test_u8_the_suggested_limits_fit(other: int) -> None:
    """U8: set as suggested, no frame is lost, and nearly the whole bus is used."""
    wanted = [
        ACE,
        f"{ACE}:PixelFormat=Mono12,DeviceLinkThroughputLimitMode=Off",
        f"{ACE}:Height=8,ExposureTime=9000",
    ]
    bus = parse_bus(f"5gbps,other={other}MB/s")
    lossy = plan(wanted, bus)
    suggested = [c.suggestion for c in lossy.cameras]
    assert not lossy.fits
    assert suggested[1].startswith("DeviceLinkThroughputLimitMode=On,DeviceLinkThroughputLimit=")
    assert suggested[2] == ""
    set_so = []
    for text, more in zip(wanted, suggested, strict=True):
        name, chosen = parse_camera(text)
        chosen |= parse_camera(f"{name}:{more}")[1] if more else {}
        set_so.append(f"{name}:{','.join(f'{key}={value}' for key, value in chosen.items())}".rstrip(":"))
    made = plan(set_so, bus)
    assert made.fits
    assert sum(c.link_share for c in made.cameras) + made.other_share == pytest.approx(1, abs=0.002)
    for before, after in zip(lossy.cameras, made.cameras, strict=True):
        assert after.fps == pytest.approx(before.fps, rel=0.002)


def test_u8_no_limit_is_suggested_that_the_camera_does_not_go_down_to() -> None:
    many = [f"{ACE}:Width=64,Height=64,ExposureTime=24"] * 400
    assert {c.suggestion for c in plan(many, parse_bus("480mbps")).cameras} == {""}


def test_u8_the_table_tells_twins_apart() -> None:
    """U8: numbers, settings, what limits each, the temperature in the end, and what to set."""
    lines = plan([ACE, f"{ACE}:Height=1080"], parse_bus("5gbps")).lines()
    rows = [line for line in lines if f"  {ACE}  " in line]
    assert [row.split()[:2] for row in rows] == [["1", ACE], ["2", ACE]]
    assert all(" bus " in row and row.endswith("C Ok") for row in rows)
    assert lines[lines.index(rows[1]) + 1].strip() == "Height=1080"
    assert lines[-3:] == [
        "no frame is lost with these limits:",
        " 1  DeviceLinkThroughputLimit=239500000  (26.97 fps)",
        " 2  DeviceLinkThroughputLimit=239500000  (54.14 fps)",
    ]


def test_the_command(tmp_path: Path) -> None:
    picture = tmp_path / "plan.png"
    command = [sys.executable, "-m", "gadget", "plan", ACE, f"{ACE}:Width=640"]
    done = subprocess.run(
        [*command, "--json", "-o", str(picture)], capture_output=True, text=True, check=True
    )
    assert done.stderr == f"wrote {picture}\n"
    made = json.loads(done.stdout)
    keys = {"number", "name", "acquisition_fps", "fps", "link_share", "discarded_per_s", "power_w"}
    assert [keys <= set(camera) for camera in made["cameras"]] == [True, True]
    assert [camera["limited_by"] for camera in made["cameras"]] == ["throughput limit", "sensor"]
    assert made["bus"] == "5gbps"
    with Image.open(picture) as image:
        assert image.size[0] == 1000
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "it fits" in table
    for path, message in (
        (tmp_path / "no" / "x.png", "there is no directory"),
        (tmp_path / "x.xyz", "plot.png"),
    ):
        wrong = subprocess.run([*command, "-o", str(path)], capture_output=True, text=True, check=False)
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert wrong.stderr.count("\n") == 1 and message in wrong.stderr


def test_u8_exit_code_on_request() -> None:
    """U8: --check makes the answer one that a script can use."""

    def plan_command(*arguments: str) -> int:
        command = [sys.executable, "-m", "gadget", "plan", *arguments]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert plan_command(ACE, ACE, "--bus", "5gbps") == 0
    assert plan_command(ACE, ACE, "--bus", "5gbps", "--check") == 1
    assert plan_command(ACE, "--check") == 0
    assert plan_command(ACE, "--check", "--port-ma", "500") == 1


@pytest.mark.parametrize("command", [plan_command, power_command], ids=["plan", "power"])
def test_u8_help_has_one_default_bus(command: click.Command) -> None:
    said = command.get_help(click.Context(command, max_content_width=200))
    assert "1gbe where the (first) camera is a GigE model" in said
    assert "a bus of its own" not in said


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
