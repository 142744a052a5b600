/* libudev as a libusb program uses it, with the server's devices in the place of the machine's.
 *
 * libudev trusts its own way into sysfs, which changes from release to release; so the calls themselves are
 * answered here. The program's enumerators and monitors stay libudev's objects; a note beside them says that
 * they are about USB. Devices and list entries of ours are told from libudev's by their first word. Other
 * subsystems pass through untouched. What we know of a device is its properties: KEY=value lines, as the
 * kernel writes them to the file `uevent` and sends them in hotplug messages.
 */
#include "preload.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A program may have loaded libudev where RTLD_NEXT does not look. */
static void *find(const char *name)
{
    void *library = dlopen("libudev.so.1", RTLD_LAZY);
    return library ? dlsym(library, name) : NULL;
}
#define LIBUDEV(name) LOOK_UP(name, find(#name))

#define MAGIC 0x7533762d75646576 /* "vedu-v3u" */

struct udev;

struct udev_list_entry {
    uint64_t magic;
    struct udev_list_entry *next;
    char *name, *value;
};

struct udev_device {
    uint64_t magic;
    int refs;
    struct udev *udev;
    char *syspath, *devnode;
    struct udev_list_entry *properties, *attributes;
};

static int mine(const void *object) { return object && *(const uint64_t *)object == MAGIC; }

/* Lists */

static void add_entry(struct udev_list_entry **list, const char *name, const char *value)
{
    struct udev_list_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return;
    *entry = (struct udev_list_entry){MAGIC, *list, strdup(name), value ? strdup(value) : NULL};
    *list = entry;
}

static void free_list(struct udev_list_entry *list)
{
    while (list) {
        struct udev_list_entry *next = list->next;
        list->magic = 0;
        free(list->name);
        free(list->value);
        free(list);
        list = next;
    }
}

static struct udev_list_entry *find_entry(struct udev_list_entry *list, const char *name)
{
    while (list && strcmp(list->name, name))
        list = list->next;
    return list;
}

struct udev_list_entry *udev_list_entry_get_next(struct udev_list_entry *entry)
{
    return mine(entry) ? entry->next : LIBUDEV(udev_list_entry_get_next)(entry);
}

struct udev_list_entry *udev_list_entry_get_by_name(struct udev_list_entry *entry, const char *name)
{
    return mine(entry) ? find_entry(entry, name) : LIBUDEV(udev_list_entry_get_by_name)(entry, name);
}

const char *udev_list_entry_get_name(struct udev_list_entry *entry)
{
    return mine(entry) ? entry->name : LIBUDEV(udev_list_entry_get_name)(entry);
}

const char *udev_list_entry_get_value(struct udev_list_entry *entry)
{
    return mine(entry) ? entry->value : LIBUDEV(udev_list_entry_get_value)(entry);
}

/* Devices */

static const char *property(struct udev_device *device, const char *key)
{
    struct udev_list_entry *entry = find_entry(device->properties, key);
    return entry ? entry->value : NULL;
}

/* From KEY=value lines (ended by newline or NUL); `syspath` NULL: as DEVPATH says. */
static struct udev_device *make(struct udev *udev, const char *syspath, const char *lines, size_t length)
{
    struct udev_device *device = calloc(1, sizeof *device);
    if (!device)
        return NULL;
    device->magic = MAGIC;
    device->refs = 1;
    device->udev = udev;
    for (size_t at = 0, end; at < length; at = end + 1) {
        char line[512];
        for (end = at; end < length && lines[end] && lines[end] != '\n'; end++)
            ;
        snprintf(line, sizeof line, "%.*s", (int)(end - at), lines + at);
        char *equals = strchr(line, '=');
        if (equals) {
            *equals = 0;
            add_entry(&device->properties, line, equals + 1);
        }
    }
    char path[PATH_MAX];
    const char *devpath = property(device, "DEVPATH"), *name = property(device, "DEVNAME");
    snprintf(path, sizeof path, "/sys%s", devpath ? devpath : "");
    device->syspath = strdup(syspath ? syspath : path);
    if (name && snprintf(path, sizeof path, "/dev/%s", name) < (int)sizeof path)
        device->devnode = strdup(path);
    if (!property(device, "SUBSYSTEM"))
        add_entry(&device->properties, "SUBSYSTEM", "usb");
    return device;
}

/* The text of a file of ours below `syspath`, or NULL; `out` has `size` bytes. */
static char *read_file(const char *syspath, const char *name, char *out, size_t size, size_t *length)
{
    char path[PATH_MAX], mapped[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", syspath, name) >= (int)sizeof path ||
        u3v_map(path, mapped) != mapped)
        return NULL;
    int fd = open(mapped, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, out, size - 1);
    if (fd >= 0)
        close(fd);
    if (got < 0)
        return NULL;
    out[got] = 0;
    *length = got;
    return out;
}

/* The device at `syspath`, or NULL where that is none of ours. */
static struct udev_device *load(struct udev *udev, const char *syspath)
{
    char real[PATH_MAX], text[4096];
    size_t length;
    if (!syspath || !u3v_root() || !realpath(syspath, real) || !read_file(real, "uevent", text, sizeof text, &length))
        return NULL;
    return make(udev, real, text, length);
}

