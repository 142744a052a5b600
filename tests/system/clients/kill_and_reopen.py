"""Kills an Aravis program with SIGKILL while it streams, then runs another: that often, in that mode."""

import json
import subprocess
import sys
from pathlib import Path

CLIENT = [sys.executable, str(Path(__file__).with_name("aravis_client.py")), "--virtual"]


def main() -> None:
    times, *options = sys.argv[1:]
    for _ in range(int(times)):
        with subprocess.Popen(
            [*CLIENT, *options, "--follow", "10"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as program:
            assert "streaming" in program.stdout.readline()
            program.kill()
        print(json.dumps({"killed": program.wait()}), flush=True)
        subprocess.run([*CLIENT, *options], check=True)


if __name__ == "__main__":
    main()
