"""The matrix of faults, mutants and checks."""

from tests.matrix import gencp, stream, usb, xml

MUTANTS = [*usb.MUTANTS, *gencp.MUTANTS, *xml.MUTANTS, *stream.MUTANTS]
