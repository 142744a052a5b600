"""All checks, in the order of the catalogue. Importing a family's module declares its checks."""

from u3v.host.conformance import usb_desc
from u3v.host.conformance.declare import CATALOGUE, Check

MODULES = (usb_desc,)
"""Modules of the families; each one has been imported when this is."""

ORDER = (
    *("USB-DESC", "USB-CFG", "USB-BOS", "USB-STR", "USB-CH9", "USB-EP", "U3V-DESC"),
    *("GENCP-HDR", "GENCP-RD", "GENCP-WR", "GENCP-ID", "GENCP-PND", "GENCP-STK"),
    *("BOOT-ABRM", "BOOT-SBRM", "BOOT-SIRM", "BOOT-EIRM", "BOOT-MAN"),
    *("XML", "SFNC", "FEAT", "SI", "STREAM", "ACQ", "TRG", "EVT", "TIME", "ROB", "PWR"),
)


def all_checks() -> list[Check]:
    """Every declared check, sorted by family and number."""
    return sorted(CATALOGUE.values(), key=lambda c: (ORDER.index(c.family), c.id))
