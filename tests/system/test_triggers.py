"""Aravis takes frames by software trigger and by volts on a line, on every model, over the local transport."""

import pytest

from tests.system.programs import CLIENTS, SYSTEM_PYTHON, U3V, need_aravis, objects, with_camera


@pytest.mark.parametrize(
    ("model", "line", "volts", "sources"),
    [
        ("acA4096-40um", "Line1", "24", 7),
        ("acA4096-11gm", "Line1", "2.3", 6),
        ("acA4112-8gm", "Line1", "3.3", 6),
        ("VCXG-124M", "Line0", "11", 9),
        ("IDS-IMX412", "Line2", "3.3", 4),
    ],
)
def test_software_and_line_triggers(model: str, line: str, volts: str, sources: int) -> None:
    need_aravis()
    pulse = [*U3V, "ctl", "pulse", line, "--us", "50", "--volts", volts]
    client = [SYSTEM_PYTHON, CLIENTS / "aravis_triggers.py", "--count", "2", "--line", line, "--", *pulse]
    done = with_camera(client, models=model)
    (found,) = objects(done.stdout)
    assert found["software"] == found["line"] == {"good": 2, "early": False, "late": False}
    assert len(found["sources"]) == sources
    assert line in found["sources"]
