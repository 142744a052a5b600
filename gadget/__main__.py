"""`python -m gadget` is `u3v`."""

import sys


def main() -> None:
    """The console script. It imports the rest here, so that Ctrl-C in that second ends it quietly, too."""
    try:
        from gadget.cli.main import main
    except KeyboardInterrupt:
        sys.exit(130)
    main()


if __name__ == "__main__":
    main()
