/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Order of what becomes durable: memory (under a temporary name), disk, the name mem.vmss. So
 * wherever this is cut off, a mem.vmss that is there fits the disk. QEMU has let go of the disk
 * when its migration is complete: nothing writes to it any more, until `cont` on the way back.
 *
 *   stopped   failure: cont
 *   written   mem.vmss.tmp is whole and flushed      failure: removed, cont
 *   named     mem.vmss is there and the folder flushed: done, whatever QEMU does now */
#include "vmm-hooks/qemu_suspend.h"

#include <string.h>
#include <sys/stat.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "vmm-hooks/qemu_memory.h"
#include "vmm-hooks/qemu_process.h"

#define MAGIC          "QEVM" /* how a migration stream begins */
#define CANCEL_TRIES   10
#define CANCEL_WAIT_MS 1000

struct suspend {
    int dirfd;
    int memory_fd; /* mem.vmss.tmp, -1 before it is made */
    struct qemu_process *process;
    struct qmp *qmp;
    bool ran;   /* the guest was running when we came */
    bool named; /* it is mem.vmss */
};

static int report(const struct suspend *s, const char *what, int r)
{
    log_error("%s: %s", what, qmp_explain(s->qmp, r));
    return r;
}

static int find(const struct qemu_site *site, struct suspend *s)
{
    int r = qemu_process_find(site->rundir, &s->process);
    if (r == -ESRCH)
        log_error("this guest is not running");
    if (r == -EBUSY)
        log_error("this guest is just being started");
    if (r < 0)
        return r;
    r = qmp_open(qemu_process_qmp_path(s->process), -1, QEMU_MEMORY_SOON, &s->qmp);
    if (r == -ETIMEDOUT)
        log_error("QEMU does not answer, or another command is talking to it");
    else if (r < 0)
        report(s, "cannot talk to QEMU", r);
    return r;
}

static bool exists(int dirfd, const char *name)
{
    CLEANUP_CLOSE int fd = io_open_read(dirfd, name);
    return fd >= 0;
}

/* Ends a migration that is under way, so that the guest can go on or be written anew. 1 if there
 * was one, 0, or negative errno. */
static int cancel(const struct suspend *s)
{
    static const char *const over[] = {"none", "completed", "failed", "cancelled"};
    for (int found = 0; found <= CANCEL_TRIES; found++) {
        CLEANUP_JSON json_t *info = NULL;
        CLEANUP_JSON json_t *event = NULL;
        int r = qmp_execute(s->qmp, "query-migrate", NULL, -1, QEMU_MEMORY_SOON, &info);
        const char *status = json_string_value(json_object_get(info, "status"));
        for (size_t i = 0; r == 0 && i < sizeof over / sizeof *over; i++)
            if (!status || strcmp(status, over[i]) == 0)
                return found > 0;
        r = r < 0 ? r : qmp_execute(s->qmp, "migrate_cancel", NULL, -1, QEMU_MEMORY_SOON, NULL);
        if (r < 0)
            return r;
        qmp_wait_event(s->qmp, "MIGRATION", CANCEL_WAIT_MS, &event); /* or look again */
    }
    return -ETIMEDOUT;
}

/* Stops the guest. 1: an earlier hook had all done but ending QEMU. An earlier hook that was killed
 * may have left the guest stopped, a migration under way, or one that is complete. */
static int stop(struct suspend *s)
{
    CLEANUP_JSON json_t *status = NULL;
    int left = cancel(s);
    int r =
        left < 0 ? left : qmp_execute(s->qmp, "query-status", NULL, -1, QEMU_MEMORY_SOON, &status);
    if (r < 0)
        return report(s, "cannot ask QEMU", r);
    const char *state = json_string_value(json_object_get(status, "status"));
    s->ran = left > 0 || json_is_true(json_object_get(status, "running"));
    if (!state || strcmp(state, "inmigrate") == 0 || strcmp(state, "prelaunch") == 0) {
        log_error("this guest has not begun to run");
        return -EBUSY;
    }
    if (strcmp(state, "postmigrate") == 0) {
        if (exists(s->dirfd, QEMU_MEMORY_FILE))
            return 1;
        r = qmp_execute(s->qmp, "cont", NULL, -1, QEMU_MEMORY_LATER, NULL);
        if (r < 0)
            return report(s, "the guest cannot go on", r);
        s->ran = true;
    }
    r = qmp_execute(s->qmp, "stop", NULL, -1, QEMU_MEMORY_LATER, NULL);
    return r < 0 ? report(s, "cannot stop the guest", r) : 0;
}

static int log_write(const char *name, int r)
{
    log_error("cannot write %s: %s", name, strerror(-r));
    return r;
}

