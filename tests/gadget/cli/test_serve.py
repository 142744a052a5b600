"""What `u3v serve` says when other machines may reach it."""

import socket
import subprocess
import sys

SERVE = (sys.executable, "-m", "gadget", "serve", "acA4096-40um", "--port", "0")
LIST = bytes.fromhex("0111800500000000")  # OP_REQ_DEVLIST


def said(*options: str) -> tuple[list[str], list[str]]:
    """The two lines on stdout, and the warnings. The warning comes behind them, before anything is served."""
    with subprocess.Popen(
        [*SERVE, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        lines = [process.stdout.readline() for _ in range(2)]
        port = int(lines[0].split()[-1])
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(LIST)
            assert client.recv(1)  # it serves now
        process.terminate()
        return lines, [line for line in process.stderr if "warning" in line]


def test_b17_serving_on_all_addresses_warns_and_prints_one_that_works() -> None:
    lines, warnings = said("--host", "0.0.0.0")
    assert lines[0].startswith("listening on 0.0.0.0 port ")
    assert "attach -r " in lines[1] and "attach -r 0.0.0.0" not in lines[1]
    assert [line.partition(" port ")[0].rsplit(" ", 1)[0] for line in warnings] == [
        "u3v: warning: whoever reaches"
    ]


def test_b17_serving_this_machine_alone_warns_nobody() -> None:
    lines, warnings = said()
    assert "attach -r 127.0.0.1 " in lines[1]
    assert warnings == []
