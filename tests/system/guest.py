"""The scenarios that need a kernel with USB. Runs as root inside scripts/uml and scripts/vm, with this Python.

`guest.py TIMES NAME...` plays the named scenarios and writes what each found to NAME.json in $U3V_RIG_OUT:
{"found": ..., "seconds": ...} or {"error": traceback}. It judges nothing: the tests outside do (test_kernel.py).
Scenarios of CLIENTS run while two cameras are plugged in, one after another; ALONE ones plug or serve themselves.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
CLIENTS_DIR = REPOSITORY / "tests/system/clients"
OUT = Path(os.environ.get("U3V_RIG_OUT", "/nonexistent"))
U3V = [sys.executable, "-m", "gadget"]
MODEL = "acA4096-40um"
CHEAP = ["--no-pacing", "--scene", "uniform:photons=20000"]
STATUS = Path("/sys/devices/platform/vhci_hcd.0")
PATIENCE_S = float(os.environ.get("PATIENCE_S", "300"))
PORT_FREE = "004"
CAPTURES = 10
Found = Any


def ran(argv: list[str], patience_s: float = PATIENCE_S) -> Found:
    """A program's exit status and words. One that hangs is ended with all it has started: status -9."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    with subprocess.Popen(argv, text=True, start_new_session=True, **pipes) as program:
        try:
            stdout, stderr = program.communicate(timeout=patience_s)
        except subprocess.TimeoutExpired:
            os.killpg(program.pid, signal.SIGKILL)
            stdout, stderr = program.communicate()
            stderr += f"{argv}: not done after {patience_s} s\n"
    return {"status": program.returncode, "stdout": stdout, "stderr": stderr}


def aravis(*arguments: str) -> list[str]:
    return ["/usr/bin/python3", str(CLIENTS_DIR / "aravis_client.py"), "--virtual", *arguments]


def until(what: str, condition: Callable[[], Any]) -> Any:
    """The kernel tells of no change in sysfs: look until it is there."""
    ends_s = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        if time.monotonic() > ends_s:
            raise TimeoutError(f"{what}: not within {PATIENCE_S} s")
        time.sleep(0.02)
    return value


def used_ports() -> list[str]:
    """Ports of vhci-hcd with something in them, as their hub's kind and their number."""
    rows = [line.split() for path in sorted(STATUS.glob("status*")) for line in path.read_text().splitlines()]
    return [f"{row[0]} {row[1]}" for row in rows if row[0] in ("hs", "ss") and row[2] != PORT_FREE]


def cameras() -> list[dict[str, str]]:
    """What sysfs says of the cameras that are configured."""
    found = []
    for path in sorted(Path("/sys/bus/usb/devices").glob("*/idVendor")):
        try:
            names = (
                "speed",
                "version",
                "bConfigurationValue",
                "bMaxPower",
                "serial",
                "product",
                "busnum",
                "devnum",
            )
            said = {name: (path.parent / name).read_text().strip() for name in names}
            if path.read_text().strip() == "2676" and said["bConfigurationValue"]:
                found.append(said)
        except OSError:  # not all of it is there before the device is configured, or it just went
            continue
    return found


def kernel_messages() -> list[str]:
    """All the kernel said so far: "priority,number,time,...;text" a line."""
    messages = []
    descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            messages.append(os.read(descriptor, 8192).decode(errors="replace").splitlines()[0])
    except BlockingIOError:
        return messages
    finally:
        os.close(descriptor)


def children(pid: int) -> set[int]:
    return {int(n) for path in Path(f"/proc/{pid}/task").glob("*/children") for n in path.read_text().split()}


def commands(word: str) -> list[str]:
    """Command lines that begin with `word`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if text.startswith(word):
            found.append(text)
    return found


@contextmanager
def started(argv: list[str]) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as program:
        try:
            yield program
        finally:
            program.kill()


@contextmanager
def captured(interface: str, name: str, *more: str) -> Iterator[dict[str, int]]:
    """tcpdump's file of what happens meanwhile; afterwards what it had `seen` and `lost` of it."""
    # Ahead of all others: what is not fetched in time is overwritten.
    argv = ["nice", "-n", "-20", "tcpdump", "-i", interface, "-w", str(OUT / name), *more]
    counts: dict[str, int] = {}
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as tcpdump:
        assert tcpdump.stderr is not None
        for line in tcpdump.stderr:
            if "listening on" in line:
                break

        def has_fetched_all() -> bool:
            tcpdump.send_signal(signal.SIGUSR1)
            taken, received, dropped = map(int, re.findall(r"(\d+) packets?", tcpdump.stderr.readline()))
            counts.update(seen=taken, lost=dropped)
            copies = 2 if interface == "lo" else 1  # on its way out and in; tcpdump writes one of them
            return copies * taken >= received

        try:
            yield counts
            until("all that was captured", has_fetched_all)
        finally:
            tcpdump.send_signal(signal.SIGINT)
            tcpdump.wait(PATIENCE_S)


