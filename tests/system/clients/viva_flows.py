"""A viva-genicam program (a strict U3V host in Rust): chunks of some frames and events; prints one JSON object.

`viva_flows.py EVENT`: all chunks of the first camera, and this event ("": none).
"""

import json
import sys

import viva_genicam as vg

FRAMES = 10


def plain(values: dict[str, object]) -> dict[str, str]:
    """Values as text, errors as theirs."""
    return {name: str(value) for name, value in values.items()}


def main() -> None:
    (event_name,) = sys.argv[1:]
    found: dict[str, object] = {"frames": [], "events": []}
    with vg.connect_u3v(vg.discover_u3v()[0]) as camera:
        camera.set_integer("Width", 240)
        camera.set_integer("Height", 240)
        chunks = camera.enum_entries("ChunkSelector") if "ChunkSelector" in camera.nodes() else []
        if chunks:
            camera.configure_chunks(chunks)
        events = camera.events([event_name]) if event_name else None
        frames = []
        with camera.stream() as stream:
            for frame in stream:
                frames.append(
                    {
                        "block_id": frame.block_id,
                        "timestamp": frame.ts_dev,
                        "shape": frame.to_numpy().shape,
                        "ids": sorted(frame.chunks or {}),
                        "values": plain(camera.chunk_features(frame)),
                    }
                )
                if len(frames) == FRAMES:
                    break
        found["chunks"], found["frames"] = chunks, frames
        if events is not None:
            for _ in range(FRAMES):
                event = events.next_event(5000)
                about = {"id": event.id, "timestamp": event.ts_dev, "block_id": event.block_id}
                found["events"].append(about | {"values": plain(camera.event_features(event))})
            events.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
