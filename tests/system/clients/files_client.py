"""The system calls themselves: what a program sees of /dev/bus/usb and /sys/bus/usb under our own preload."""

import array
import ctypes
import errno
import fcntl
import os
import select
import signal
import stat
import struct
import threading

NODE = "/dev/bus/usb/001/002"
DEVICE = "/sys/bus/usb/devices/1-1"
CLAIM, GET_CAPABILITIES, GET_SPEED, REAPURB, SUBMITURB = (
    0x8004550F,
    0x8004551A,
    0x551F,
    0x4008550C,
    0x8038550A,
)


def fails(number: int, function: object, *arguments: object) -> None:
    try:
        function(*arguments)  # type: ignore[operator]
    except OSError as error:
        if error.errno != number:
            raise
    else:
        raise AssertionError(f"{function} must fail")


def paths() -> None:
    assert os.listdir("/dev/bus/usb") == ["001"]
    assert os.listdir("/dev/bus/usb/001/") == ["002"]
    assert sorted(os.listdir("/sys/bus/usb/devices"))[0] == "1-1"
    assert os.path.realpath(DEVICE) == "/sys/devices/platform/u3v.0/usb1/1-1"
    assert os.readlink(DEVICE) == "../../../devices/platform/u3v.0/usb1/1-1"
    assert ctypes_realpath(DEVICE) == "/sys/devices/platform/u3v.0/usb1/1-1"
    with open(f"{DEVICE}/speed") as file:
        assert file.read() == "5000\n"
    with open("/sys/devices/platform/u3v.0/usb1/1-1/uevent") as file:
        assert "DEVNAME=bus/usb/001/002\n" in file.read()
    for status in (os.stat(NODE), os.lstat(NODE)):
        assert stat.S_ISCHR(status.st_mode)
        assert (os.major(status.st_rdev), os.minor(status.st_rdev)) == (189, 1)
    directory = os.open("/sys/bus/usb/devices", os.O_RDONLY | os.O_DIRECTORY)
    number = os.open("1-1/devnum", os.O_RDONLY, dir_fd=directory)
    assert os.read(number, 10) == b"2\n"
    os.close(number)
    os.close(directory)
    assert os.access(NODE, os.R_OK | os.W_OK)
    assert not os.path.exists("/dev/bus/usb/001/009")
    fails(errno.ENOENT, os.open, "/dev/bus/usb/001/009", os.O_RDWR)
    assert os.path.exists("/dev/null") and os.path.exists("/sys/bus/usbx") is False


def ctypes_realpath(path: str) -> str:
    function = ctypes.CDLL(None).realpath
    function.restype = ctypes.c_char_p
    out = ctypes.create_string_buffer(4096)
    return os.fsdecode(function(path.encode(), out))


def reading() -> None:
    fd = os.open(NODE, os.O_RDONLY)
    assert os.read(fd, 18)[:4] == bytes.fromhex("12010003")
    assert len(os.read(fd, 4096)) == 0x74
    assert os.read(fd, 10) == b""
    assert os.lseek(fd, 8, os.SEEK_SET) == 8
    assert os.read(fd, 4) == struct.pack("<HH", 0x1209, 1)
    fails(errno.EPERM, fcntl.ioctl, fd, GET_SPEED)
    os.close(fd)
    fails(errno.EBADF, fcntl.ioctl, fd, GET_SPEED)


def duplicates() -> None:
    """The file lives as long as its last duplicate, however that was made."""
    fd = os.open(NODE, os.O_RDWR)
    fcntl.ioctl(fd, CLAIM, struct.pack("@I", 2))
    copies = [os.dup(fd), fcntl.fcntl(fd, fcntl.F_DUPFD, 20), fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 30)]
    os.dup2(fd, 40)
    copies.append(40)
    os.close(fd)
    other = os.open(NODE, os.O_RDWR)
    for copy in copies:
        assert fcntl.ioctl(copy, GET_SPEED) == 5
        fails(errno.EBUSY, fcntl.ioctl, other, CLAIM, struct.pack("@I", 2))
        os.close(copy)
    fcntl.ioctl(other, CLAIM, struct.pack("@I", 2))
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, other)  # `other` is a different file now
    fails(errno.ENOTTY, fcntl.ioctl, other, GET_SPEED)
    os.close(other)
    os.close(null)


def behind_our_back() -> None:
    """A descriptor closed by a raw system call and used again for something else is not the device."""
    fd = os.open(NODE, os.O_RDWR)
    ctypes.CDLL(None, use_errno=True).syscall(3 if os.uname().machine == "x86_64" else 57, fd)
    null = os.open("/dev/null", os.O_RDWR)
    assert null == fd
    fails(errno.ENOTTY, fcntl.ioctl, null, GET_SPEED)
    assert os.read(null, 10) == b""
    os.close(null)
    fd = os.open(NODE, os.O_RDWR)
    ctypes.CDLL(None).close_range(3, 0xFFFFFFFF, 0)  # the hidden socket goes as well
    files = [os.open("/dev/zero", os.O_RDONLY) for _ in range(8)]
    assert fd in files
    fails(errno.ENOTTY, fcntl.ioctl, fd, GET_SPEED)
    os.close(fd)
    assert [len(os.read(file, 1)) for file in files if file != fd] == [1] * 7  # none was closed for another
    for file in files:
        if file != fd:
            os.close(file)