def stopped(program: "subprocess.Popen[str]", how: signal.Signals) -> Found:
    program.send_signal(how)
    stdout, stderr = program.communicate(timeout=PATIENCE_S)
    return {"status": program.returncode, "stdout": stdout, "stderr": stderr}


# --- While two cameras are plugged in.


def enumerated(_times: int) -> Found:
    found = until("two cameras", lambda: len(found := cameras()) == 2 and found)
    return {"cameras": found, "kernel": kernel_messages()[int(os.environ["MESSAGES"]) :]}


def lsusb(_times: int) -> Found:
    camera = cameras()[0]
    return ran(["lsusb", "-v", "-s", f"{camera['busnum']}:{camera['devnum']}"])


def listed(_times: int) -> Found:
    return ran(["arv-tool-0.8"])


def features(_times: int) -> Found:
    return [ran(["arv-tool-0.8", command]) for command in ("features", "values")]


def frames_sync(_times: int) -> Found:
    return ran(aravis("--mode", "sync", "--cases", os.environ["CASES"]))


def frames_async(_times: int) -> Found:
    return ran(aravis("--mode", "async", "--cases", os.environ["CASES"]))


def streams(times: int) -> Found:
    roi = ["--roi", "0", "0", "640", "480", "--count", "2"]
    modes = '[{"mode": "sync"}, {"mode": "async"}]'
    return [
        ran(aravis(*roi, "--cases", modes, "--runs", str(times // 5))),
        ran(aravis(*roi, "--restarts", str(times))),
    ]


def killed(_times: int) -> Found:
    client = ["/usr/bin/python3", str(CLIENTS_DIR / "kill_and_reopen.py"), "1"]
    roi = ["--roi", "0", "0", "1920", "1080", "--count", "10"]
    return [ran([*client, *roi, "--mode", mode]) for mode in ("sync", "async")]


def two_cameras(_times: int) -> Found:
    client = ["/usr/bin/python3", str(CLIENTS_DIR / "two_cameras.py"), "20"]
    return ran([*client, "--busy", "--mode", "async", "--roi", "0", "0", "640", "480", "--buffers", "200"])


def gstreamer(_times: int) -> Found:
    caps = "video/x-raw,format=GRAY8,width=640,height=480"
    return ran(
        f"gst-launch-1.0 -q aravissrc num-buffers=20 ! {caps} ! filesink location=/tmp/gst".split()
    ) | {"bytes": Path("/tmp/gst").stat().st_size}


def viva(_times: int) -> Found:
    return ran([sys.executable, str(CLIENTS_DIR / "viva_client.py"), "--count", "20"])


def pylon(_times: int) -> Found:
    return ran([sys.executable, str(CLIENTS_DIR / "pylon_client.py"), "--count", "50"])


CLIENTS = (
    enumerated,
    lsusb,
    listed,
    features,
    frames_sync,
    frames_async,
    streams,
    killed,
    two_cameras,
    gstreamer,
    viva,
    pylon,
)


# --- With cameras of their own.


def clients(times: int) -> Found:
    """All of CLIENTS that were asked for, with what the kernel said from before the cameras were plugged in."""
    names = json.loads(os.environ["PLAY"])
    inside = [sys.executable, __file__, str(times), *names]
    settings = json.loads(os.environ["SETTINGS"])
    os.environ["MESSAGES"] = str(len(kernel_messages()))
    os.environ["NUMBA_DEBUG_CACHE"] = "1"
    done = ran([*U3V, "plug", f"{MODEL},{MODEL}", *CHEAP, *settings, "--", *inside], 5 * PATIENCE_S)
    return done | {"kernel": kernel_messages()[int(os.environ["MESSAGES"]) :], "ports": used_ports()}


def usbmon(_times: int) -> Found:
    """All that a camera says from its plugging in to its end: again, until nothing of it was lost."""
    client = aravis("--count", "10", "--roi", "0", "0", "640", "480")
    plug = [*U3V, "plug", MODEL, *CHEAP, *json.loads(os.environ["SETTINGS"]), "--", *client]
    lost = []
    for _ in range(CAPTURES):
        with captured("usbmon0", "usbmon.pcap", "-s", "400", "-B", "1000") as counts:
            grabbed = ran(plug)
        lost.append(counts["lost"])
        if not lost[-1]:
            break
    return {"grabbed": grabbed, "lost": lost}


def device_reset(_times: int) -> Found:
    return ran([*U3V, "plug", MODEL, *CHEAP, "--", "/usr/bin/python3", str(CLIENTS_DIR / "reset_client.py")])


def high_speed(_times: int) -> Found:
    plug = [*U3V, "plug", MODEL, *CHEAP, "--pacing", "--speed", "high", "--"]
    return ran([*plug, sys.executable, __file__, "0", "at_high_speed"])


def at_high_speed(_times: int) -> Found:
    grabbed = ran(aravis("--count", "10", "--roi", "0", "0", "640", "480"))
    return {
        "cameras": cameras(),
        "ports": used_ports(),
        "lsusb": ran(["lsusb", "-v", "-d", "2676:"]),
        "grabbed": grabbed,
        "events": ran([sys.executable, str(CLIENTS_DIR / "event_client.py")]),
    }


def weak_port(_times: int) -> Found:
    plug = [*U3V, "plug", MODEL, *CHEAP, "--port-ma", "500", "--"]
    return ran([*plug, sys.executable, __file__, "0", "at_weak_port"]) | {"ports": used_ports()}


def at_weak_port(_times: int) -> Found:
    """The kernel sees the camera and gives up on it."""
    ids = [path.read_text().strip() for path in Path("/sys/bus/usb/devices").glob("*/idVendor")]
    return {"seen": [name for name in ids if name == "2676"], "configured": cameras()}


def usbip_tool(_times: int) -> Found:
    """The stock tool against `u3v serve`, while lo is captured."""
    found: dict[str, Any] = {}
    with (
        captured("lo", "usbip.pcap", "-s", "0", "-B", "100000", "port", "3240"),
        started([*U3V, "serve", MODEL, MODEL, *CHEAP, "--pacing"]) as server,
    ):
        assert server.stdout is not None
        found["said"] = [server.stdout.readline() for _ in range(3)]
        found["list"] = ran(["usbip", "list", "-r", "127.0.0.1"])
        found["attach"] = ran(["usbip", "attach", "-r", "127.0.0.1", "-b", "1-1"])
        found["cameras"] = until("a camera", cameras)
        found["port"] = ran(["usbip", "port"])
        found["again"] = ran(["usbip", "attach", "-r", "127.0.0.1", "-b", "1-1"])
        found["grabbed"] = ran(aravis("--count", "10", "--roi", "0", "0", "640", "480"))
        (used,) = used_ports()
        found["detach"] = ran(["usbip", "detach", "-p", used.split()[1]])
        found["gone"] = until("the port free again", lambda: not used_ports())
        found["listed again"] = ran(["usbip", "list", "-r", "127.0.0.1"])
        for how in (signal.SIGTERM, signal.SIGKILL):  # with a camera attached
            if how is signal.SIGKILL:
                server = subprocess.Popen(
                    server.args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
                )
                server.stdout.readline()
            ran(["usbip", "attach", "-r", "127.0.0.1", "-b", "1-1"])
            until("a camera", cameras)
            found[how.name] = stopped(server, how)
            until("the port free again", lambda: not used_ports())
    return found


def plug_ends(_times: int) -> Found:
    """Signals at `u3v plug`, with a command and without."""
    found = []
    for how, command in (
        (signal.SIGINT, []),
        (signal.SIGTERM, ["--", "sleep", "12345"]),
        (signal.SIGKILL, ["--", "sleep", "12345"]),
    ):
        with started([*U3V, "plug", MODEL, *CHEAP, *command]) as plug:
            # With a command the signal may well come before that runs: then it never does.
            until("a camera", cameras)
            ended = stopped(plug, how)
        until("the port free again", lambda: not used_ports())
        until("no command left", lambda: not commands("sleep 12345"))
        found.append({"how": how.name, "command": bool(command), **ended})
    return found


def nobody(_times: int) -> Found:
    """`u3v run` by uid 65534 without any capability, where the kernel shows no USB at all."""
    drop = "setpriv --no-new-privs --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all --inh-caps=-all"
    hide = "mount -t tmpfs none /sys && mount -t tmpfs none /dev/bus && ls -A /sys /dev/bus && "
    look = "id -u; grep CapEff /proc/self/status; arv-tool-0.8; exec " + " ".join(
        aravis("--count", "20", "--roi", "0", "0", "640", "480")
    )
    run = [*U3V, "run", MODEL, *CHEAP, "--", "sh", "-c", look]
    return ran(["unshare", "-m", "sh", "-c", f'{hide} HOME=/nonexistent exec {drop} "$@"', "sh", *run])


SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (
        *CLIENTS,
        clients,
        usbmon,
        device_reset,
        high_speed,
        at_high_speed,
        weak_port,
        at_weak_port,
        usbip_tool,
        plug_ends,
        nobody,
    )
}


def main() -> int:
    times, *names = sys.argv[1:]
    failed = 0
    for name in names:
        began_s = time.monotonic()
        try:
            result = {"found": SCENARIOS[name](int(times))}
        except Exception:  # whatever it is, the test of this scenario shall show it
            result = {"error": traceback.format_exc()}
            failed = 1
        seconds = round(time.monotonic() - began_s, 1)
        (OUT / f"{name}.json").write_text(json.dumps(result | {"seconds": seconds}))
    return failed


if __name__ == "__main__":
    sys.exit(main())
