/* What stands between the worker and the disk, loaded before libc: it writes
 * down each change of a file or directory under one root, in order and with
 * its bytes, and it makes faults on demand. A power cut is made from what it
 * wrote down. Nothing ships with it.
 *
 *   TORTURE_ROOT     the directory that is watched
 *   TORTURE_JOURNAL  where the record goes; none is kept without it
 *   TORTURE_KILL_AT  the process is killed at this change, a write halfway
 *   TORTURE_FAULT    a file whose first byte names the fault that is on
 *
 * A record is: kind (1 byte), length of the path (2), offset (8), length of
 * the data (4), all little-endian; the path below the root; the data.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FDS 4096
enum kind {
    MADE = 'c',     /* a file was made */
    DIRECTORY = 'm',/* a directory was made */
    WRITTEN = 'w',
    CUT = 't',      /* the length was set, to the offset */
    SYNCED = 's',   /* a file or a directory */
    REMOVED = 'u',
    RENAMED = 'r',  /* the data is the new path */
};
enum fault { NONE = '0', FULL = 'f', READ_ONLY = 'r', NO_SYNC = 's', BROKEN = 'b', NO_HANDLES = 'h', FORBIDDEN = 'p' };

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_len;
static int journal = -1;
static long kill_at = -1, changes = 0;
static volatile const char *fault_byte;
static char *path_of[FDS];

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static ssize_t real_write(int fd, const void *data, size_t count) {
    REAL(ssize_t, "write", int, const void *, size_t);
    return real(fd, data, count);
}

__attribute__((constructor)) static void start(void) {
    const char *text = getenv("TORTURE_ROOT");
    if (!text || !realpath(text, root)) return;
    root_len = strlen(root);
    text = getenv("TORTURE_KILL_AT");
    if (text) kill_at = atol(text);
    text = getenv("TORTURE_FAULT");
    if (text) {
        int fd = open(text, O_RDONLY | O_CLOEXEC);
        void *page = fd < 0 ? MAP_FAILED : mmap(0, 1, PROT_READ, MAP_SHARED, fd, 0);
        if (page != MAP_FAILED) fault_byte = page;
        if (fd >= 0) close(fd);
    }
    text = getenv("TORTURE_JOURNAL");
    if (text) journal = open(text, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static int on(enum fault fault) { return fault_byte && *fault_byte == (char)fault; }

/* The path below the root, or nothing when it is not watched. What stands in
 * shared memory is not on the disk. */
static const char *below(const char *path) {
    static __thread char whole[2 * PATH_MAX];
    if (!root_len) return 0;
    if (path[0] != '/') {
        if (!getcwd(whole, PATH_MAX)) return 0;
        strcat(whole, "/");
        strncat(whole, path, PATH_MAX - 1);
        path = whole;
    }
    if (strncmp(path, root, root_len) || (path[root_len] && path[root_len] != '/')) return 0;
    const char *rest = path + root_len;
    while (*rest == '/') rest++;
    size_t len = strlen(rest);
    if (len > 4 && !strcmp(rest + len - 4, "-shm")) return 0;
    return rest;
}

static void put(const void *data, size_t count) {
    while (count) {
        ssize_t done = real_write(journal, data, count);
        if (done <= 0) _exit(97);
        data = (const char *)data + done;
        count -= (size_t)done;
    }
}

static void note(enum kind kind, const char *path, uint64_t offset, const void *data, size_t count) {
    if (journal < 0) return;
    unsigned char head[15];
    uint16_t path_len = (uint16_t)strlen(path);
    uint32_t len = (uint32_t)count;
    head[0] = (unsigned char)kind;
    memcpy(head + 1, &path_len, 2);
    memcpy(head + 3, &offset, 8);
    memcpy(head + 11, &len, 4);
    put(head, sizeof head);
    put(path, path_len);
    put(data, count);
}

/* Whether the process is to die at the change that comes now. */
static int last_change(void) { return kill_at >= 0 && ++changes >= kill_at; }

static void die_if_due(void) {
    if (last_change()) kill(getpid(), SIGKILL);
}

static int watched(int fd) { return fd >= 0 && fd < FDS && path_of[fd] != 0; }

static int opened(const char *path, int flags, mode_t mode, int (*real)(const char *, int, ...)) {
    const char *rest = below(path);
    if (!rest) return real(path, flags, mode);
    if (on(NO_HANDLES)) return errno = EMFILE, -1;
    if (on(FORBIDDEN)) return errno = EACCES, -1;
    pthread_mutex_lock(&one);
    struct stat found;
    int there = !stat(path, &found);
    int fd = -1;
    if (!there && (flags & O_CREAT) && (on(FULL) || on(READ_ONLY))) {
        errno = on(FULL) ? ENOSPC : EROFS;
    } else {
        if (!there && (flags & O_CREAT)) die_if_due();
        fd = real(path, flags, mode);
    }
    if (fd >= 0 && fd < FDS) {
        free(path_of[fd]);
        path_of[fd] = strdup(rest);
        if (!there) note(MADE, rest, 0, 0, 0);
        else if (flags & O_TRUNC) note(CUT, rest, 0, 0, 0);
    }
    pthread_mutex_unlock(&one);
    return fd;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        mode_t mode = 0; \
        if (flags & O_CREAT) { \
            va_list list; \
            va_start(list, flags); \
            mode = va_arg(list, mode_t); \
            va_end(list); \
        } \
        static int (*real)(const char *, int, ...); \
        if (!real) real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name); \
        return opened(path, flags, mode, real); \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    REAL(int, "close", int);
    if (watched(fd)) {
        pthread_mutex_lock(&one);
        free(path_of[fd]);
        path_of[fd] = 0;
        pthread_mutex_unlock(&one);
    }
    return real(fd);
}

/* A write at an offset; `at` is negative for where the file stands. */
static ssize_t written(int fd, const void *data, size_t count, off_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t);
    if (on(FULL)) return errno = ENOSPC, -1;
    if (on(READ_ONLY)) return errno = EROFS, -1;
    if (on(BROKEN)) return errno = EIO, -1;
    pthread_mutex_lock(&one);
    off_t offset = at;
    if (at < 0) {
        int append = fcntl(fd, F_GETFL) & O_APPEND;
        offset = lseek(fd, 0, append ? SEEK_END : SEEK_CUR);
    }
    if (last_change()) {
        real(fd, data, count / 2, offset);
        kill(getpid(), SIGKILL);
    }
    ssize_t done = at < 0 ? real_write(fd, data, count) : real(fd, data, count, at);
    if (done > 0) note(WRITTEN, path_of[fd], (uint64_t)offset, data, (size_t)done);
    pthread_mutex_unlock(&one);
    return done;
}

