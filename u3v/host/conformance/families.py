"""All checks, in the order of the catalogue. A module of this package that declares checks needs no other mention."""

from importlib import import_module
from pkgutil import iter_modules

from u3v.host import conformance
from u3v.host.conformance.declare import CATALOGUE, Check

ORDER = (
    *("USB-DESC", "USB-CFG", "USB-BOS", "USB-STR", "USB-CH9", "USB-EP", "U3V-DESC"),
    *("GENCP-HDR", "GENCP-RD", "GENCP-WR", "GENCP-ID", "GENCP-PND", "GENCP-STK"),
    *("BOOT-ABRM", "BOOT-SBRM", "BOOT-SIRM", "BOOT-EIRM", "BOOT-MAN"),
    *("XML", "SFNC", "FEAT", "SI", "STREAM", "ACQ", "TRG", "EVT", "TIME", "ROB", "PWR"),
)


def all_checks() -> list[Check]:
    """Every declared check, sorted by family and number."""
    for module in iter_modules(conformance.__path__):
        import_module(f"{conformance.__name__}.{module.name}")
    return sorted(CATALOGUE.values(), key=lambda c: (ORDER.index(c.family), c.id))
