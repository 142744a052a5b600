/* Lets a libusb program of this machine open a camera served by gadget/local/server.py.
 *
 * Paths of usbfs and sysfs are redirected to the server's directory ($U3V_LOCAL_DIR). Opening a usbfs node
 * connects to the server; the program's descriptor is the write end of a pipe the server sends back, so that
 * poll() on it behaves as on usbfs: POLLOUT when a request can be reaped, POLLERR when the device is gone. An
 * ioctl is one exchange on the hidden socket, in which the server reads and writes our memory. A netlink
 * socket bound to the kernel's uevents becomes a connection to the server's; libudev is in preload_udev.c.
 *
 * Always true: a table entry is believed only while the descriptor is still the pipe it was made for (it
 * may have been closed or replaced by calls we do not see); the socket closes with the last duplicate;
 * exchanges are serialised by a mutex in shared memory, so a forked child may use the file as well. After
 * vfork() the child shares our memory: its close() must not touch the table (see `owner`).
 *
 * Signals do not interrupt an exchange (it ends at once anyway); only a waiting REAPURB returns EINTR.
 */
#include "preload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

_Static_assert(sizeof(long) == 8, "only 64-bit programs: the wire has 64-bit words");

#define SYSFS_MAGIC 0x62656572
#define USB_MAJOR 189

/* The server's directory */

const char *u3v_root(void)
{
    static char root[PATH_MAX];
    static int state; /* 0: not asked, 1: none, 2: root */
    int known = __atomic_load_n(&state, __ATOMIC_ACQUIRE);
    if (!known) {
        const char *value = getenv("U3V_LOCAL_DIR");
        known = value && *value == '/' && strlen(value) < 80 ? 2 : 1;
        if (known == 2)
            strcpy(root, value);
        __atomic_store_n(&state, known, __ATOMIC_RELEASE);
    }
    return known == 2 ? root : NULL;
}

const char *u3v_map(const char *path, char out[PATH_MAX])
{
    static const char *const prefixes[] = {"/dev/bus/usb", "/sys/bus/usb", "/sys/devices/platform/u3v.0",
                                           "/sys/dev/char/189:"};
    if (!path || *path != '/' || !u3v_root())
        return path;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t length = strlen(prefixes[i]);
        if (strncmp(path, prefixes[i], length))
            continue;
        if (path[length] && path[length] != '/' && prefixes[i][length - 1] != ':')
            continue;
        if (snprintf(out, PATH_MAX, "%s%s", u3v_root(), path) < PATH_MAX)
            return out;
    }
    return path;
}

/* Is `path` a usbfs node, /dev/bus/usb/BBB/DDD? */
static int is_node(const char *path)
{
    static const char pattern[] = "/dev/bus/usb/000/000";
    if (!path || !u3v_root() || strlen(path) != sizeof pattern - 1)
        return 0;
    for (size_t i = 0; pattern[i]; i++)
        if (pattern[i] == '0' ? path[i] < '0' || path[i] > '9' : path[i] != pattern[i])
            return 0;
    return 1;
}

static dev_t device_number(const char *node)
{
    return makedev(USB_MAJOR, (atoi(node + 13) - 1) * 128 + atoi(node + 17) - 1);
}

/* Open files: a table from descriptor to file, two levels deep, read without lock where there is nothing */

struct channel { /* shared with forked children */
    pthread_mutex_t lock;
    int dead;
};

struct identity {
    dev_t dev;
    ino_t inode;
};

struct file {
    enum kind { NODE = 1, UEVENTS } kind;
    int refs;
    int sock; /* NODE: to the server; UEVENTS: none */
    struct identity self, peer; /* of the program's descriptor and of `sock` */
    struct channel *channel;
};

#define PAGE 1024
static struct file **pages[PAGE];
static pthread_mutex_t table = PTHREAD_MUTEX_INITIALIZER;
static pid_t owner;

static struct file **slot(int fd, int make)
{
    if (fd < 0 || fd >= PAGE * PAGE)
        return NULL;
    struct file **page = __atomic_load_n(&pages[fd / PAGE], __ATOMIC_ACQUIRE);
    if (!page && make && (page = calloc(PAGE, sizeof *page)))
        __atomic_store_n(&pages[fd / PAGE], page, __ATOMIC_RELEASE);
    return page ? &page[fd % PAGE] : NULL;
}

