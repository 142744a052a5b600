"""The errors of the core. Each carries its answer on the wire and is caught in one place.

A `Mistake` is a person's: its text is one line that says what is wrong and what would be right. Every other
ValueError, KeyError ... is ours: a bug, which shows as a traceback and never as a line that blames the user.
"""

from enum import IntEnum


class Status(IntEnum):
    """GenCP status codes (GenCP 1.1, status code table; 0xAxxx: USB3 Vision)."""

    SUCCESS = 0x0000
    NOT_IMPLEMENTED = 0x8001
    INVALID_PARAMETER = 0x8002
    INVALID_ADDRESS = 0x8003
    WRITE_PROTECT = 0x8004
    BAD_ALIGNMENT = 0x8005
    ACCESS_DENIED = 0x8006
    BUSY = 0x8007
    MSG_TIMEOUT = 0x800B
    INVALID_HEADER = 0x800E
    WRONG_CONFIG = 0x800F
    ERROR = 0x8FFF
    RESEND_NOT_SUPPORTED = 0xA001
    DSI_ENDPOINT_HALTED = 0xA002
    SI_PAYLOAD_SIZE_NOT_ALIGNED = 0xA003
    SI_REGISTERS_INCONSISTENT = 0xA004
    EVENT_ENDPOINT_HALTED = 0xA005
    DATA_DISCARDED = 0xA100
    DATA_OVERRUN = 0xA101


class U3VError(Exception):
    """Base of every error this package raises on purpose."""


class Mistake(U3VError, ValueError):
    """What a person typed, or wrote in a file, cannot be. The text is one line for that person."""


class Malformed(U3VError):
    """Bytes that are not what they claim to be."""


class GenCPError(U3VError):
    """A command that is refused; `status` is what the acknowledge carries."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


class Stall(U3VError):
    """The endpoint answers STALL."""


class ModelError(Mistake):
    """A model file that cannot be used: `path` is the file, `key` the offending key; "" is the file itself."""

    def __init__(self, path: str, key: str, message: str) -> None:
        super().__init__(": ".join(filter(None, (path, key, message))))
        self.path = path
        self.key = key
