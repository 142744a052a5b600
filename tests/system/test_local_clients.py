"""Real libusb programs see the toy function over the local transport, with either preload library."""

import os
import re
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from gadget.local.build import find_umockdev
from gadget.usb.device import UsbDevice
from tests.gadget.local.rig import PATIENCE_S, REPOSITORY, Rig, expect, python
from tests.gadget.toy import IDENTITY, Toy
from tests.system.programs import lacking, need

pytestmark = pytest.mark.patient
BOTH = ("own", "umockdev")


@pytest.fixture(params=BOTH)
def preload(request: pytest.FixtureRequest) -> str:
    if request.param == "umockdev" and find_umockdev() is None:
        lacking("libumockdev-preload (package umockdev)")
    need("lsusb", "cc", "pkg-config", "setpriv")
    return str(request.param)


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig(UsbDevice(Toy(), paced=False)) as rig:
        yield rig


def test_lsusb_finds_nothing_to_complain_about(rig: Rig, preload: str) -> None:
    text = rig.run(["lsusb", "-v"], preload)
    # The name behind the id is the hardware database's, where this machine has one.
    assert re.search(
        r"^Bus 001 Device 002: ID 1209:0001 (Toy Toy One|Generic pid\.codes Test PID)$", text, re.M
    )
    for line in (
        "MaxPower              400mA",
        "iFunction               9 USB3 Vision Device",
        "Device Status:     0x0000",
    ):
        assert line in text
    assert not re.search("error|warning|can't|could|unable|invalid", text, re.IGNORECASE)


@pytest.mark.parametrize("check", ["enumerate", "sync", "stall", "timeout", "cancel", "integrity", "reopen"])
def test_libusb1(rig: Rig, preload: str, check: str) -> None:
    assert "done" in rig.run(python("usb1_client.py", check), preload)


def test_fork_and_vfork(rig: Rig) -> None:
    rig.run(python("usb1_client.py", "fork"), "own")


def test_what_the_preload_library_promises(rig: Rig) -> None:
    """Paths, duplicates, threads, signals: each on the system calls themselves."""
    assert "done" in rig.run(python("files_client.py"), "own")
    assert rig.call(lambda: len(rig.nodes[0].handles)) == 0


def test_pyusb(rig: Rig, preload: str) -> None:
    script = """
import usb.core, usb.util
device = usb.core.find(idVendor=0x1209)
assert device.product == "Toy One" and device.serial_number == "SER1"
device.set_configuration()
assert device.write(0x01, b"hello") == 5
assert bytes(device.read(0x81, 64)) == b"hello"
assert bytes(device.read(0x83, 1 << 20)) == bytes(range(256)) * 4096
assert device.ctrl_transfer(0x80, 8, 0, 0, 1)[0] == 1
usb.util.dispose_resources(device)
"""
    rig.run([sys.executable, "-c", script], preload)


def test_a_second_claimer_is_busy(rig: Rig, preload: str) -> None:
    with rig.start(python("usb1_client.py", "busy"), preload) as holder:
        expect(holder, "ready")
        rig.run(python("usb1_client.py", "second"), preload)
        holder.communicate("go on\n", timeout=PATIENCE_S)
    assert holder.returncode == 0
    rig.run(python("usb1_client.py", "sync"), preload)


def test_the_next_client_is_fine_after_a_kill(rig: Rig, preload: str) -> None:
    for _ in range(3):
        with rig.start(python("usb1_client.py", "stream_forever"), preload) as client:
            expect(client, "ready")
            client.kill()
    rig.run(python("usb1_client.py", "sync"), preload)
    assert rig.call(lambda: len(rig.nodes[0].handles)) == 0


def test_unplug(rig: Rig, preload: str) -> None:
    with rig.start(python("usb1_client.py", "unplug"), preload) as client:
        expect(client, "ready")
        rig.call(lambda: rig.server.unplug(rig.nodes[0]))
        expect(client, "done")


def test_hotplug(rig: Rig, preload: str) -> None:
    with rig.start(python("usb1_client.py", "hotplug"), preload) as client:
        expect(client, "ready")
        rig.call(lambda: rig.server.unplug(rig.nodes[0]))
        rig.call(lambda: rig.server.plug(UsbDevice(Toy(), paced=False)))
        expect(client, "done")


@pytest.mark.parametrize("check", ["enumerate", "sync", "unplug", "hotplug"])
def test_libusb_without_udev(rig: Rig, check: str, tmp_path: Path) -> None:
    """The libusb of the libusb-package wheel learns of hotplug from the kernel's netlink socket."""
    package = pytest.importorskip("libusb_package", reason="needs libusb-package")
    library = tmp_path / "libusb-1.0.so.0"
    library.symlink_to(package.get_library_path())
    with rig.start(python("usb1_client.py", check), "own", {"LD_LIBRARY_PATH": str(tmp_path)}) as client:
        if check in ("unplug", "hotplug"):
            expect(client, "ready")
            rig.call(lambda: rig.server.unplug(rig.nodes[0]))
        if check == "hotplug":
            rig.call(lambda: rig.server.plug(UsbDevice(Toy(), paced=False)))
        expect(client, "done")


