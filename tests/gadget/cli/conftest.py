"""The fixture `u3v` for all tests here."""

from tests.gadget.cli.shell import u3v

__all__ = ["u3v"]
