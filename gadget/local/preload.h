/* Shared by the two halves of the preload library. */
#ifndef U3V_PRELOAD_H
#define U3V_PRELOAD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <limits.h>
#include <sys/types.h>

#define HIDDEN __attribute__((visibility("hidden")))

/* The function behind ours, looked up once; a race finds the same pointer twice. */
#define LOOK_UP(name, finder)                                                   \
    ({                                                                          \
        static __typeof__(&name) found;                                         \
        __typeof__(&name) f_ = __atomic_load_n(&found, __ATOMIC_RELAXED);       \
        if (!f_) {                                                              \
            f_ = (__typeof__(&name))(finder);                                   \
            __atomic_store_n(&found, f_, __ATOMIC_RELAXED);                     \
        }                                                                       \
        f_;                                                                     \
    })
#define REAL(name) LOOK_UP(name, dlsym(RTLD_NEXT, #name))

/* The server's directory, or NULL: then every function is a plain pass-through. */
HIDDEN const char *u3v_root(void);

/* `path` itself, or where the server keeps that file (written to `out`). */
HIDDEN const char *u3v_map(const char *path, char out[PATH_MAX]);

/* A SOCK_SEQPACKET socket that receives the kernel's hotplug messages; -1 and errno. */
HIDDEN int u3v_uevents(int flags);

/* Take a message from it. The server's end is reported once as EAGAIN; then the fd stays silent. */
HIDDEN ssize_t u3v_uevent(int fd, void *buffer, size_t size);

#endif
