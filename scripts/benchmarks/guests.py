"""The benchmark of usbredir: a C client in a virtual machine without KVM, the camera outside."""

import shlex
import subprocess
from collections.abc import Iterator

from benchmarks import hosts
from benchmarks.figures import Bystanders, Figure, of
from benchmarks.hosts import BenchError

GUEST_MB_PER_S = 100.0
"""What a guest without KVM shall get."""


def usbredir(frames: int, windows: int, skip: int) -> Iterator[Figure]:
    """The guest's kernel, its xHCI driver and the client run under QEMU's translator, which is the limit here. Frames
    are repeated: rendering would take processors from the guest."""
    others = Bystanders()
    with hosts.workshop() as folder:
        socket = folder / "camera.sock"
        client = shlex.join([str(hosts.compile_client(folder)), *hosts.client_arguments({}, frames, skip)])
        command = [
            *hosts.U3V,
            "serve",
            hosts.MODEL,
            "--usbredir",
            f"unix:{socket}",
            *hosts.options(False, {}),
        ]
        with subprocess.Popen(command, cwd=hosts.ROOT, stdout=subprocess.PIPE, text=True) as camera:
            try:
                assert camera.stdout is not None
                camera.stdout.readline()
                vm = [str(hosts.ROOT / "scripts" / "vm"), "--usbredir", str(socket), "--see", str(folder)]
                wait = "until lsusb -d 2676: >/dev/null; do sleep 0.1; done"
                script = "; ".join([wait, *[client] * windows])
                ended = subprocess.run(
                    [*vm, "--timeout", "300", "--", "sh", "-c", script],
                    cwd=hosts.ROOT,
                    capture_output=True,
                    text=True,
                )
            finally:
                camera.terminate()
    if ended.returncode:
        raise BenchError(f"scripts/vm: {(ended.stderr.strip() or 'failed').splitlines()[-1]}")
    runs = hosts.checked(hosts.answers(ended.stdout, ended.stderr))
    size = hosts.reference({}).wire_bytes / 1e6
    yield of(
        "usbredir",
        "C client in a guest without KVM",
        "MB/s",
        [run["fps"] * size for run in runs],
        at_least=GUEST_MB_PER_S,
        others_cores=others.cores(),
    )
