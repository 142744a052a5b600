"""User sets on disk: what a camera keeps over power cycles. JSON, replaced as a whole, never half written."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from u3v.features import Value


class UserSetFile:
    """The state file of one camera of the named model."""

    def __init__(self, path: Path, model: str) -> None:
        self._path = path
        self._model = model

    def load(self) -> dict[str, dict[str, Value]]:
        """The stored sets; none where there is no file. Raises ValueError for a file that is something else."""
        if not self._path.parent.is_dir():
            raise ValueError(f"{self._path}: no such folder")
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ValueError(f"{self._path}: {error.strerror}") from error
        try:
            stored: Any = json.loads(text)
            model, sets = stored["model"], stored["user_sets"]
            clean = {str(k): dict(v) for k, v in sets.items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ValueError(
                f"{self._path}: is no state file of a virtual camera; delete it or name another"
            ) from None
        if model != self._model:
            raise ValueError(f"{self._path}: belongs to {model}, not {self._model}")
        return clean

    def save(self, sets: Mapping[str, Mapping[str, Value]]) -> None:
        """Raises OSError."""
        text = json.dumps({"model": self._model, "user_sets": sets}, indent=1)
        temporary = self._path.with_name(self._path.name + ".new")
        temporary.write_text(text + "\n", "utf-8")
        os.replace(temporary, self._path)
