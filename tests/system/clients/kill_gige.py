"""Kills an Aravis program with SIGKILL while it streams from a GigE camera, then tries to open the camera until it can.

Prints one JSON object: how often it was refused, how long that took, and what the program that was let in says.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

CLIENT = [sys.executable, str(Path(__file__).with_name("gige_client.py")), "--size", "640", "480"]
PATIENCE_S = 60


def main() -> None:
    with subprocess.Popen(
        [*CLIENT, "--announce", "--count", "1000000"], stdout=subprocess.PIPE, text=True
    ) as program:
        assert "streaming" in program.stdout.readline()
        program.kill()
    began = time.monotonic()
    refused = []
    while time.monotonic() < began + PATIENCE_S:
        done = subprocess.run([*CLIENT, "--count", "10"], capture_output=True, text=True)
        if done.returncode == 0:
            break
        refused.append(done.stderr.splitlines()[-1])
    took_s = time.monotonic() - began
    print(json.dumps({"refused": refused, "took_s": took_s, "then": json.loads(done.stdout or "{}")}))


if __name__ == "__main__":
    main()
