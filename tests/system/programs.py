"""Programs as a person runs them, each in a session of its own, so that nothing of one outlives its test."""

import functools
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

REPOSITORY = Path(__file__).parents[2]
CLIENTS = REPOSITORY / "tests/system/clients"
SYSTEM_PYTHON = "/usr/bin/python3"
U3V = [sys.executable, "-m", "gadget"]
MODEL = "acA4096-40um"
PATIENCE_S = 600
HALF_A_REGISTER = "< READMEM_ACK [U3VCP_Capability_Register][Malformed Packet]"

SIZES = {
    "640x480": [0, 0, 640, 480],
    "1920x1080": [0, 0, 1920, 1080],
    "odd": [12, 7, 1004, 601],
    "full": [0, 0, 4096, 2168],
}
FORMATS = ("Mono8", "Mono12p")
CASES = {f"{size} {name}": {"roi": roi, "format": name} for size, roi in SIZES.items() for name in FORMATS}


def lacking(what: str) -> NoReturn:
    """A capability is missing: the test is skipped, which tests/conftest.py does not accept in CI."""
    pytest.skip(f"needs {what}")


def need(*programs: str) -> None:
    """Programs that must be installed."""
    for program in programs:
        if shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None:
            lacking(program)


def need_aravis() -> None:
    need("arv-tool-0.8", SYSTEM_PYTHON)
    script = 'import gi; gi.require_version("Aravis", "0.8"); from gi.repository import Aravis'
    if subprocess.run([SYSTEM_PYTHON, "-c", script], capture_output=True).returncode:
        lacking("Aravis for the system's Python (gir1.2-aravis-0.8, python3-gi)")


def ready_rig(name: str) -> Path:
    """The script `uml` or `vm`, its kernel built."""
    script = REPOSITORY / "scripts" / name
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        lacking("an x86_64 Linux")
    built = subprocess.run([script, "--build"], capture_output=True, text=True)
    if built.returncode == 2:
        lacking(built.stderr.splitlines()[-1])
    assert built.returncode == 0, built.stderr
    _compile()
    return script


@functools.cache
def _compile() -> None:
    """A guest sees these files read-only: what Python compiles there is lost, and an emulated processor takes long."""
    packages = ("gadget", "u3v", "frames", "tests/system")
    subprocess.run([sys.executable, "-m", "compileall", "-q", *packages], cwd=REPOSITORY, check=True)


def machine_code(rig: str) -> dict[str, str]:
    """What numba must know here, to make the machine code that it finds in a guest of this rig."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "u3v"
    any_processor = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    return {
        "uml": {"NUMBA_CACHE_DIR": str(cache / "numba")},
        "vm": {"NUMBA_CACHE_DIR": str(cache / "numba-vm")} | any_processor,
    }[rig]


def start(argv: Sequence[str | Path], **options: Any) -> "subprocess.Popen[str]":
    """A program with pipes, the leader of a session."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(
        [str(word) for word in argv], text=True, start_new_session=True, **(pipes | options)
    )


