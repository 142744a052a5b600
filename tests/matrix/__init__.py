"""The matrix of faults, mutants and checks."""

from tests.matrix import boot, gencp, gencp_id, gencp_mem, rob, stream, usb, usb_life, xml

MODULES = (usb, usb_life, gencp, gencp_mem, gencp_id, boot, xml, stream, rob)
MUTANTS = [mutant for module in MODULES for mutant in module.MUTANTS]
