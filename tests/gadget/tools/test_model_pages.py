"""The pages of docs/models say what the models declare: whoever changes one runs scripts/model-pages."""

from pathlib import Path

import pytest

from gadget.tools.model_pages import file_name, page
from u3v.model import model_names

PAGES = Path(__file__).parents[3] / "docs" / "models"


@pytest.mark.parametrize("name", model_names())
def test_the_page_is_current(name: str) -> None:
    assert (PAGES / file_name(name)).read_text("utf-8") == page(name), "run scripts/model-pages"


def test_each_page_belongs_to_a_model() -> None:
    assert {path.name for path in PAGES.iterdir()} == {file_name(name) for name in model_names()}


def test_what_a_camera_has_not_is_said() -> None:
    """The IDS sheet: no chunks, no events, no sequencer."""
    text = page("IDS-IMX412")
    for title in ("Chunks", "Events", "Sequencer sets"):
        assert f"## {title}\n\nNone." in text
    assert "| `FirmwareUpdate` | write | 1048576 |" in text
