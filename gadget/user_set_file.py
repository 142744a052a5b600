"""User sets on disk: what a camera keeps over power cycles.

One JSON file for one camera, replaced as a whole, so it is never half written, and only once the new one is safely
on the disk. Processes may share it, as if they took turns with the same camera: a save adds what was saved to what
the file holds by then, so nobody's sets are lost. A file that says something the camera cannot do is refused by
name when the camera is made, for silence would mean that all its settings are the factory's.

State: none but the path. Always true: while the file is replaced, its folder is locked (flock; locks on the file
itself would be on the old one).
"""

import contextlib
import fcntl
import json
import os
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gadget.whole_file import whole_file
from u3v.camera import Camera
from u3v.did_you_mean import hint
from u3v.errors import GenCPError, Mistake
from u3v.features import Feature, Value
from u3v.gev.bootstrap import KEPT, NETWORK
from u3v.sfnc.user_set_control import STARTUP

UserSets = dict[str, dict[str, Value]]


class UserSetFile:
    """The state file of one camera of the named model."""

    def __init__(self, path: Path, model: str) -> None:
        self._path = path
        self._model = model

    def load(self) -> UserSets:
        """The stored sets; none where there is no file. Raises Mistake for a file that is something else."""
        if not self._path.parent.is_dir():
            raise Mistake(f"{self._path}: no such folder")
        if not os.access(self._path.parent, os.W_OK | os.X_OK):
            raise Mistake(f"{self._path}: user sets could not be saved: its folder cannot be written to")
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise Mistake(f"{self._path}: {error.strerror}") from error
        try:
            stored: Any = json.loads(text)
            model, sets = stored["model"], stored["user_sets"]
            clean = {str(k): dict(v) for k, v in sets.items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise Mistake(
                f"{self._path}: is no state file of a virtual camera; delete it or name another"
            ) from None
        if model != self._model:
            raise Mistake(f"{self._path}: belongs to {model}, not {self._model}")
        return clean

    def check(self, camera: Camera, sets: Mapping[str, Mapping[str, Value]]) -> None:
        """Raises Mistake, naming set and feature, where a value of `sets` is none that `camera` can have."""
        known = camera.family.user_sets
        before = camera.features.snapshot()
        for name in known[1:]:
            try:
                _try(camera, sets.get(name, {}))
            except Mistake as error:
                raise Mistake(f"{self._path}: {name}: {error}; mend it or delete the file") from None
            finally:
                camera.features.restore(before)
        for name, value in sets.get(NETWORK, {}).items():
            if name not in KEPT:
                raise Mistake(f"{self._path}: {NETWORK}: no setting {name!r}{hint(name, KEPT)}")
            if type(value) is not int or not 0 <= value < 1 << 32:
                wrong = f"{name} = {value!r}: must be a whole number of 32 bits, 0 to {(1 << 32) - 1}"
                raise Mistake(f"{self._path}: {NETWORK}: {wrong}")
        startup = str(sets.get(STARTUP, {}).get("name", known[0]))
        if startup not in known:
            wrong = f"{STARTUP} = {startup}: not one of {', '.join(known)}{hint(startup, known)}"
            raise Mistake(f"{self._path}: {wrong}")

    def save(self, changed: Mapping[str, Mapping[str, Value]]) -> None:
        """Store `changed` sets beside those in the file. Raises OSError, having said so on stderr."""
        try:
            with self._locked() as folder:
                self._replace(self.load() | {name: dict(values) for name, values in changed.items()})
                os.fsync(folder)
        except (OSError, Mistake) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            print(f"u3v: {self._path}: user set not saved: {reason}", file=sys.stderr, flush=True)
            raise error if isinstance(error, OSError) else OSError(reason) from error

    def _replace(self, sets: UserSets) -> None:
        with whole_file(self._path) as part, part.open("w", encoding="utf-8") as file:
            json.dump({"model": self._model, "user_sets": sets}, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """Nobody else replaces a state file of this folder meanwhile."""
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(folder)


def _try(camera: Camera, values: Mapping[str, Value]) -> None:
    """Set all values of a set, then see whether each is allowed beside the others. Raises Mistake."""
    features = camera.features
    found: list[tuple[Feature, Value]] = []
    for key, value in values.items():
        name, _, labels = key.removesuffix("]").partition("[")
        feature = features.declared.get(name)
        if feature is None:
            raise Mistake(f"{camera.model.name} has no feature {name!r}{hint(name, features.declared)}")
        wanted = type(feature.initial())
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise Mistake(f"{key} = {value!r}: must be {_KINDS[wanted]}")
        try:
            chosen = zip(feature.selectors, labels.split(",") if labels else (), strict=True)
            features.set(name, value, **{selector: _label(label) for selector, label in chosen})
        except (KeyError, ValueError, OverflowError, struct.error):
            raise Mistake(f"{key} = {value!r}: the camera has no such value") from None
        found.append((feature, value))
    for feature, value in found:
        try:
            feature.check(camera, value)
        except GenCPError as error:
            raise Mistake(str(error)) from None


def _label(text: str) -> str | int:
    return int(text) if text.isdecimal() else text


_KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
}
