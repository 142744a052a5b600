"""The network that `u3v run --wire gige` makes: without any right, where it is refused, what is left of the killed."""

import os
import select
import subprocess
import sys

from tests.system.programs import (
    CLIENTS,
    PATIENCE_S,
    SYSTEM_PYTHON,
    U3V,
    end,
    need,
    need_aravis,
    objects,
    on_own_network,
    run,
    start,
)

BASLER, BAUMER = "acA4096-11gm", "VCXG-124M"


def test_a_killed_host_loses_the_camera_after_its_heartbeat() -> None:
    need_aravis()
    (result,) = objects(on_own_network(SYSTEM_PYTHON, CLIENTS / "kill_gige.py").stdout)
    assert result["refused"] and all("access-denied" in line for line in result["refused"])
    assert result["took_s"] > 2  # 3 s after the last command, which may be a second old
    assert result["then"]["status"].get("success", 0) >= 7 and result["then"]["first"] == 1


def test_without_any_right() -> None:
    """Of a user who has nothing but a name: the program sees the cameras and has no capability."""
    need("arv-tool-0.8", "unshare")
    look = "id -u; grep CapEff /proc/self/status; arv-tool-0.8; u3v=$U3V_CONTROL; test -S $u3v && exit 7"
    command = [*U3V, "run", BASLER, BAUMER, "--wire", "gige", "--", "sh", "-c", look]
    as_user = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"] if os.getuid() == 0 else []
    done = run([*as_user, *command])
    assert (done.returncode, done.stdout.splitlines()) == (
        7,
        [
            "1000" if as_user else str(os.getuid()),
            "CapEff:\t0000000000000000",
            f"Basler-{BASLER}-40000001 (192.168.10.11)",
            f"Baumer-{BAUMER}-40000002 (192.168.10.12)",
        ],
    )


def test_where_users_may_have_no_network_one_line_says_so() -> None:
    """In a user namespace whose group has no name outside, the kernel refuses further ones."""
    need("unshare")
    command = [*U3V, "run", BASLER, "--wire", "gige", "--", "true"]
    done = run(["unshare", "--user", "--map-user=1000", "--", *command])
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "network namespaces for users" in done.stderr and "serve --wire gige" in done.stderr


def test_nothing_is_left_of_a_killed_run() -> None:
    """The program hears of the end of its cameras, and is ended a little later; no interface was ever made outside."""
    need("ip")
    client = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    program = start([*U3V, "run", BASLER, "--wire", "gige", "--", sys.executable, "-c", client])
    try:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        handle = os.pidfd_open(pid)
        program.kill()
        assert program.wait() == -9
        assert select.select([handle], [], [], PATIENCE_S)[0]  # the program, too, has ended
        os.close(handle)
        links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True).stdout
        assert "camera0" not in links and "gige0" not in links
    finally:
        end(program)
        program.communicate()
