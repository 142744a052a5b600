"""The pages: their links resolve, the files they name exist, and docs/design.md has a room for every module."""

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
PAGES = sorted([*TOP.glob("*.md"), *TOP.glob("docs/**/*.md")])
PACKAGES = ("u3v", "frames", "gadget")
NAMED = re.compile(r"`((?:u3v|frames|gadget|tests|scripts|docs)/[\w/*-]+(?:\.(?:c|md|py|toml))?)`")


def ids(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(TOP)) for page in pages]


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """What a link may name behind a page's "#", made of its headings as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def house() -> set[str]:
    """The modules and packages that docs/design.md names under "The house"."""
    section = prose(TOP / "docs" / "design.md").partition("\n## The house\n")[2].partition("\n## ")[0]
    return set(NAMED.findall(section))


def modules() -> list[Path]:
    """Every module, relative to the repository; the three packages themselves are the house."""
    found = (path.relative_to(TOP) for package in PACKAGES for path in (TOP / package).rglob("*.py"))
    return sorted(path for path in found if len(path.parts) > 2 or path.stem != "__init__")


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_links_resolve(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if link.startswith(("http:", "https:")):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_a_broken_anchor_would_be_seen() -> None:
    known = anchors(TOP / "docs" / "glossary.md")
    assert {"abrm-sbrm-sirm-eirm", "e-", "the-sensor"} <= known
    assert "nowhere" not in known


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_files_that_are_named_exist(page: Path) -> None:
    named = NAMED.findall(prose(page))
    assert [name for name in named if not list(TOP.glob(name))] == []


def test_every_module_has_its_room() -> None:
    """A module that fails here needs a line in one of the tables of docs/design.md."""
    rooms = house()
    nowhere = [
        str(path) for path in modules() if not rooms & {str(path), *(str(parent) for parent in path.parents)}
    ]
    assert nowhere == []


def test_the_house_is_drawn_as_it_is() -> None:
    """What fails here is missing in the picture, or gone: run scripts/diagrams."""
    picture = (TOP / "docs" / "pictures" / "house.svg").read_text("utf-8")
    drawn = set(re.findall(r"[\w.]+", " ".join(re.findall(r"<!-- (.*?) -->", picture, re.DOTALL))))
    there = {path.stem for path in modules() if path.stem != "__init__" and len(path.parts) < 4}
    there |= {name for path in modules() for name in path.parts[1:-1]}
    assert there - drawn - {"sensors"} == set()


def test_the_stations_of_a_frame_exist() -> None:
    picture = (TOP / "docs" / "pictures" / "frame-way.svg").read_text("utf-8")
    stations = re.findall(r"<!-- ((?:u3v|frames|gadget)/[\w/]+\.py)", picture)
    assert len(stations) >= 6
    assert [path for path in stations if not (TOP / path).exists()] == []


def test_every_term_says_what_it_is() -> None:
    """A term without words, or told in an essay, is no glossary's."""
    entries = re.findall(r"^#### (.+)\n((?:(?!#).*\n?)*)", prose(TOP / "docs" / "glossary.md"), re.MULTILINE)
    assert len(entries) > 75
    assert [term for term, text in entries if not 20 < len(text.strip()) < 420] == []
    assert len({term for term, _ in entries}) == len(entries)


@pytest.mark.parametrize(
    "phrase",
    [
        "What is left to do for us",
        "serves the endpoints that have data in turn",
        "a burst each (16 packets",
        "those belong to their own wire",
    ],
)
def test_s15_riddles_are_gone(phrase: str) -> None:
    """S15: sentences that strangers stumbled over. Subject, verb, reason, example."""
    texts = [*PAGES, *(TOP / path for path in modules())]
    said = [
        str(path.relative_to(TOP)) for path in texts if phrase in " ".join(path.read_text("utf-8").split())
    ]
    assert said == []