struct udev_device *udev_device_new_from_syspath(struct udev *udev, const char *syspath)
{
    struct udev_device *device = load(udev, syspath);
    return device ? device : LIBUDEV(udev_device_new_from_syspath)(udev, syspath);
}

struct udev_device *udev_device_new_from_devnum(struct udev *udev, char type, dev_t number)
{
    char path[64];
    snprintf(path, sizeof path, "/sys/dev/char/%u:%u", major(number), minor(number));
    struct udev_device *device = type == 'c' ? load(udev, path) : NULL;
    return device ? device : LIBUDEV(udev_device_new_from_devnum)(udev, type, number);
}

struct udev_device *udev_device_new_from_subsystem_sysname(struct udev *udev, const char *subsystem, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "/sys/bus/usb/devices/%s", name ? name : "");
    struct udev_device *device = subsystem && !strcmp(subsystem, "usb") ? load(udev, path) : NULL;
    return device ? device : LIBUDEV(udev_device_new_from_subsystem_sysname)(udev, subsystem, name);
}

struct udev_device *udev_device_ref(struct udev_device *device)
{
    if (!mine(device))
        return LIBUDEV(udev_device_ref)(device);
    __atomic_add_fetch(&device->refs, 1, __ATOMIC_RELAXED);
    return device;
}

