"""A timing diagram and a VCD of what cameras did: the same instants as their frames have."""

from pathlib import Path

import pytest

from gadget import Bench, VirtualCamera
from gadget.cli.main import main
from gadget.tools.timing import Mark, Timeline, Trace, to_vcd
from u3v.errors import Mistake

LINE1 = {"Width": 64, "Height": 32, "ExposureTime": 1000, "TriggerMode": "On", "TriggerSource": "Line1"}


def test_what_is_on_the_screen_is_what_happened() -> None:
    with VirtualCamera("acA4096-40um", **LINE1) as camera:
        with camera.acquire() as frames, camera.scope() as scope:
            camera.lines["Line1"].pulse(us=50, times=2, every_us=10_000)
            stamps = [frames.next().timestamp_ns for _ in range(2)]
        timeline = scope.timeline()
        traces = {trace.name: trace.pulses(timeline.begin_ns, timeline.end_ns) for trace in timeline.traces}
    assert traces["Exposure"] == [(at_ns, at_ns + 1_000_000) for at_ns in stamps]
    assert traces["Line1"] == [(at_ns, at_ns + 50_000) for at_ns in stamps]
    assert [begin for begin, _ in traces["Readout"]] == [at_ns + 1_000_000 for at_ns in stamps]
    assert all(begin < end for begin, end in traces["Transfer"])
    assert [(mark.what, mark.at_ns) for mark in timeline.marks] == [("FrameTrigger", at) for at in stamps]


def test_a_vcd_as_ieee_1364_has_it() -> None:
    """Two signals and an event of one camera, one of which was high from the beginning."""
    line = Trace("cam 1", "Line1", changes=[(1_100, True), (1_150, False)])
    ready = Trace("cam 1", "Ready", initial=True, changes=[(1_100, False), (9_000, True)])
    text = to_vcd(Timeline([line, ready], [Mark("cam 1", "FrameTrigger", 1_100)], 1_000, 2_000))
    assert text.split("\n") == [
        *("$timescale 1 ns $end", "$scope module cam_1 $end"),
        *("$var wire 1 ! Line1 $end", '$var wire 1 " Ready $end', "$var event 1 # FrameTrigger $end"),
        *("$upscope $end", "$enddefinitions $end"),
        *("#0", "$dumpvars", "0!", '1"', "$end"),
        *("#100", "1!", '0"', "1#", "#150", "0!", "#1000", ""),
    ]


def test_many_signals_have_codes_of_their_own() -> None:
    traces = [Trace("a", f"s{number}") for number in range(9000)]
    codes = [line.split()[3] for line in to_vcd(Timeline(traces, [], 0, 1)).splitlines() if "$var" in line]
    assert len(set(codes)) == 9000
    assert all(33 <= ord(c) <= 126 for code in codes for c in code)


@pytest.mark.parametrize("suffix", ["png", "svg", "vcd"])
def test_the_command_draws_two_wired_cameras(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"timing.{suffix}"
    words = (
        "u3v scope acA4096-40um:Width=64,Height=32 VCXG-124M:Width=64,Height=32,TriggerMode=On,TriggerSource=Line0"
        " --output-shows 0:Line2=ExposureActive --wire 0:Line2=1:Line0 --for 5ms -o"
    )
    monkeypatch.setattr("sys.argv", [*words.split(), str(path)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0, capsys.readouterr().err
    data = path.read_bytes()
    assert data.startswith({"png": b"\x89PNG", "svg": b"<?xml", "vcd": b"$timescale"}[suffix])
    if suffix != "png":
        assert b"VCXG" in data and b"FrameTrigger" in data


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--pulse Line9:us=5", "acA4096-40um has no line 'Line9'"),
        ("--pulse 3:Line1:us=5", "'3:Line1': no camera 3"),
        ("--pulse Line1", "'Line1' is not of the form"),
        ("--pulse Line1:uss=5", "'uss=5' is not of us="),
        ("--wire Line1=Line3", "Line1 is an input"),
        ("--for 10", "'10' is no duration without a unit: 10ms or 10s?"),
        ("-o timing.xyz", "timing.xyz: a plot is a file such as"),
    ],
)
def test_mistakes_are_one_line(
    words: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["u3v", "scope", "acA4096-40um", *words.split()])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_a_file_that_cannot_be_written() -> None:
    with Bench("acA4096-40um") as bench, bench.scope() as scope:
        pass
    with pytest.raises(Mistake, match=r"^/nowhere/x\.vcd: No such file"):
        scope.save("/nowhere/x.vcd")