def end(program: "subprocess.Popen[Any]") -> None:
    """Whatever is left of a program that `start` began."""
    try:
        os.killpg(program.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    program.wait()


def run(
    argv: Sequence[str | Path],
    env: Mapping[str, str] | None = None,
    cwd: Path = REPOSITORY,
    patience_s: float = PATIENCE_S,
) -> "subprocess.CompletedProcess[str]":
    """A program from start to end. Fails where it hangs."""
    with start(
        argv, env=None if env is None else os.environ | env, cwd=cwd, stdin=subprocess.DEVNULL
    ) as program:
        try:
            stdout, stderr = program.communicate(timeout=patience_s)
        except subprocess.TimeoutExpired:
            end(program)
            stdout, stderr = program.communicate()
            pytest.fail(f"{argv} hangs after {patience_s} s:\n{stdout}\n{stderr}")
        finally:
            end(program)
    return subprocess.CompletedProcess(argv, program.returncode, stdout, stderr)


def u3v(*arguments: str | Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    """The command line, whatever it answers."""
    return run([*U3V, *arguments], **options)


def with_camera(
    client: Sequence[str | Path], *options: str | Path, models: str = MODEL, **more: Any
) -> "subprocess.CompletedProcess[str]":
    """A client under `u3v run`. Fails where the client does."""
    done = u3v("run", models, *options, "--", *client, **more)
    assert done.returncode == 0, f"{client} gave {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done


def on_own_network(
    *words: str | Path, models: tuple[str, ...] = ("acA4096-11gm",)
) -> "subprocess.CompletedProcess[str]":
    """A client on a network with GigE cameras. Fails where the client does."""
    need("unshare", "nsenter", "setpriv", "ip")
    done = u3v("run", *models, "--wire", "gige", "--", *words)
    assert done.returncode == 0, f"{words} gave {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done


def aravis(*arguments: str) -> list[str]:
    return [SYSTEM_PYTHON, str(CLIENTS / "aravis_client.py"), "--virtual", *arguments]


def objects(text: str) -> list[Any]:
    """The JSON objects, one a line."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def check_aravis(results: Iterable[Mapping[str, Any]], count: int) -> None:
    """What every Aravis case must show. 0.8.26 counts an underrun each time its asynchronous thread looks
    for a buffer in vain, so in that mode the number says nothing."""
    for result in results:
        assert result["bad"] == [], result
        assert result["frames"] == count, result
        assert (result["first_id"], result["gaps"], result["backwards"]) == (0, 0, 0), result
        assert (result["failures"], result["discarded"]) == (0, 0), result
        # It counts a frame after it has handed it over.
        assert result["completed"] >= count - 1 and result["delivered"] >= count - 1, result
        assert result["mode"] == "async" or result["underruns"] == 0, result


def check_pylon(result: Mapping[str, Any], count: int) -> None:
    """pylon gives some frames of cameras it does not know to the application as incompletely grabbed
    (0xE200010A), although its own statistics count them as good; nothing else may go wrong."""
    assert (result["vendor"], result["model"]) == ("Basler", MODEL), result
    assert result["nodes"] > 200 and result["bad_nodes"] == [], result
    assert (result["frames"], result["gaps"]) == (count, 0), result
    assert set(result["errors"]) <= {"E200010A"} and result["error_count"] <= 0.12 * count, result
    assert result["statistics"] == {
        "Statistic_Total_Buffer_Count": count,
        "Statistic_Failed_Buffer_Count": 0,
        "Statistic_Missed_Frame_Count": 0,
        "Statistic_Resynchronization_Count": 0,
    }, result


def check_lsusb(text: str, complaints: str, speed: str = "super") -> None:
    """lsusb -v of one camera: whole, and nothing it could not read. The class-specific descriptor (0x24) is
    one it prints as bytes; at High-Speed there are no companions."""
    assert complaints == ""
    for line in (
        "bNumConfigurations      1",
        "bNumInterfaces          3",
        "bFunctionClass        239",
        "iFunction               9 USB3 Vision Device",
        "bEndpointAddress     0x01  EP 1 OUT",
        "bEndpointAddress     0x81  EP 1 IN",
        "bEndpointAddress     0x82  EP 2 IN",
        "bEndpointAddress     0x83  EP 3 IN",
        "Binary Object Store Descriptor:",
        "SuperSpeed USB Device Capability:",
        "Device Status:     0x0000",
    ):
        assert line in text, f"{line!r} is not in\n{text}"
    assert text.count("UNRECOGNIZED") == text.count("** UNRECOGNIZED:  14 24 01 ") == 1
    assert text.count("bMaxBurst ") == (4 if speed == "super" else 0)
    low = text.lower()
    for word in (
        "warning",
        "error",
        "can't",
        "cannot",
        "could not",
        "couldn't",
        "unable",
        "invalid",
        "(null)",
        "junk",
        "incorrect",
    ):
        assert word not in low, f"{word!r} in\n{text}"


def check_events(events: Sequence[Mapping[str, Any]]) -> None:
    """What event_client.py prints: a test event, then each frame's start and end of exposure."""
    assert [event["event"] for event in events] == ["Test"] + ["FrameStart", "ExposureEnd"] * 3
    assert {(event["magic"], event["command"]) for event in events} == {("0x45563355", "0xc00")}  # "U3VE"
    assert [event["request_id"] for event in events] == list(range(1, 8))
    assert all(event["length"] and event["reserved"] == 0 for event in events)
    assert {len(bytes.fromhex(event["data"])) for event in events} == {8}  # the frame's id
    stamps = [event["timestamp"] for event in events]
    assert stamps == sorted(stamps)
    for start, stop in zip(events[1::2], events[2::2], strict=True):
        assert stop["timestamp"] - start["timestamp"] == 10_000_000  # the exposure time


def tshark(path: Path, wanted: str, *fields: str, options: tuple[str, ...] = ()) -> list[list[str]]:
    """The fields of the packets that the display filter `wanted` lets through."""
    need("tshark")
    columns = [word for field in fields for word in ("-e", field)]
    done = subprocess.run(
        ["tshark", "-r", path, *options, "-Y", wanted, "-T", "fields", *columns],
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.split("\t") for line in done.stdout.splitlines()]


def check_capture(path: Path, frames: int, usbip: bool = False) -> None:
    """A capture of an Aravis client's `frames` frames of 640x480, Mono8. Aravis reads 4 of the 8 bytes of the
    U3VCP capability register, which is the one thing that the dissector may call malformed.

    `usbip`: of TCP port 3240. There Wireshark 4.0 takes the second message of a segment for one of another
    conversation (packet-usbip.c asks after the USB dissector has changed the addresses), so it sees no data
    in it and finds its way again only later: some messages are not seen, or not as U3V.
    """
    options = ("-d", "tcp.port==3240,usbip") if usbip else ()
    bad = "_ws.malformed && u3v" if usbip else "_ws.malformed"
    malformed = tshark(path, bad, "_ws.col.Info", "u3v.gencp.payloadlength", options=options)
    assert {tuple(row) for row in malformed} <= {(HALF_A_REGISTER, "0x0004")}
    size = "u3v.stream.leader_size"
    leaders = tshark(path, size, "u3v.stream.block_id", size, options=options)
    size = "u3v.stream.trailer_size"
    fields = (size, "u3v.stream.status", "u3v.stream.valid_payload_size")
    trailers = tshark(path, size, "u3v.stream.block_id", *fields, options=options)
    for rows in (leaders, trailers):
        ids = [int(row[0]) for row in rows]
        if usbip:
            assert len(set(ids) & set(range(frames))) >= frames // 3, ids
        else:
            assert ids[:frames] == list(range(frames))
    assert {row[1] for row in leaders} == {"52"}
    assert {row[1] for row in trailers} == {"32"}
    assert {int(row[2], 0) for row in trailers} == {0}
    assert {int(row[3], 0) for row in trailers} == {640 * 480}
    assert len(tshark(path, "u3v.gencp.status", "frame.number", options=options)) > 50