static struct identity identity_of(int fd)
{
    struct stat st;
    return fd < 0 || fstat(fd, &st) ? (struct identity){0, 0} : (struct identity){st.st_dev, st.st_ino};
}

static int is_still(int fd, struct identity what)
{
    struct identity now = identity_of(fd);
    return now.inode && now.inode == what.inode && now.dev == what.dev;
}

static void lock_table(void) { pthread_mutex_lock(&table); }
static void unlock_table(void) { pthread_mutex_unlock(&table); }
static void after_fork(void)
{
    owner = getpid();
    unlock_table();
}

__attribute__((constructor)) static void start(void)
{
    owner = getpid();
    pthread_atfork(lock_table, unlock_table, after_fork);
}

static void release(struct file *file)
{
    lock_table();
    int last = --file->refs == 0;
    unlock_table();
    if (!last)
        return;
    if (is_still(file->sock, file->peer))
        REAL(close)(file->sock);
    if (file->channel)
        munmap(file->channel, sizeof *file->channel);
    free(file);
}

/* Make `fd` mean `file` (NULL: nothing), which takes over the caller's reference. 0 or -1: no memory. */
static int put(int fd, struct file *file)
{
    lock_table();
    struct file **at = slot(fd, file != NULL), *old = at ? *at : NULL;
    if (at)
        __atomic_store_n(at, file, __ATOMIC_RELEASE);
    unlock_table();
    if (old)
        release(old);
    return at || !file ? 0 : -1;
}

