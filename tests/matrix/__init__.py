"""The matrix of faults, mutants and checks."""

from tests.matrix import gencp, usb

MUTANTS = [*usb.MUTANTS, *gencp.MUTANTS]