ssize_t write(int fd, const void *data, size_t count) {
    return watched(fd) ? written(fd, data, count, -1) : real_write(fd, data, count);
}

#define PWRITE(name) \
    ssize_t name(int fd, const void *data, size_t count, off_t at) { \
        REAL(ssize_t, #name, int, const void *, size_t, off_t); \
        return watched(fd) ? written(fd, data, count, at) : real(fd, data, count, at); \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define CUT_TO(name) \
    int name(int fd, off_t length) { \
        REAL(int, #name, int, off_t); \
        if (!watched(fd)) return real(fd, length); \
        if (on(FULL)) return errno = ENOSPC, -1; \
        if (on(READ_ONLY)) return errno = EROFS, -1; \
        pthread_mutex_lock(&one); \
        die_if_due(); \
        int done = real(fd, length); \
        if (!done) note(CUT, path_of[fd], (uint64_t)length, 0, 0); \
        pthread_mutex_unlock(&one); \
        return done; \
    }
CUT_TO(ftruncate)
CUT_TO(ftruncate64)

/* What was written before a sync began is on the disk when it has ended: no
 * other change comes between, because the lock is held. */
#define SYNC(name) \
    int name(int fd) { \
        REAL(int, #name, int); \
        if (!watched(fd)) return real(fd); \
        if (on(NO_SYNC) || on(BROKEN)) return errno = EIO, -1; \
        pthread_mutex_lock(&one); \
        die_if_due(); \
        int done = real(fd); \
        if (!done) note(SYNCED, path_of[fd], 0, 0, 0); \
        pthread_mutex_unlock(&one); \
        return done; \
    }
SYNC(fsync)
SYNC(fdatasync)

int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    const char *rest = below(path);
    if (!rest) return real(path, mode);
    if (on(FULL)) return errno = ENOSPC, -1;
    pthread_mutex_lock(&one);
    die_if_due();
    int done = real(path, mode);
    if (!done) note(DIRECTORY, rest, 0, 0, 0);
    pthread_mutex_unlock(&one);
    return done;
}

int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    const char *rest = below(path);
    if (!rest) return real(path);
    pthread_mutex_lock(&one);
    die_if_due();
    int done = real(path);
    if (!done) note(REMOVED, rest, 0, 0, 0);
    pthread_mutex_unlock(&one);
    return done;
}

int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    char old[PATH_MAX];
    const char *rest = below(from);
    if (!rest) return real(from, to);
    snprintf(old, sizeof old, "%s", rest);
    const char *new = below(to);
    pthread_mutex_lock(&one);
    die_if_due();
    int done = real(from, to);
    if (!done) note(RENAMED, old, 0, new ? new : "", new ? strlen(new) : 0);
    pthread_mutex_unlock(&one);
    return done;
}
