"""`python -m gadget` and the console script `u3v`. Ctrl-C while the program is still being loaded just ends it."""

import signal
import sys


def main() -> None:
    """Load the command line and run it. A Ctrl-C that whoever started us has switched off stays so."""
    mine = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if mine:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from gadget.cli.main import main as run

    if mine:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
