"""The rigs themselves: what scripts/uml and scripts/vm promise to the tests which run inside them.

Each rig boots once for all the facts (the fixture `facts`), and once more for each way of being killed.
"""

import os
import re
import select
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.programs import ready_rig

pytestmark = pytest.mark.patient
REPOSITORY = Path(__file__).parents[2]
BOOT_S = 600
INSIDE = """
echo to stdout
echo to stderr >&2
cd_was=$PWD
cd "$U3V_RIG_OUT"
echo "$cd_was" >cwd
echo "<5>said by the command" >/dev/kmsg
cat /sys/devices/platform/vhci_hcd.0/status >ports
cat /sys/module/usbcore/parameters/usbfs_memory_mb >usbfs_memory_mb
cat /sys/module/dummy_hcd/parameters/is_super_speed >is_super_speed
cat /sys/class/net/lo/flags >lo_flags
id -u >uid
ls /tmp /run >empty
ls /dev/usbmon* /dev/shm >devices
touch "$cd_was/written" 2>touch
"$PYTHON" -c 'import sys; print(sys.version)' >python
echo "$GIVEN" >given
sleep 1000 >&2 &
exit 7
"""


@dataclass
class Facts:
    """What one boot told: the script's exit code and streams, its dmesg file, the files the command wrote."""

    returncode: int
    stdout: str
    stderr: str
    dmesg: str
    out: Path

    def read(self, name: str) -> str:
        return (self.out / name).read_text().strip()


@pytest.fixture(scope="module", params=["uml", "vm"])
def rig(request: pytest.FixtureRequest) -> str:
    """Path of a rig whose kernel is ready."""
    return str(ready_rig(str(request.param)))