struct udev_device *udev_device_unref(struct udev_device *device)
{
    if (!mine(device))
        return LIBUDEV(udev_device_unref)(device);
    if (__atomic_sub_fetch(&device->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        free_list(device->properties);
        free_list(device->attributes);
        free(device->syspath);
        free(device->devnode);
        device->magic = 0;
        free(device);
    }
    return NULL;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static dev_t number_of(struct udev_device *device)
{
    const char *high = property(device, "MAJOR"), *low = property(device, "MINOR");
    return high && low ? makedev(atoi(high), atoi(low)) : 0;
}

static const char *digits_of(struct udev_device *device)
{
    const char *name = last_part(device->syspath), *at = name + strlen(name);
    while (at > name && at[-1] >= '0' && at[-1] <= '9')
        at--;
    return *at ? at : NULL;
}

static const char *attribute(struct udev_device *device, const char *name)
{
    char text[4096];
    size_t length;
    struct udev_list_entry *entry = find_entry(device->attributes, name);
    if (!entry && read_file(device->syspath, name, text, sizeof text, &length)) {
        while (length && text[length - 1] == '\n')
            text[--length] = 0;
        add_entry(&device->attributes, name, text);
        entry = device->attributes;
    }
    return entry ? entry->value : NULL;
}

#define DEVICE(type, name, ours)                                                 \
    type udev_device_get_##name(struct udev_device *device)                      \
    {                                                                            \
        return mine(device) ? (ours) : LIBUDEV(udev_device_get_##name)(device);  \
    }
#define DEVICE_NAMED(type, name, ours)                                           \
    type udev_device_##name(struct udev_device *device, const char *key)         \
    {                                                                            \
        return mine(device) ? (ours) : LIBUDEV(udev_device_##name)(device, key); \
    }

DEVICE(struct udev *, udev, device->udev)
DEVICE(const char *, devpath, device->syspath + strlen("/sys"))
DEVICE(const char *, subsystem, property(device, "SUBSYSTEM"))
DEVICE(const char *, devtype, property(device, "DEVTYPE"))
DEVICE(const char *, syspath, device->syspath)
DEVICE(const char *, sysname, last_part(device->syspath))
DEVICE(const char *, sysnum, digits_of(device))
DEVICE(const char *, devnode, device->devnode)
DEVICE(const char *, driver, property(device, "DRIVER"))
DEVICE(const char *, action, property(device, "ACTION"))
DEVICE(dev_t, devnum, number_of(device))
DEVICE(unsigned long long, seqnum, property(device, "SEQNUM") ? strtoull(property(device, "SEQNUM"), NULL, 10) : 0)
DEVICE(unsigned long long, usec_since_initialized, 1)
DEVICE(int, is_initialized, 1)
DEVICE(struct udev_device *, parent, NULL)
DEVICE(struct udev_list_entry *, devlinks_list_entry, NULL)
DEVICE(struct udev_list_entry *, properties_list_entry, device->properties)
DEVICE(struct udev_list_entry *, tags_list_entry, NULL)
DEVICE(struct udev_list_entry *, current_tags_list_entry, NULL)
DEVICE(struct udev_list_entry *, sysattr_list_entry, NULL)
DEVICE_NAMED(const char *, get_property_value, property(device, key))
DEVICE_NAMED(const char *, get_sysattr_value, attribute(device, key))
DEVICE_NAMED(int, has_tag, 0)
DEVICE_NAMED(int, has_current_tag, 0)

struct udev_device *udev_device_get_parent_with_subsystem_devtype(
    struct udev_device *device, const char *subsystem, const char *devtype)
{
    if (mine(device))
        return NULL;
    return LIBUDEV(udev_device_get_parent_with_subsystem_devtype)(device, subsystem, devtype);
}

/* Notes: which of the program's enumerators and monitors are about USB */

struct note {
    struct note *next;
    const void *object;
    struct udev *udev;
    int refs, fd; /* monitor: our socket */
    struct udev_list_entry *found;
};

static struct note *notes;
static pthread_mutex_t noting = PTHREAD_MUTEX_INITIALIZER;

static struct note *note_of(const void *object)
{
    pthread_mutex_lock(&noting);
    struct note *note = notes;
    while (note && note->object != object)
        note = note->next;
    pthread_mutex_unlock(&noting);
    return note;
}

static struct note *take_note(const void *object, struct udev *udev)
{
    struct note *note = note_of(object);
    if (note || !(note = calloc(1, sizeof *note)))
        return note;
    *note = (struct note){NULL, object, udev, 1, -1, NULL};
    pthread_mutex_lock(&noting);
    note->next = notes;
    notes = note;
    pthread_mutex_unlock(&noting);
    return note;
}

static void change_refs(const void *object, int change)
{
    struct note *gone = NULL;
    pthread_mutex_lock(&noting);
    for (struct note **at = &notes; *at; at = &(*at)->next)
        if ((*at)->object == object) {
            if (((*at)->refs += change) <= 0) {
                gone = *at;
                *at = gone->next;
            }
            break;
        }
    pthread_mutex_unlock(&noting);
    if (!gone)
        return;
    free_list(gone->found);
    if (gone->fd >= 0)
        close(gone->fd);
    free(gone);
}

static int is_usb(const char *subsystem) { return u3v_root() && subsystem && !strcmp(subsystem, "usb"); }

/* Enumerators */

struct udev_enumerate;

int udev_enumerate_add_match_subsystem(struct udev_enumerate *enumerate, const char *subsystem)
{
    if (is_usb(subsystem))
        take_note(enumerate, NULL);
    return LIBUDEV(udev_enumerate_add_match_subsystem)(enumerate, subsystem);
}

int udev_enumerate_scan_devices(struct udev_enumerate *enumerate)
{
    struct note *note = note_of(enumerate);
    if (!note)
        return LIBUDEV(udev_enumerate_scan_devices)(enumerate);
    free_list(note->found);
    note->found = NULL;
    DIR *devices = opendir("/sys/bus/usb/devices");
    for (struct dirent *entry; devices && (entry = readdir(devices));) {
        char path[PATH_MAX], real[PATH_MAX];
        snprintf(path, sizeof path, "/sys/bus/usb/devices/%s", entry->d_name);
        if (entry->d_name[0] != '.' && !strchr(entry->d_name, ':') && realpath(path, real))
            add_entry(&note->found, real, NULL);
    }
    if (devices)
        closedir(devices);
    return 0;
}

struct udev_list_entry *udev_enumerate_get_list_entry(struct udev_enumerate *enumerate)
{
    struct note *note = note_of(enumerate);
    return note ? note->found : LIBUDEV(udev_enumerate_get_list_entry)(enumerate);
}

struct udev_enumerate *udev_enumerate_ref(struct udev_enumerate *enumerate)
{
    change_refs(enumerate, 1);
    return LIBUDEV(udev_enumerate_ref)(enumerate);
}

struct udev_enumerate *udev_enumerate_unref(struct udev_enumerate *enumerate)
{
    change_refs(enumerate, -1);
    return LIBUDEV(udev_enumerate_unref)(enumerate);
}

/* Monitors */

struct udev_monitor;
struct udev *udev_monitor_get_udev(struct udev_monitor *monitor)
{
    return LIBUDEV(udev_monitor_get_udev)(monitor);
}

int udev_monitor_filter_add_match_subsystem_devtype(
    struct udev_monitor *monitor, const char *subsystem, const char *devtype)
{
    struct note *note = is_usb(subsystem) ? take_note(monitor, udev_monitor_get_udev(monitor)) : NULL;
    if (note && note->fd < 0)
        note->fd = u3v_uevents(SOCK_NONBLOCK);
    return LIBUDEV(udev_monitor_filter_add_match_subsystem_devtype)(monitor, subsystem, devtype);
}

int udev_monitor_get_fd(struct udev_monitor *monitor)
{
    struct note *note = note_of(monitor);
    return note && note->fd >= 0 ? note->fd : LIBUDEV(udev_monitor_get_fd)(monitor);
}

struct udev_device *udev_monitor_receive_device(struct udev_monitor *monitor)
{
    char message[4096];
    struct note *note = note_of(monitor);
    if (!note || note->fd < 0)
        return LIBUDEV(udev_monitor_receive_device)(monitor);
    ssize_t got = u3v_uevent(note->fd, message, sizeof message - 1);
    if (got <= 0)
        return NULL;
    return make(note->udev, NULL, message, got);
}

struct udev_monitor *udev_monitor_ref(struct udev_monitor *monitor)
{
    change_refs(monitor, 1);
    return LIBUDEV(udev_monitor_ref)(monitor);
}

struct udev_monitor *udev_monitor_unref(struct udev_monitor *monitor)
{
    change_refs(monitor, -1);
    return LIBUDEV(udev_monitor_unref)(monitor);
}