def test_two_cameras_at_once(preload: str) -> None:
    with Rig(UsbDevice(Toy(), paced=False), UsbDevice(Toy(), paced=False)) as rig:
        text = rig.run(["lsusb"], preload)
        assert sorted(re.findall(r"Device (\d+): ID 1209:0001", text)) == ["002", "003"]
        clients = [
            rig.start(python("usb1_client.py", "integrity"), preload, {"TOY_ADDRESS": address})
            for address in ("2", "3")
        ]
        rig.run(["lsusb", "-v"], preload)
        for client in clients:
            with client:
                expect(client, "done")


BENCH = r"""
#include <libusb.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static long total; static int live, stop, bad;
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static void done(struct libusb_transfer *t) {
    if (t->status || t->actual_length != t->length || t->buffer[200] != 200) bad++;
    total += t->actual_length;
    if (stop || bad || libusb_submit_transfer(t)) live--;
}
int main(void) {
    libusb_context *context; libusb_init(&context);
    libusb_device_handle *handle = libusb_open_device_with_vid_pid(context, 0x1209, 1);
    if (!handle || libusb_claim_interface(handle, 2)) return 1;
    for (int i = 0; i < 8; i++) {
        struct libusb_transfer *t = libusb_alloc_transfer(0);
        libusb_fill_bulk_transfer(t, handle, 0x83, malloc(1 << 20), 1 << 20, done, NULL, 0);
        if (libusb_submit_transfer(t)) return 2;
        live++;
    }
    double start = now();
    while (now() - start < 1.0) libusb_handle_events(context);
    double seconds = now() - start; long sum = total;
    for (stop = 1; live;) libusb_handle_events(context);
    printf("%.0f\n", sum / seconds / 1e6);
    return bad != 0;
}
"""


@pytest.mark.alone
def test_throughput_of_a_c_client(rig: Rig, preload: str, tmp_path: Path) -> None:
    """8 requests of 1 MiB in flight: well above what USB 3.0 carries (450 MB/s)."""
    source, program = tmp_path / "bench.c", tmp_path / "bench"
    source.write_text(BENCH)
    command = f"cc -O2 -o {program} {source} $(pkg-config --cflags --libs libusb-1.0)"
    built = subprocess.run(command, shell=True, capture_output=True, text=True)
    if built.returncode:
        lacking(f"libusb-1.0's headers: {built.stderr.splitlines()[0]}")
    speed_mb_s = max(int(rig.run([str(program)], preload)) for _ in range(2))
    print(f"{preload}: {speed_mb_s} MB/s")
    assert speed_mb_s > 900


RUN = f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
from gadget.usb.device import UsbDevice
from gadget.local.launch import LaunchError, run_local
from tests.gadget.toy import Toy
try:
    sys.exit(run_local([UsbDevice(Toy(), paced=False)], sys.argv[2:], sys.argv[1]))
except LaunchError as error:
    print(error, file=sys.stderr)
    sys.exit(error.status)
"""


def test_as_a_user_without_any_right(preload: str) -> None:
    """uid nobody, no groups, no capabilities, no new privileges, no home."""
    drop = ["setpriv", "--no-new-privs"]
    if os.getuid() == 0:
        drop += ["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]
    interpreter = next(
        (
            candidate
            for candidate in (sys.executable, "/usr/bin/python3")
            if not subprocess.run([*drop, "sh", "-c", f"test -x {candidate}"]).returncode
        ),
        None,
    )
    if interpreter is None:
        lacking("a Python that nobody may execute")
    done = subprocess.run(
        [*drop, interpreter, "-c", RUN, preload]
        + [interpreter, *python("usb1_client.py", "enumerate", "sync", "cancel")[1:]],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": sysconfig.get_path("purelib")},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        cwd="/",
    )
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_go_to_the_client_and_nothing_stays(number: signal.Signals) -> None:
    script = "trap 'exit 42' TERM INT HUP; echo $U3V_LOCAL_DIR; while :; do sleep 0.05; done"
    with subprocess.Popen(
        [sys.executable, "-c", RUN, "own", "sh", "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as launcher:
        assert launcher.stdout is not None
        directory = Path(launcher.stdout.readline().strip())
        assert directory.is_dir()
        launcher.send_signal(number)
        assert launcher.wait(PATIENCE_S) == 42
    assert not directory.exists()


@pytest.mark.parametrize(
    ("argv", "status", "says"),
    [
        (["sh", "-c", "exit 7"], 7, ""),
        (["sh", "-c", "kill -9 $$"], 137, ""),
        (["no-such-program"], 127, "no-such-program: command not found\n"),
        (["/etc/passwd"], 126, "/etc/passwd: not executable\n"),
    ],
)
def test_exit_status(argv: list[str], status: int, says: str) -> None:
    done = subprocess.run([sys.executable, "-c", RUN, "own", *argv], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (status, says)


def test_when_the_launcher_is_killed_its_client_gets_errors_not_a_crash() -> None:
    """Requests end with NO_DEVICE; nobody aborts the client."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN, "own", *python("usb1_client.py", "unplug")],
        stdout=subprocess.PIPE,
        text=True,
    ) as launcher:
        expect(launcher, "ready")
        launcher.kill()
        expect(launcher, "done")  # printed by the client, which holds the pipe


def test_identity_is_what_the_function_says(preload: str) -> None:
    identity = IDENTITY.__class__(
        **{f: getattr(IDENTITY, f) for f in IDENTITY.__slots__} | {"serial": "ÄÖ-1"}
    )
    with Rig(UsbDevice(Toy(identity=identity))) as rig:
        assert "ÄÖ-1" in rig.run(["lsusb", "-v"], preload, {"LC_ALL": "C.UTF-8"})
