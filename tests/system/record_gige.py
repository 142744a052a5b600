"""Record what a real host says to a GigE camera: `python -m tests.system.record_gige FILE -- PROGRAM ARGUMENTS`.

The camera is at 127.0.0.77. What it writes is played back by tests/u3v/gev/test_transcripts.py.
"""

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from gadget.gige.server import GigeServer, Peer
from gadget.gige_camera import plug_gige
from gadget.runner import CameraSpec, LoopBench
from tests.u3v.gev.transcript import Registers, record
from u3v.gev.bootstrap import GIGE_VISION, Address

HERE = "127.0.0.77"


def main() -> None:
    model, file, _, *program = sys.argv[1:]
    heard: list[tuple[int, Peer, bytes]] = []

    def hear(source: Peer, to: Peer, parts: Sequence[bytes | memoryview], now_ns: int) -> None:
        if source[1] == 3956 or to[1] == 3956:
            heard.append((now_ns, source if to[1] == 3956 else to, b"".join(map(bytes, parts))))

    settings = {"Width": "640", "Height": "480"}
    with LoopBench([CameraSpec(model, settings=settings)], wire=GIGE_VISION) as bench:
        server: GigeServer = plug_gige(bench, bench.cores[0], Address(HERE)).server
        server.observers.append(hear)
        registers = Registers(bench.cores[0].camera.features)

        def host() -> None:
            subprocess.run(program, timeout=120, check=False)
            bench.loop.call_threadsafe(bench.loop.stop)

        thread = threading.Thread(target=host)
        thread.start()
        bench.loop.run()
        thread.join()
        server.close()
    lines = [f"# {model}: {' '.join(Path(word).name for word in program)}"]
    lines += [line.text() for line in record(heard, registers)]
    Path(file).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
