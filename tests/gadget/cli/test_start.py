"""The first instants of a run: Ctrl-C at any of them ends it without a traceback."""

import signal
import subprocess
import sys

import pytest


def interrupted(module: str) -> "subprocess.CompletedProcess[str]":
    """`u3v models`, with Ctrl-C when `module` is about to be imported."""
    script = (
        "import os, signal, sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Stop())\n"
        "sys.argv = ['u3v', 'models']\n"
        "from gadget.__main__ import main\n"
        "main()\n"
    )
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)


@pytest.mark.parametrize("module", ["gadget.cli.main", "click", "numpy", "gadget.runner"])
def test_b17_ctrl_c_while_it_is_loaded_ends_it_silently(module: str) -> None:
    done = interrupted(module)
    assert done.returncode == -signal.SIGINT
    assert done.stderr == ""


def test_a_run_that_nobody_interrupts_has_pythons_own_handler_again() -> None:
    script = (
        "import signal, sys\n"
        "import gadget.cli.main as cli\n"
        "from gadget.__main__ import main\n"
        "cli.main = lambda: print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_b17_a_ctrl_c_later_is_130() -> None:
    script = (
        "import gadget.cli.main as cli\n"
        "from gadget.__main__ import main\n"
        "def stop():\n"
        "    raise KeyboardInterrupt\n"
        "cli.main = stop\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "")
