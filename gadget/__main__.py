"""`python -m gadget` is `u3v`."""

from gadget.cli import main

main()
