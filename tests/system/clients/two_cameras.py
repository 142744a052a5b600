"""Two Aravis programs stream from two cameras at the same time; prints what each says at its end.

Both go on until each has seen the other stream: no clock decides that they overlapped.
"""

import json
import subprocess
import sys
from pathlib import Path

CLIENT = [sys.executable, str(Path(__file__).with_name("aravis_client.py")), "--virtual"]


def main() -> None:
    count = sys.argv[1]
    listed = subprocess.run(["arv-tool-0.8"], capture_output=True, text=True, check=True).stdout.splitlines()
    ids = [line.removesuffix(" (USB3)") for line in listed if line.endswith(" (USB3)")]
    print(json.dumps({"ids": ids}), flush=True)
    programs = []
    for (
        name
    ) in ids:  # one after the other: programs that start at the same instant race in libumockdev-preload
        program = subprocess.Popen(
            [*CLIENT, "--camera", name, "--count", count, "--follow", count, *sys.argv[2:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert "streaming" in program.stdout.readline()
        programs.append(program)
    for program in programs:  # now both stream
        assert "streaming" in program.stdout.readline()
    for program in programs:
        program.stdin.write("\n")
        program.stdin.flush()
    for program in programs:
        lines, _ = program.communicate()
        print(lines.splitlines()[-1], flush=True)
        assert program.returncode == 0


if __name__ == "__main__":
    main()
