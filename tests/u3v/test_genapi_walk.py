"""GenApi's reference implementation walks through each model over the wire: every entry, command and selector.

Every access is a GenCP command on a bus, as with a real host. Chunk and event nodes have no value without a frame or
an event: `test_chunks` and `usb3v/test_event` attach adapters to them.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from tests.u3v.genicam_nodes import Access, Nodes, Port, genapi
from tests.u3v.models import NAMES, host_of
from tests.u3v.rig import Host
from u3v.features import Boolean, ByteArray, Command, Enumeration, Feature, Float, Integer
from u3v.host.client import U3VClient

MODELS = pytest.mark.parametrize("model", NAMES)
LIVE = (int(Access.RO), int(Access.RW))
READY = {
    "UserSetSave": {"UserSetSelector": "UserSet1"},
    "SequencerSetSave": {"SequencerConfigurationMode": "On"},
    "SequencerSetLoad": {"SequencerConfigurationMode": "On"},
    "FileOperationExecute": {"FileOperationSelector": "Open"},
}
"""What commands need before they can run."""
LAST = ("AcquisitionStop", "DeviceReset")


class Walker:
    """A host with nodes on its control channel."""

    def __init__(self, model: str) -> None:
        self.host: Host = host_of(model)
        self.client = U3VClient(self.host.bus)
        self.client.open()
        self.camera = self.host.camera
        self.nodes = Nodes(self.camera, Port(self.client.read, self.client.write))

    def access(self, feature: Feature) -> int:
        return self.nodes.access(feature.name)

    def choices(self, name: str) -> list[Any]:
        """What a selector can be now: all entries, or the ends and the middle of a range."""
        node = self.nodes[name]
        if isinstance(self.camera.features.declared[name], Enumeration):
            return [entry.symbolic for entry in node.entries if int(entry.get_access_mode()) in LIVE]
        return sorted({node.min, node.min + node.inc * ((node.max - node.min) // node.inc // 2), node.max})

    def combinations(self, feature: Feature) -> Iterator[dict[str, Any]]:
        """Select each combination of the feature's selectors, one after the other."""
        for chosen in product(*(self.choices(name) for name in feature.selectors)):
            selected = dict(zip(feature.selectors, chosen, strict=True))
            for name, value in selected.items():
                self.nodes[name].value = value
            yield selected


def writable(walker: Walker, kind: type[Feature]) -> list[Feature]:
    """RW features of a kind that a host could set; those that are selectors come last: others stay where they are."""
    found = [f for f in walker.camera.features if isinstance(f, kind) and f.access == "RW"]
    found = [f for f in found if not isinstance(f, Command)]
    selectors = {name for feature in walker.camera.features for name in feature.selectors}
    return sorted(found, key=lambda feature: feature.name in selectors)


@MODELS
def test_every_entry_that_is_available_is_set(model: str) -> None:
    """In every combination of its selectors; one that is not available is refused. Each feature is left as it was."""
    walker = Walker(model)
    count = 0
    for feature in writable(walker, Enumeration):
        node = walker.nodes[feature.name]
        for selected in walker.combinations(feature):
            if walker.access(feature) != Access.RW:
                continue
            before = node.value
            for entry in node.entries:
                if int(entry.get_access_mode()) not in LIVE:
                    with pytest.raises(genapi.GenericException):
                        node.value = entry.symbolic
                    continue
                node.value = entry.symbolic
                told = walker.camera.features.get(feature.name, **selected)
                assert told == node.value and (told == entry.symbolic or feature.may_differ), (
                    feature.name,
                    entry,
                )
                count += 1
            node.value = before
            assert node.value == before, feature.name
    assert count >= {"IDS-IMX412": 20}.get(model, 40)


@MODELS
def test_every_selector_combination_reads_and_writes(model: str) -> None:
    """What it selects has a value of its own: read, written with it, read again."""
    walker = Walker(model)
    seen = 0
    for feature in walker.camera.features:
        if not feature.selectors or isinstance(feature, Command):
            continue
        node = walker.nodes[feature.name]
        for selected in walker.combinations(feature):
            access = walker.access(feature)
            assert access in LIVE or feature.available is not None, (feature.name, selected)
            if access not in LIVE:
                continue
            seen += 1
            if isinstance(feature, ByteArray):
                continue
            value = node.value
            assert value == walker.camera.features.get(feature.name, **selected), (feature.name, selected)
            if access == Access.RW and isinstance(feature, Boolean | Enumeration | Float | Integer):
                node.value = value
                assert node.value == value, (feature.name, selected)
    assert seen >= {"IDS-IMX412": 14, "U3V-Color": 24}.get(model, 80)


@MODELS
def test_every_command_runs(model: str) -> None:
    """Each one is done at once or after some of the camera's time, and the camera answers after it."""
    walker = Walker(model)
    commands = [feature for feature in walker.camera.features if isinstance(feature, Command)]
    commands.sort(key=lambda feature: LAST.index(feature.name) if feature.name in LAST else -1)
    for feature in commands:
        for name, value in READY.get(feature.name, {}).items():
            walker.nodes[name].value = value
        node = walker.nodes[feature.name]
        assert walker.access(feature) in (Access.RW, Access.WO), feature.name
        for _ in walker.combinations(feature):
            node.execute()
            for _ in range(100):
                if node.is_done():
                    break
                walker.host.bus.run(10_000_000)
            assert node.is_done(), feature.name
        for name in READY.get(feature.name, {}):
            if name == "SequencerConfigurationMode":
                walker.nodes[name].value = "Off"
        assert walker.nodes["DeviceModelName"].value == model
    assert {"AcquisitionStart", "DeviceReset", "UserSetLoad"} <= {feature.name for feature in commands}


@MODELS
def test_every_node_is_read_or_says_why_not(model: str) -> None:
    """Over the wire. What has no value: commands, what the camera's state forbids, chunks and events."""
    walker = Walker(model)
    silent = set()
    for node in walker.nodes.map.nodes:
        name, access = node.node.name, int(node.get_access_mode())
        if access in LIVE and hasattr(node, "to_string"):
            assert isinstance(node.to_string(), str), name
        elif hasattr(node, "to_string"):
            silent.add(name)
    declared = walker.camera.features.declared
    for name in silent:
        feature = declared.get(name)
        why = (
            isinstance(feature, Command)
            or (feature is not None and feature.available is not None)
            or name.startswith(("Event", "Chunk"))
        )
        assert why, name
