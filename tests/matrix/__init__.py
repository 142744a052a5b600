"""The matrix of faults, mutants and checks."""

from tests.matrix import (
    boot,
    features,
    flow,
    gencp,
    gencp_id,
    gencp_mem,
    instants,
    rob,
    stream,
    usb,
    usb_life,
    xml,
)

MODULES = (
    *(usb, usb_life, gencp, gencp_mem, gencp_id, boot),
    *(xml, features, stream, flow, instants, rob),
)
MUTANTS = [mutant for module in MODULES for mutant in module.MUTANTS]
