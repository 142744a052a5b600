"""Rules of docs/design.md about who may know what, as far as import contracts do not hold them already."""

import ast
import tomllib
from pathlib import Path

TOP = Path(__file__).parent.parent
WORLD = {
    *("asyncio", "multiprocessing", "numpy", "os", "queue", "random", "secrets", "select", "selectors"),
    *("signal", "socket", "subprocess", "threading", "time", "usb"),
}


def imported(path: Path) -> set[str]:
    """The packages that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def importers(folder: str, packages: set[str]) -> dict[str, set[str]]:
    """Which modules below a folder import one of these packages."""
    known = {str(path.relative_to(TOP)): imported(path) & packages for path in (TOP / folder).rglob("*.py")}
    return {name: found for name, found in known.items() if found}


def test_the_camera_knows_no_clock_no_thread_and_no_array() -> None:
    """Rule 1: time is an argument, and nothing under u3v/ does I/O."""
    assert importers("u3v", WORLD) == {}


def test_pixels_know_no_protocol_and_no_clock() -> None:
    assert importers("frames", {"asyncio", "selectors", "socket", "time", "usb"}) == {}


def test_the_command_line_alone_knows_click() -> None:
    named = importers("gadget", {"click"})
    assert named and all(name.startswith("gadget/cli/") for name in named)


def test_s5_layers_are_contracts_for_every_package() -> None:
    """No module of the three packages is without a place in a layers contract, so there is no circle either."""
    contracts = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    held = {
        name for c in contracts if c["type"] == "layers" and c.get("exhaustive") for name in c["containers"]
    }
    assert {"u3v", "gadget", "frames"} <= held
    ignored = {name for c in contracts for name in c.get("ignore_imports", [])}
    assert ignored == set()


def test_modules_stay_short() -> None:
    """450 lines: what is longer holds a second idea, and is two modules."""
    paths = [path for package in ("u3v", "frames", "gadget") for path in (TOP / package).rglob("*.py")]
    lengths = {str(path.relative_to(TOP)): len(path.read_text("utf-8").splitlines()) for path in paths}
    assert {name: lines for name, lines in lengths.items() if lines > 450} == {}