def many() -> None:
    """More open files than a small table holds."""
    files = [os.open(NODE, os.O_RDWR) for _ in range(120)]
    assert {fcntl.ioctl(fd, GET_SPEED) for fd in files} == {5}
    for fd in files:
        os.close(fd)


def threads() -> None:
    """Threads share a file, others open and close their own."""
    shared = os.open(NODE, os.O_RDWR)
    errors = []

    def use() -> None:
        try:
            for _ in range(200):
                assert fcntl.ioctl(shared, GET_SPEED) == 5
                own = os.open(NODE, os.O_RDWR)
                capabilities = array.array("I", [0])
                fcntl.ioctl(own, GET_CAPABILITIES, capabilities)
                assert capabilities[0] & 0x1D == 0x1D
                os.close(own)
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=use) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not errors, errors
    os.close(shared)


def interrupted() -> None:
    """A waiting REAPURB gives way to a signal; poll() says when it need not wait."""
    fd = os.open(NODE, os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(64)
    urb = ctypes.create_string_buffer(
        struct.pack("@BBiIPiiiIiIP", 3, 0x82, 0, 0, ctypes.addressof(buffer), 64, 0, 0, 0, 0, 0, 0)
    )
    assert libc.ioctl(fd, ctypes.c_ulong(SUBMITURB), urb) == 0
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    assert poll.poll(0) == []
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.siginterrupt(signal.SIGALRM, True)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    result = ctypes.c_void_p()
    assert libc.ioctl(fd, ctypes.c_ulong(REAPURB), ctypes.byref(result)) == -1
    assert ctypes.get_errno() == errno.EINTR
    assert libc.ioctl(fd, ctypes.c_ulong(0x550B), urb) == 0  # DISCARDURB
    assert poll.poll(0) == [(fd, select.POLLOUT)]
    assert libc.ioctl(fd, ctypes.c_ulong(REAPURB), ctypes.byref(result)) == 0
    assert result.value == ctypes.addressof(urb)
    os.close(fd)


def wrapped() -> None:
    """libusb_wrap_sys_device on a descriptor the program opened itself."""
    libusb = ctypes.CDLL("libusb-1.0.so.0")
    context, handle = ctypes.c_void_p(), ctypes.c_void_p()
    assert libusb.libusb_init(ctypes.byref(context)) == 0
    fd = os.open(NODE, os.O_RDWR)
    assert libusb.libusb_wrap_sys_device(context, ctypes.c_ssize_t(fd), ctypes.byref(handle)) == 0
    descriptor = ctypes.create_string_buffer(18)
    assert libusb.libusb_control_transfer(handle, 0x80, 6, 0x0100, 0, descriptor, 18, 1000) == 18
    assert descriptor.raw[8:12] == struct.pack("<HH", 0x1209, 1)
    libusb.libusb_close(handle)
    libusb.libusb_exit(context)
    os.close(fd)


def udev() -> None:
    """libudev's calls, as a program uses them that is linked with it (here: looked up globally)."""
    library = ctypes.CDLL("libudev.so.1", mode=ctypes.RTLD_GLOBAL)
    assert library  # makes it present; the names are then taken from the whole program, preload first
    program = ctypes.CDLL(None)

    def call(name: str, *arguments: object) -> int:
        function = getattr(program, name)
        function.restype = ctypes.c_void_p
        return function(*(ctypes.c_void_p(a) if isinstance(a, int) else a for a in arguments)) or 0

    def text(name: str, *arguments: object) -> str:
        return ctypes.string_at(call(name, *arguments)).decode()

    context = call("udev_new")
    enumerate_ = call("udev_enumerate_new", context)
    call("udev_enumerate_add_match_subsystem", enumerate_, b"usb")
    call("udev_enumerate_scan_devices", enumerate_)
    entry = call("udev_enumerate_get_list_entry", enumerate_)
    path = text("udev_list_entry_get_name", entry)
    assert path == "/sys/devices/platform/u3v.0/usb1/1-1"
    assert call("udev_list_entry_get_next", entry) == 0
    device = call("udev_device_new_from_syspath", context, path.encode())
    assert text("udev_device_get_devnode", device) == NODE
    assert text("udev_device_get_sysname", device) == "1-1"
    assert text("udev_device_get_subsystem", device) == "usb"
    assert text("udev_device_get_devtype", device) == "usb_device"
    assert text("udev_device_get_sysattr_value", device, b"product") == "Toy One"
    assert text("udev_device_get_property_value", device, b"PRODUCT") == "1209/1/100"
    assert call("udev_device_get_action", device) == 0
    call("udev_device_unref", device)
    call("udev_enumerate_unref", enumerate_)
    foreign = call("udev_device_new_from_syspath", context, b"/sys/devices/virtual/mem/null")
    if foreign:  # another subsystem is the machine's own
        assert text("udev_device_get_subsystem", foreign) == "mem"
        call("udev_device_unref", foreign)
    call("udev_unref", context)


if __name__ == "__main__":
    for check in (paths, reading, duplicates, behind_our_back, many, threads, interrupted, wrapped, udev):
        check()
        print(check.__name__, flush=True)
    print("done")
