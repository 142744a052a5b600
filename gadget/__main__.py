"""`python -m gadget` is `u3v`."""

from gadget.cli.main import main

main()
