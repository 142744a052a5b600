"""What `u3v serve` says when other machines may reach it."""

import subprocess
import sys

SERVE = (sys.executable, "-m", "gadget", "serve", "acA4096-40um", "--port", "0")


def said(*options: str) -> tuple[list[str], str]:
    """The two lines on stdout, and all of stderr."""
    with subprocess.Popen(
        [*SERVE, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        lines = [process.stdout.readline() for _ in range(2)]
        warning = process.stderr.readline() if options else ""
        process.terminate()
        return lines, warning + process.stderr.read()


def test_b17_serving_on_all_addresses_warns_and_prints_one_that_works() -> None:
    lines, warning = said("--host", "0.0.0.0")
    assert lines[0].startswith("listening on 0.0.0.0 port ")
    assert "attach -r " in lines[1] and "attach -r 0.0.0.0" not in lines[1]
    assert warning.startswith("u3v: warning: whoever reaches ") and warning.count("\n") == 1


def test_b17_serving_this_machine_alone_warns_nobody() -> None:
    lines, warning = said()
    assert "attach -r 127.0.0.1 " in lines[1]
    assert warning == ""