@pytest.fixture(scope="module")
def facts(rig: str, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    out = tmp_path_factory.mktemp("rig")
    dmesg = tmp_path_factory.mktemp("dmesg") / "dmesg"
    options = ["--timeout", str(BOOT_S), "--out", str(out), "--dmesg", str(dmesg)]
    options += ["--env", f"PYTHON={sys.executable}", "--env", "GIVEN=a 'b' \"c\""]
    done = subprocess.run(
        [rig, *options, "--", "sh", "-c", INSIDE], cwd=REPOSITORY / "tests", capture_output=True, text=True
    )
    return Facts(done.returncode, done.stdout, done.stderr, dmesg.read_text(errors="replace"), out)


def test_the_exit_status_is_the_commands(facts: Facts) -> None:
    assert facts.returncode == 7, facts.stderr


def test_the_streams_are_the_commands_and_apart(facts: Facts) -> None:
    assert (facts.stdout, facts.stderr) == ("to stdout\n", "to stderr\n")


def test_the_kernels_messages_are_stored(facts: Facts) -> None:
    lines = facts.dmesg.splitlines()
    assert any("Linux version" in line for line in lines)
    assert any(line.endswith("] said by the command") for line in lines)


def test_there_is_a_usb_host_with_a_free_superspeed_port(facts: Facts) -> None:
    assert re.search(r"^ss +\d{4} 004 ", facts.read("ports"), re.MULTILINE)
    assert facts.read("usbfs_memory_mb") == "1000"
    assert facts.read("is_super_speed") == "Y"
    assert "/dev/usbmon0" in facts.read("devices")


def test_the_command_is_root_where_the_caller_stood(facts: Facts) -> None:
    assert facts.read("uid") == "0"
    assert facts.read("cwd") == str(REPOSITORY / "tests")
    assert facts.read("given") == "a 'b' \"c\""
    assert facts.read("python") == sys.version


def test_the_loopback_interface_is_up(facts: Facts) -> None:
    assert int(facts.read("lo_flags"), 16) & 1


def test_the_host_is_read_only_and_its_tmp_hidden(facts: Facts) -> None:
    assert "Read-only file system" in facts.read("touch")
    assert not (REPOSITORY / "tests" / "written").exists()
    # Only the ways to the results directory and to this checkout, the rig's own, and what mount and udevd leave.
    ways = {*facts.out.parts, *REPOSITORY.parts}
    own = {"/run:", "u3v", "machine-code", "mount", "udev"}
    assert set(facts.read("empty").split()) <= {"/tmp:", *ways, *own}


def _holders(words: bytes) -> list[int]:
    """Processes with these words in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if words in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize(
    ("rig", "how"),
    [("uml", signal.SIGTERM), ("uml", signal.SIGHUP), ("uml", signal.SIGKILL), ("vm", signal.SIGKILL)],
    indirect=["rig"],
)
def test_a_killed_rig_leaves_no_process_and_no_file(rig: str, how: signal.Signals) -> None:
    command = ["sh", "-c", "cat /proc/cmdline; sleep 1000"]
    with subprocess.Popen([rig, "--timeout", str(BOOT_S), "--", *command], stdout=subprocess.PIPE) as script:
        assert script.stdout is not None
        control = re.search(rb"u3v_ctl=(\S+)", script.stdout.readline())
        assert control, "the guest did not boot"
        guest = _holders(b"u3v_ctl=" + control[1])
        assert guest
        # The keeper is the parent of the guest's first process, and the last to go.
        keeper = {_parent(pid) for pid in guest} - set(guest)
        assert len(keeper) == 1
        assert script.pid not in keeper
        watched = {pid: os.pidfd_open(pid) for pid in {*guest, *keeper}}
        script.send_signal(how)
        script.wait(10)
    if how != signal.SIGKILL:
        assert script.returncode == 128 + how
    waiting = select.poll()
    left = set(watched.values())
    for pidfd in left:
        waiting.register(pidfd, select.POLLIN)
    while left and (ended := waiting.poll(10_000)):
        for pidfd, _ in ended:
            waiting.unregister(pidfd)
            left.discard(pidfd)
    for pidfd in watched.values():
        os.close(pidfd)
    assert not left
    assert not _holders(b"u3v_ctl=" + control[1])
    assert not Path(control[1].decode()).exists()


def test_a_timeout_kills_the_guest_and_says_so(rig: str) -> None:
    done = subprocess.run(
        [rig, "--timeout", "0.2", "--", "sleep", "1000"], capture_output=True, text=True, timeout=BOOT_S
    )
    name = Path(rig).name
    assert (done.returncode, done.stderr) == (124, f"{name}: sleep 1000: not done after 0.2 s, killed\n")


TOY = """
import sys

sys.path.insert(0, sys.argv[1])
import rig

rig.BOOT_PATIENCE_S = (0.5, None)
options, job = rig.parse(rig.parser("toy", "", ""), ["--dmesg", "dmesg", "--", "true"])
boot = rig.Boot(lambda ctl, ends: ["bash", "-c", sys.argv[2].format(*ends)], "", None, {"PATH": "/usr/bin:/bin"})
sys.exit(rig.run("toy", boot, job))
"""
HANGS_ONCE = """
if mkdir booted 2>/dev/null; then echo "hangs" >&{2}; exec sleep 1000; fi
echo "out" >&{0}; echo "u3v-rig: the command begins" >&{2}; echo "u3v-rig: exit 7" >&{2}
"""
NO_MAPPINGS = """
echo "u3v-rig: the command begins" >&{2}
echo "UML ran out of memory on the host side! ... or vm.max_map_count has been reached." >&{2}
echo "u3v-rig: exit 139" >&{2}
"""


def with_toy(guest: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """A rig whose guest is a shell."""
    script = [sys.executable, "-c", TOY, str(REPOSITORY / "scripts/rig"), guest]
    return subprocess.run(script, cwd=folder, capture_output=True, text=True, timeout=BOOT_S)


def test_a_guest_that_hangs_before_the_command_is_booted_again(tmp_path: Path) -> None:
    """A shell plays the guest: its first boot hangs. Only the kernel's messages tell of it."""
    done = with_toy(HANGS_ONCE, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "")
    assert (tmp_path / "dmesg").read_text().splitlines() == [
        "hangs",
        "u3v-rig: the command had not begun after 0.5 s; the guest is booted again",
        "u3v-rig: the command begins",
        "u3v-rig: exit 7",
    ]


def test_a_program_that_the_host_gives_no_more_mappings(tmp_path: Path) -> None:
    """User-Mode Linux kills it, and tells the console alone. Seen with six cameras in one process."""
    done = with_toy(NO_MAPPINGS, tmp_path)
    assert (done.returncode, done.stdout) == (139, "")
    assert done.stderr == (
        "toy: a program was killed (SIGSEGV): it needed more mappings than this machine gives a process; "
        "let it use less memory, or as root: sysctl -w vm.max_map_count=1000000\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no command; write it after --, for example: {rig} -- lsusb"),
        (["lsusb"], "the command has to come after --, for example: {rig} -- lsusb"),
        (["--dmseg", "x", "--", "true"], "unknown option --dmseg, did you mean '--dmesg'?"),
        (["--mem", "3T", "--", "true"], "--mem 3T: a number and M or G is needed, for example 3G"),
        (["--timeout", "0", "--", "true"], "--timeout 0.0: seconds above 0 are needed"),
        (["--env", "1=2", "--", "true"], "--env 1=2: NAME=VALUE is needed, or NAME to pass on the caller's"),
        (["--see", "/nowhere", "--", "true"], "--see /nowhere: not a directory"),
        (["--out", "/dev/null", "--", "true"], "--out /dev/null: File exists; a directory is needed"),
    ],
)
@pytest.mark.parametrize("name", ["uml", "vm"])
def test_a_mistake_is_one_line_and_exit_code_2(name: str, arguments: list[str], message: str) -> None:
    script = str(REPOSITORY / "scripts" / name)
    done = subprocess.run([script, *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{name}: {message.format(rig=name)}\n"
