"""An Aravis program that streams from two cameras, of which one triggers the other; prints one JSON object.

`aravis_wires.py COUNT COMMAND`: both wait for triggers on their lines, the other device's is given by the shell's
COMMAND, run once both stream. Settings by name: `--leader NAME=VALUE`, `--follower NAME=VALUE`.
"""

import argparse
import json
import subprocess

import gi

gi.require_version("Aravis", "0.8")
from gi.repository import Aravis  # noqa: E402

PATIENCE_US = 60_000_000


def opened(vendor: str, settings: list[str]) -> tuple["Aravis.Camera", "Aravis.Stream"]:
    """The camera of this vendor, set up and acquiring."""
    index = next(i for i in range(Aravis.get_n_devices()) if Aravis.get_device_vendor(i) == vendor)
    camera = Aravis.Camera.new(Aravis.get_device_id(index))
    camera.set_region(0, 0, 64, 32)
    camera.set_acquisition_mode(Aravis.AcquisitionMode.CONTINUOUS)
    device = camera.get_device()
    for setting in settings:
        device.set_features_from_string(setting)
    stream = camera.create_stream(None, None)
    for _ in range(16):
        stream.push_buffer(Aravis.Buffer.new_allocate(camera.get_payload()))
    camera.start_acquisition()
    return camera, stream


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("command")
    parser.add_argument("--leader", action="append", default=[])
    parser.add_argument("--follower", action="append", default=[])
    given = parser.parse_args()
    Aravis.update_device_list()
    names = [Aravis.get_device_model(index) for index in range(Aravis.get_n_devices())]
    cameras = {
        "leader": opened("Baumer", given.leader),
        "follower": opened("Basler", given.follower),
    }
    subprocess.run(given.command, shell=True, check=True, timeout=600)
    stamps: dict[str, list[int]] = {name: [] for name in cameras}
    for _ in range(given.count):
        for name, (_, stream) in cameras.items():
            buffer = stream.timeout_pop_buffer(PATIENCE_US)
            assert buffer is not None, f"no frame of the {name} after {stamps}"
            if buffer.get_status() == Aravis.BufferStatus.SUCCESS:
                stamps[name].append(buffer.get_timestamp())
            stream.push_buffer(buffer)
    for camera, _ in cameras.values():
        camera.stop_acquisition()
    print(json.dumps({"models": sorted(names), **stamps}))


if __name__ == "__main__":
    main()
