"""The benchmark of a USB gadget's data path: FunctionFS under User-Mode Linux, where device and host share a
processor."""

import json
import subprocess
import sys
from collections.abc import Iterator

from benchmarks import hosts
from benchmarks.figures import Bystanders, Figure
from benchmarks.hosts import BenchError


def gadget(megabytes: int) -> Iterator[Figure]:
    """Linux AIO, eight in flight, against plain write(), by size of a transfer; and the device's processor time."""
    others = Bystanders()
    script = hosts.ROOT / "scripts" / "benchmarks" / "gadget_guest.py"
    command = [
        str(hosts.ROOT / "scripts" / "uml"),
        "--timeout",
        "300",
        "--",
        sys.executable,
        str(script),
        str(megabytes),
    ]
    ended = subprocess.run(command, cwd=hosts.ROOT, capture_output=True, text=True)
    if ended.returncode:
        raise BenchError(f"scripts/uml: {(ended.stderr.strip() or 'failed').splitlines()[-1]}")
    cores = others.cores()
    rows = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    plain = {row["size"]: row for row in rows if row["way"] == "write"}
    for row in rows:
        if row["way"] != "aio":
            continue
        size = row["size"]
        for key, unit in (("mb_per_s", "MB/s"), ("cpu_ms", "ms/MB")):
            yield Figure(
                "gadget",
                f"AIO, {size >> 10} KiB{', processor' if key == 'cpu_ms' else ''}",
                unit,
                row[key],
                limit=plain[size][key],
                limit_is="write()",
                others_cores=cores,
            )
