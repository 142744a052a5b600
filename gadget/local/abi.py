"""Numbers and layouts of linux/usbdevice_fs.h on 64-bit machines."""

import struct

from u3v.wire.usb import Speed


def _code(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | ord("U") << 8 | number


_NONE, _W, _R, _RW = 0, 1, 2, 3
URB = struct.Struct("@BBiIPiiiIiIP")
CONTROL_TRANSFER = struct.Struct("@BBHHHIP")
BULK_TRANSFER = struct.Struct("@IIIP")
CALL = struct.Struct("@iiP")
SETUP = struct.Struct("<BBHHH")
UINT = struct.Struct("@I")
POINTER = struct.Struct("@P")
STATUS_OFFSET, ACTUAL_OFFSET = 4, 28

CONTROL = _code(_RW, 0, 24)
BULK = _code(_RW, 2, 24)
RESETEP = _code(_R, 3, 4)
SETINTERFACE = _code(_R, 4, 8)
SETCONFIGURATION = _code(_R, 5, 4)
GETDRIVER = _code(_W, 8, 260)
SUBMITURB = _code(_R, 10, 56)
DISCARDURB = _code(_NONE, 11, 0)
REAPURB = _code(_W, 12, 8)
REAPURBNDELAY = _code(_W, 13, 8)
CLAIMINTERFACE = _code(_R, 15, 4)
RELEASEINTERFACE = _code(_R, 16, 4)
CONNECTINFO = _code(_W, 17, 8)
IOCTL = _code(_RW, 18, 16)
RESET = _code(_NONE, 20, 0)
CLEAR_HALT = _code(_R, 21, 4)
DISCONNECT = _code(_NONE, 22, 0)
CONNECT = _code(_NONE, 23, 0)
GET_CAPABILITIES = _code(_R, 26, 4)
DISCONNECT_CLAIM = _code(_R, 27, 264)
GET_SPEED = _code(_NONE, 31, 0)
CONNINFO_EX = _code(_R, 32, 0)

TYPE_CONTROL, TYPE_BULK = 2, 3
SHORT_NOT_OK = 0x01
KNOWN_FLAGS = 0x01 | 0x04 | 0x20 | 0x40 | 0x80
EXCEPT_DRIVER, IF_DRIVER = 2, 1
# zero packet, no packet size limit, scatter-gather, reap after disconnect, CONNINFO_EX
CAPABILITIES = 0x01 | 0x04 | 0x08 | 0x10 | 0x80
SPEED_CODE = {Speed.HIGH: 3, Speed.SUPER: 5}