static int is_ours(int fd)
{
    struct file **at = slot(fd, 0);
    return at && __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

/* The file behind `fd` with a reference for the caller, or NULL. */
static struct file *acquire(int fd, enum kind kind)
{
    if (!is_ours(fd))
        return NULL;
    lock_table();
    struct file *file = *slot(fd, 0);
    if (file && file->kind == kind && is_still(fd, file->self))
        file->refs++;
    else
        file = NULL;
    unlock_table();
    return file;
}

static struct file *new_file(enum kind kind, int fd, int sock)
{
    struct file *file = calloc(1, sizeof *file);
    if (!file)
        return NULL;
    *file = (struct file){kind, 1, sock, identity_of(fd), identity_of(sock), NULL};
    if (!owner)
        owner = getpid(); /* opened before our constructor ran */
    if (kind == NODE) {
        pthread_mutexattr_t shared;
        void *page = mmap(NULL, sizeof *file->channel, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) {
            free(file);
            return NULL;
        }
        file->channel = page;
        pthread_mutexattr_init(&shared);
        pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
        pthread_mutexattr_setrobust(&shared, PTHREAD_MUTEX_ROBUST);
        pthread_mutex_init(&file->channel->lock, &shared);
    }
    return file;
}

/* The protocol: messages of three words; see server.py */

enum { ASK_IOCTL = 1, DONE = 3, READ_MEM = 5, WRITE_MEM = 6, ASK_READ = 7, ASK_HELLO = 16, ASK_SEEK = 17, ASK_IOCTL_WITH = 18 };

struct message {
    uint64_t command, first, second;
};

struct inbox {
    size_t at, end;
    char bytes[4096];
};

static int send_all(int sock, const void *data, size_t length)
{
    const char *at = data;
    while (length) {
        ssize_t sent = send(sock, at, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        at += sent;
        length -= sent;
    }
    return 0;
}

/* Exactly `length` bytes to `data`; what comes after them in the same call waits in the inbox. */
static int receive_all(int sock, struct inbox *inbox, void *data, size_t length)
{
    char *to = data;
    while (length) {
        size_t have = inbox->end - inbox->at;
        if (have) {
            if (have > length)
                have = length;
            memcpy(to, inbox->bytes + inbox->at, have);
            inbox->at += have;
        } else {
            struct iovec parts[] = {{to, length}, {inbox->bytes, sizeof inbox->bytes}};
            struct msghdr header = {.msg_iov = parts, .msg_iovlen = 2};
            ssize_t got = REAL(recvmsg)(sock, &header, 0);
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                return -1;
            have = (size_t)got < length ? (size_t)got : length;
            inbox->at = 0;
            inbox->end = got - have;
        }
        to += have;
        length -= have;
    }
    return 0;
}

/* One question and everything up to its answer. A dead server is a device that is gone. */
static long ask(struct file *file, uint64_t command, uint64_t first, uint64_t second)
{
    struct channel *channel = file->channel;
    struct inbox inbox;
    struct message message = {command, first, second};
    char question[sizeof message + 512];
    size_t length = sizeof message;
    int cancel, lost = 1;
    inbox.at = inbox.end = 0;
    if (command == ASK_IOCTL && first >> 31 && (first >> 16 & 0x3fff) <= 512) {
        /* It reads its argument first of all: send that along and save a turn. */
        message.command = ASK_IOCTL_WITH;
        length += first >> 16 & 0x3fff;
        memcpy(question + sizeof message, (void *)(uintptr_t)second, length - sizeof message);
    }
    memcpy(question, &message, sizeof message);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    if (pthread_mutex_lock(&channel->lock) == EOWNERDEAD) { /* a process died amid an exchange */
        pthread_mutex_consistent(&channel->lock);
        channel->dead = 1;
    }
    if (!channel->dead && is_still(file->sock, file->peer) && !send_all(file->sock, question, length)) {
        while (!receive_all(file->sock, &inbox, &message, sizeof message)) {
            void *memory = (void *)(uintptr_t)message.first;
            if (message.command == READ_MEM) {
                if (send_all(file->sock, memory, message.second))
                    break;
            } else if (message.command == WRITE_MEM) {
                if (receive_all(file->sock, &inbox, memory, message.second))
                    break;
            } else {
                lost = message.command != DONE;
                break;
            }
        }
    }
    if (lost) {
        channel->dead = 1;
        message.first = -1;
        message.second = ENODEV;
    }
    pthread_mutex_unlock(&channel->lock);
    pthread_setcancelstate(cancel, &cancel);
    if ((int64_t)message.first < 0)
        errno = message.second;
    return message.first;
}

static int connect_to(const char *name, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (snprintf(address.sun_path, sizeof address.sun_path, "%s%s", u3v_root(), name) >=
        (int)sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int sock = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (sock >= 0 && connect(sock, (struct sockaddr *)&address, sizeof address)) {
        int reason = errno;
        REAL(close)(sock);
        errno = reason == ECONNREFUSED ? ENODEV : reason;
        return -1;
    }
    return sock;
}

/* HELLO, answered by DONE with a descriptor; -1 and errno. */
static int say_hello(int sock, int flags)
{
    struct message message = {ASK_HELLO, flags, 0};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {&message, sizeof message};
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got = -1;
    if (!send_all(sock, &message, sizeof message))
        do
            got = REAL(recvmsg)(sock, &header, flags & O_CLOEXEC ? MSG_CMSG_CLOEXEC : 0);
        while (got < 0 && errno == EINTR);
    struct cmsghdr *attached = got == sizeof message ? CMSG_FIRSTHDR(&header) : NULL;
    if (attached && attached->cmsg_type == SCM_RIGHTS) {
        int fd;
        memcpy(&fd, CMSG_DATA(attached), sizeof fd);
        return fd;
    }
    errno = got == sizeof message && message.command == DONE && message.second ? message.second : ENODEV;
    return -1;
}

static int open_node(const char *path, int flags)
{
    char name[64];
    snprintf(name, sizeof name, "/ioctl%s", path);
    int sock = connect_to(name, SOCK_STREAM);
    if (sock < 0)
        return -1;
    int fd = say_hello(sock, flags), reason = errno;
    struct file *file = fd < 0 ? NULL : new_file(NODE, fd, sock);
    if (file && !put(fd, file))
        return fd;
    if (file)
        release(file);
    else
        REAL(close)(sock);
    if (fd >= 0)
        REAL(close)(fd);
    errno = fd < 0 ? reason : ENOMEM;
    return -1;
}

/* Calls on descriptors */

#ifdef __GLIBC__
#define IOCTL_CODE unsigned long
#else
#define IOCTL_CODE int
#endif

int ioctl(int fd, IOCTL_CODE code, ...)
{
    enum { REAPURB = 0x4008550c, REAPURBNDELAY = 0x4008550d };
    va_list rest;
    va_start(rest, code);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    struct file *file = (code >> 8 & 0xff) == 'U' ? acquire(fd, NODE) : NULL;
    if (!file)
        return REAL(ioctl)(fd, code, argument);
    uint32_t wanted = code, asked = wanted == REAPURB ? REAPURBNDELAY : wanted;
    int result = -1;
    do { /* poll() knows whether there is something to reap; to wait here lets others submit meanwhile */
        struct pollfd wait = {fd, POLLOUT, 0};
        int ready = asked == REAPURBNDELAY ? poll(&wait, 1, wanted == REAPURB ? -1 : 0) : 1;
        if (ready < 0)
            break;
        errno = EAGAIN;
        if (ready)
            result = ask(file, ASK_IOCTL, asked, (uintptr_t)argument);
    } while (wanted == REAPURB && result < 0 && errno == EAGAIN);
    int reason = errno;
    release(file);
    errno = reason;
    return result;
}

static ssize_t read_node(struct file *file, void *buffer, size_t size)
{
    ssize_t result = ask(file, ASK_READ, (uintptr_t)buffer, size);
    int reason = errno;
    release(file);
    errno = reason;
    return result;
}

ssize_t read(int fd, void *buffer, size_t size)
{
    struct file *file = acquire(fd, NODE);
    return file ? read_node(file, buffer, size) : REAL(read)(fd, buffer, size);
}

static off_t seek_node(struct file *file, off_t offset, int whence)
{
    off_t result = ask(file, ASK_SEEK, offset, whence);
    int reason = errno;
    release(file);
    errno = reason;
    return result;
}

off_t lseek(int fd, off_t offset, int whence)
{
    struct file *file = acquire(fd, NODE);
    return file ? seek_node(file, offset, whence) : REAL(lseek)(fd, offset, whence);
}

int close(int fd)
{
    if (is_ours(fd) && owner == getpid())
        put(fd, NULL);
    return REAL(close)(fd);
}

static int duplicated(int from, int to)
{
    if (to < 0 || to == from || (!is_ours(from) && !is_ours(to)) || owner != getpid())
        return to;
    put(to, acquire(from, NODE));
    return to;
}

int dup(int fd) { return duplicated(fd, REAL(dup)(fd)); }
int dup2(int fd, int to) { return duplicated(fd, REAL(dup2)(fd, to)); }
int dup3(int fd, int to, int flags) { return duplicated(fd, REAL(dup3)(fd, to, flags)); }

#define FCNTL(name)                                                      \
    int name(int fd, int command, ...)                                   \
    {                                                                    \
        va_list rest;                                                    \
        va_start(rest, command);                                         \
        void *argument = va_arg(rest, void *);                           \
        va_end(rest);                                                    \
        int result = REAL(name)(fd, command, argument);                  \
        if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)            \
            duplicated(fd, result);                                      \
        return result;                                                   \
    }
FCNTL(fcntl)

/* Calls with paths */

#define MODE(flags)                                                              \
    mode_t mode = 0;                                                             \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) {               \
        va_list rest;                                                            \
        va_start(rest, flags);                                                   \
        mode = va_arg(rest, mode_t);                                             \
        va_end(rest);                                                            \
    }
#define AS_NODE(path, flags) (is_node(path) && !((flags) & (O_PATH | O_DIRECTORY)))

#define OPEN(name)                                                               \
    int name(const char *path, int flags, ...)                                   \
    {                                                                            \
        char mapped[PATH_MAX];                                                   \
        MODE(flags)                                                              \
        if (AS_NODE(path, flags))                                                \
            return open_node(path, flags);                                       \
        return REAL(name)(u3v_map(path, mapped), flags, mode);                   \
    }
#define OPENAT(name)                                                             \
    int name(int at, const char *path, int flags, ...)                           \
    {                                                                            \
        char mapped[PATH_MAX];                                                   \
        MODE(flags)                                                              \
        if (AS_NODE(path, flags))                                                \
            return open_node(path, flags);                                       \
        return REAL(name)(at, u3v_map(path, mapped), flags, mode);               \
    }
/* A call whose one path is redirected: result, name, parameters, arguments with `path` mapped. */
#define REDIRECT(result, name, parameters, ...)                                  \
    result name parameters                                                       \
    {                                                                            \
        char mapped[PATH_MAX];                                                   \
        path = u3v_map(path, mapped);                                            \
        return REAL(name)(__VA_ARGS__);                                          \
    }
/* A stat that shows a node as the character device it is on a real machine. */
#define STAT(name, type, parameters, ...)                                        \
    int name parameters                                                          \
    {                                                                            \
        char mapped[PATH_MAX];                                                   \
        const char *asked = path;                                                \
        path = u3v_map(path, mapped);                                            \
        int failed = REAL(name)(__VA_ARGS__);                                    \
        if (!failed && is_node(asked)) {                                         \
            st->st_mode = S_IFCHR | 0664;                                        \
            st->st_rdev = device_number(asked);                                  \
        }                                                                        \
        return failed;                                                           \
    }

OPEN(open)
OPENAT(openat)
REDIRECT(FILE *, fopen, (const char *path, const char *mode), path, mode)
REDIRECT(DIR *, opendir, (const char *path), path)
REDIRECT(int, access, (const char *path, int mode), path, mode)
REDIRECT(int, faccessat, (int at, const char *path, int mode, int flags), at, path, mode, flags)
REDIRECT(ssize_t, readlink, (const char *path, char *out, size_t size), path, out, size)
REDIRECT(ssize_t, readlinkat, (int at, const char *path, char *out, size_t size), at, path, out, size)
STAT(stat, stat, (const char *path, struct stat *st), path, st)
STAT(lstat, stat, (const char *path, struct stat *st), path, st)
STAT(fstatat, stat, (int at, const char *path, struct stat *st, int flags), at, path, st, flags)

int statx(int at, const char *path, int flags, unsigned mask, struct statx *st)
{
    char mapped[PATH_MAX];
    int failed = REAL(statx)(at, u3v_map(path, mapped), flags, mask, st);
    if (!failed && is_node(path)) {
        st->stx_mode = S_IFCHR | 0664;
        st->stx_rdev_major = major(device_number(path));
        st->stx_rdev_minor = minor(device_number(path));
    }
    return failed;
}

/* libusb trusts sysfs only where /sys is one. */
#define STATFS(name, type)                                                       \
    int name(const char *path, struct type *st)                                  \
    {                                                                            \
        char mapped[PATH_MAX];                                                   \
        int failed = REAL(name)(u3v_map(path, mapped), st);                      \
        if (!u3v_root() || strcmp(path, "/sys"))                                 \
            return failed;                                                       \
        if (failed)                                                              \
            memset(st, 0, sizeof *st);                                           \
        st->f_type = SYSFS_MAGIC;                                                \
        return 0;                                                                \
    }
STATFS(statfs, statfs)

char *realpath(const char *path, char *out)
{
    char mapped[PATH_MAX];
    const char *root = u3v_root(), *to = u3v_map(path, mapped);
    char *found = REAL(realpath)(to, out), *prefix = NULL;
    if (found && to == mapped && (prefix = REAL(realpath)(root, NULL))) {
        size_t length = strlen(prefix);
        if (!strncmp(found, prefix, length))
            memmove(found, found + length, strlen(found + length) + 1);
        free(prefix);
    }
    return found;
}

#ifdef __GLIBC__
FCNTL(fcntl64)
OPEN(open64)
OPENAT(openat64)
REDIRECT(FILE *, fopen64, (const char *path, const char *mode), path, mode)
STAT(stat64, stat64, (const char *path, struct stat64 *st), path, st)
STAT(lstat64, stat64, (const char *path, struct stat64 *st), path, st)
STAT(fstatat64, stat64, (int at, const char *path, struct stat64 *st, int flags), at, path, st, flags)
STATFS(statfs64, statfs64)

off64_t lseek64(int fd, off64_t offset, int whence)
{
    struct file *file = acquire(fd, NODE);
    return file ? seek_node(file, offset, whence) : REAL(lseek64)(fd, offset, whence);
}

/* Entry points of programs built against older C libraries, and of fortified ones. */
STAT(__xstat, stat, (int version, const char *path, struct stat *st), version, path, st)
STAT(__lxstat, stat, (int version, const char *path, struct stat *st), version, path, st)
STAT(__xstat64, stat64, (int version, const char *path, struct stat64 *st), version, path, st)
STAT(__lxstat64, stat64, (int version, const char *path, struct stat64 *st), version, path, st)
int __open_2(const char *path, int flags) { return open(path, flags); }
int __open64_2(const char *path, int flags) { return open64(path, flags); }
int __openat_2(int at, const char *path, int flags) { return openat(at, path, flags); }
int __openat64_2(int at, const char *path, int flags) { return openat64(at, path, flags); }
REDIRECT(ssize_t, __readlink_chk, (const char *path, char *out, size_t size, size_t room), path, out, size, room)

ssize_t __read_chk(int fd, void *buffer, size_t size, size_t room)
{
    struct file *file = acquire(fd, NODE);
    return file ? read_node(file, buffer, size < room ? size : room) : REAL(__read_chk)(fd, buffer, size, room);
}

char *__realpath_chk(const char *path, char *out, size_t room)
{
    (void)room; /* both callers and callee know PATH_MAX */
    return realpath(path, out);
}
#endif

/* Hotplug for a libusb without libudev: the kernel's netlink messages */

int u3v_uevents(int flags) { return connect_to("/uevents", SOCK_SEQPACKET | flags); }

ssize_t u3v_uevent(int fd, void *buffer, size_t size)
{
    ssize_t got = recv(fd, buffer, size, 0);
    if (got)
        return got;
    int silent = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (silent >= 0) {
        REAL(dup3)(silent, fd, O_CLOEXEC);
        REAL(close)(silent);
    }
    errno = EAGAIN;
    return -1;
}

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    const struct sockaddr_nl *netlink = (const void *)address;
    int protocol = 0, yes = 1;
    socklen_t size = sizeof protocol;
    if (!u3v_root() || length < sizeof *netlink || netlink->nl_family != AF_NETLINK || !(netlink->nl_groups & 1) ||
        getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) || protocol != NETLINK_KOBJECT_UEVENT)
        return REAL(bind)(fd, address, length);
    int sock = u3v_uevents(REAL(fcntl)(fd, F_GETFL) & O_NONBLOCK ? SOCK_NONBLOCK : 0);
    if (sock < 0)
        return REAL(bind)(fd, address, length);
    setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes);
    REAL(dup3)(sock, fd, REAL(fcntl)(fd, F_GETFD) & FD_CLOEXEC ? O_CLOEXEC : 0);
    REAL(close)(sock);
    struct file *file = new_file(UEVENTS, fd, -1);
    if (file && put(fd, file))
        release(file);
    return 0;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    struct file *file = acquire(fd, UEVENTS);
    if (!file)
        return REAL(recvmsg)(fd, message, flags);
    release(file);
    struct msghdr own = *message;
    own.msg_name = NULL;
    own.msg_namelen = 0;
    ssize_t got = REAL(recvmsg)(fd, &own, flags);
    if (got == 0)
        return u3v_uevent(fd, &own, 0); /* the server is gone */
    if (got < 0)
        return got;
    message->msg_flags = own.msg_flags;
    message->msg_controllen = own.msg_controllen;
    if (message->msg_name && message->msg_namelen >= sizeof(struct sockaddr_nl)) {
        struct sockaddr_nl kernel = {.nl_family = AF_NETLINK, .nl_groups = 1};
        memcpy(message->msg_name, &kernel, sizeof kernel);
        message->msg_namelen = sizeof kernel;
    }
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part))
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_CREDENTIALS) {
            struct ucred kernel = {0, 0, 0};
            memcpy(CMSG_DATA(part), &kernel, sizeof kernel);
        }
    return got;
}