/* QEMU's own reason for a failed migration, if it has one. */
static int report_migration(const struct suspend *s, int r)
{
    CLEANUP_JSON json_t *info = NULL;
    const char *why = NULL;
    if (r == -EIO && qmp_execute(s->qmp, "query-migrate", NULL, -1, QEMU_MEMORY_SOON, &info) == 0)
        why = json_string_value(json_object_get(info, "error-desc"));
    if (r == -ESTALE)
        why = "no byte of it could be written for two minutes";
    char text[512];
    log_error("cannot write " QEMU_MEMORY_FILE ": %s",
              log_clean(text, sizeof text, why ? why : qmp_explain(s->qmp, r)));
    return r;
}

/* "completed" is QEMU's word only: looks at the file. */
static int check_stream(int fd)
{
    struct stat st;
    char magic[sizeof MAGIC - 1];
    if (fstat(fd, &st) < 0)
        return -errno;
    ssize_t n = io_pread(fd, magic, sizeof magic, 0);
    if (n < 0)
        return (int)n;
    if (n < (ssize_t)sizeof magic || memcmp(magic, MAGIC, sizeof magic) != 0 ||
        st.st_size != lseek(fd, 0, SEEK_CUR))
        return -EIO;
    return 0;
}

static int write_memory(struct suspend *s)
{
    int r = io_unlink(s->dirfd, QEMU_MEMORY_TEMP);
    s->memory_fd = r == 0 || r == -ENOENT ? io_create(s->dirfd, QEMU_MEMORY_TEMP, 0, 0600) : r;
    if (s->memory_fd < 0)
        return log_write(QEMU_MEMORY_TEMP, s->memory_fd);
    r = qemu_memory_begin(s->qmp, "migrate", s->memory_fd);
    r = r < 0 ? r : qemu_memory_wait(s->qmp, s->memory_fd);
    if (r < 0)
        return report_migration(s, r);
    r = check_stream(s->memory_fd);
    r = r < 0 ? r : io_fsync(s->memory_fd);
    return r < 0 ? log_write(QEMU_MEMORY_TEMP, r) : 0;
}

static int make_durable(struct suspend *s)
{
    CLEANUP_CLOSE int disk = io_open_read(s->dirfd, "disk.img");
    int r = disk < 0 ? disk : io_fsync(disk);
    if (r < 0)
        return log_write("disk.img", r);
    r = io_rename(s->dirfd, QEMU_MEMORY_TEMP, s->dirfd, QEMU_MEMORY_FILE);
    s->named = r == 0;
    r = r < 0 ? r : io_fsync_dir(s->dirfd, ".");
    return r < 0 ? log_write(QEMU_MEMORY_FILE, r) : 0;
}

/* Memory that is older than the disk must be gone before the guest goes on. */
static void undo(struct suspend *s)
{
    cancel(s); /* if it fails, so does cont */
    int r = s->named ? io_unlink(s->dirfd, QEMU_MEMORY_FILE) : 0;
    r = r == 0 && s->named ? io_fsync_dir(s->dirfd, ".") : r;
    if (r < 0 && r != -ENOENT) {
        log_warning("the guest stays stopped, as " QEMU_MEMORY_FILE " cannot be removed: %s",
                    strerror(-r));
        return;
    }
    if (s->memory_fd >= 0 && !s->named)
        io_unlink(s->dirfd, QEMU_MEMORY_TEMP);
    r = s->ran ? qmp_execute(s->qmp, "cont", NULL, -1, QEMU_MEMORY_LATER, NULL) : 0;
    if (r < 0)
        log_warning("the guest cannot go on: %s", qmp_explain(s->qmp, r));
}

/* The guest is safe in its files: nothing here can fail. */
static void finish(struct suspend *s)
{
    int r = io_unlink(s->dirfd, QEMU_MEMORY_USED);
    if (r < 0 && r != -ENOENT)
        log_warning("cannot remove " QEMU_MEMORY_USED ": %s", strerror(-r));
    r = qmp_execute(s->qmp, "quit", NULL, -1, QEMU_MEMORY_SOON, NULL);
    if ((r < 0 && r != -EPIPE) || qemu_process_wait(s->process, QEMU_MEMORY_SOON) < 0)
        qemu_process_kill(s->process);
}

int qemu_suspend_guest(const struct qemu_site *site, int dirfd)
{
    struct suspend s = {.dirfd = dirfd, .memory_fd = -1};
    int r = find(site, &s);
    if (r == 0) {
        r = stop(&s);
        r = r != 0 ? r : write_memory(&s);
        r = r != 0 ? r : make_durable(&s);
        if (r < 0)
            undo(&s);
    }
    if (r >= 0)
        finish(&s);
    qmp_free(s.qmp);
    qemu_process_free(s.process);
    cleanup_close(&s.memory_fd);
    return r < 0 ? r : 0;
}
