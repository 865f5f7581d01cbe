/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A memory image fits one state of the disk, so it may be resumed from once:
 *
 *   loading   QEMU is stopped (-S) and reads mem.vmss          failure: mem.vmss was not touched
 *   renamed   mem.vmss.used, and the folder flushed            failure: renamed back
 *   told      `cont` has been sent and not been refused        failure: stays mem.vmss.used
 *   running   `cont` was answered
 *
 * A crash in `renamed` costs the suspended state though the guest did not run (a person can rename
 * the file); the other order could resume twice, which destroys the disk. */
#include "vmm-hooks/qemu_resume.h"

#include <string.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "vmm-hooks/qemu_command.h"
#include "vmm-hooks/qemu_memory.h"
#include "vmm-hooks/qemu_process.h"

#define END_WAIT_MS 5000
#define LEFTOVER_MS 3000

struct resume {
    const struct qemu_site *site;
    const struct qemu_settings *settings;
    int dirfd;
    int interrupt_fd;
    int memory_fd; /* mem.vmss; -1: boot */
    struct qemu_process *process;
    struct qmp *qmp;
    bool started;
    bool renamed;
    bool told;
};

/* Logs that WHAT failed with R: as QEMU itself puts it, if it has ended with a complaint. */
static int report(const struct resume *s, const char *what, int r)
{
    char complaint[512] = "";
    if (r == -EPIPE || r == -EIO) {
        qemu_process_wait(s->process, END_WAIT_MS);
        qemu_process_complaint(s->process, complaint, sizeof complaint);
    }
    const char *why = *complaint ? complaint : qmp_explain(s->qmp, r);
    if (r == -ESTALE)
        why = "no byte of it could be read for two minutes";
    log_error("%s: %s", what, why);
    return r;
}

/* Whether NAME is there: 1, 0, or negative errno after one logged line. */
static int look_for(int dirfd, const char *name)
{
    CLEANUP_CLOSE int fd = io_open_read(dirfd, name);
    if (fd >= 0)
        return 1;
    if (fd == -ENOENT)
        return 0;
    log_error("%s: %s", name, fd == -EINVAL ? "not an ordinary file" : strerror(-fd));
    return fd;
}

static int make_command(const struct resume *s, char ***ret)
{
    int kernel = look_for(s->dirfd, "vmlinuz");
    int initrd = kernel < 0 ? kernel : look_for(s->dirfd, "initrd.img");
    if (initrd < 0)
        return initrd;
    struct qemu_command c = {.settings = s->settings,
                             .site = s->site,
                             .kernel = kernel,
                             .initrd = initrd,
                             .incoming = s->memory_fd >= 0};
    *ret = qemu_command_new(&c);
    return *ret ? 0 : -ENOMEM;
}

/* Whether a QEMU in STATE that no hook is talking to was left behind by one that was killed, and
 * its guest is in its files: it has not run yet, or mem.vmss, which goes away before it runs, is
 * there. */
static bool is_leftover(const struct resume *s, const char *state)
{
    if (strcmp(state, "inmigrate") == 0 || strcmp(state, "prelaunch") == 0)
        return true;
    return (strcmp(state, "paused") == 0 || strcmp(state, "postmigrate") == 0) &&
           look_for(s->dirfd, QEMU_MEMORY_FILE) == 1;
}

/* A hook that lives would hold the only connection to QEMU. */
static bool end_leftover(const struct resume *s)
{
    CLEANUP_QEMU_PROCESS struct qemu_process *p = NULL;
    CLEANUP_QMP struct qmp *q = NULL;
    CLEANUP_JSON json_t *status = NULL;
    if (qemu_process_find(s->site->rundir, &p) < 0 ||
        qmp_open(qemu_process_qmp_path(p), -1, LEFTOVER_MS, &q) < 0 ||
        qmp_execute(q, "query-status", NULL, -1, LEFTOVER_MS, &status) < 0)
        return false;
    const char *state = json_string_value(json_object_get(status, "status"));
    if (!state || !is_leftover(s, state))
        return false;
    qemu_process_kill(p);
    return true;
}

static int claim(struct resume *s)
{
    int r = qemu_process_claim(s->site->rundir, &s->process);
    if (r == -EBUSY && end_leftover(s))
        r = qemu_process_claim(s->site->rundir, &s->process);
    if (r == -EBUSY)
        log_error("this guest is running already");
    return r;
}

static int start(struct resume *s)
{
    int r = claim(s);
    if (r < 0)
        return r;
    s->memory_fd = io_open_read(s->dirfd, QEMU_MEMORY_FILE);
    if (s->memory_fd < 0 && s->memory_fd != -ENOENT) {
        log_error(QEMU_MEMORY_FILE ": %s", strerror(-s->memory_fd));
        return s->memory_fd;
    }
    CLEANUP_QEMU_COMMAND char **argv = NULL;
    bool serial = !qemu_site_has(s->site, "-serial");
    r = make_command(s, &argv);
    r = r < 0 ? r : qemu_process_start(s->process, argv, s->dirfd, serial);
    if (r < 0)
        return r;
    s->started = true;
    r = qmp_open(qemu_process_qmp_path(s->process), s->interrupt_fd, QEMU_MEMORY_LATER, &s->qmp);
    return r < 0 ? report(s, "QEMU does not start", r) : 0;
}

static int load(struct resume *s)
{
    if (s->memory_fd < 0)
        return 0;
    int r = qemu_memory_begin(s->qmp, "migrate-incoming", s->memory_fd);
    r = r < 0 ? r : qemu_memory_wait(s->qmp, s->memory_fd);
    return r < 0 ? report(s, "cannot resume from " QEMU_MEMORY_FILE, r) : 0;
}

static int go_on(struct resume *s)
{
    qmp_ignore_interrupts(s->qmp);
    if (s->memory_fd >= 0) {
        int r = io_rename(s->dirfd, QEMU_MEMORY_FILE, s->dirfd, QEMU_MEMORY_USED);
        s->renamed = r == 0;
        r = r < 0 ? r : io_fsync_dir(s->dirfd, ".");
        if (r < 0) {
            log_error("cannot rename " QEMU_MEMORY_FILE ": %s", strerror(-r));
            return r;
        }
    }
    int r = qmp_execute(s->qmp, "cont", NULL, -1, QEMU_MEMORY_LATER, NULL);
    s->told = r != -EREMOTEIO;
    return r < 0 ? report(s, "the guest cannot run", r) : 0;
}

static void undo(struct resume *s)
{
    if (s->started)
        qemu_process_kill(s->process);
    if (!s->renamed || s->told)
        return;
    int r = io_rename(s->dirfd, QEMU_MEMORY_USED, s->dirfd, QEMU_MEMORY_FILE);
    r = r < 0 ? r : io_fsync_dir(s->dirfd, ".");
    if (r < 0)
        log_warning("cannot rename " QEMU_MEMORY_USED " back to " QEMU_MEMORY_FILE ": %s",
                    strerror(-r));
}

int qemu_resume_guest(const struct qemu_site *site, const struct qemu_settings *settings, int dirfd,
                      int interrupt_fd)
{
    struct resume s = {.site = site,
                       .settings = settings,
                       .dirfd = dirfd,
                       .interrupt_fd = interrupt_fd,
                       .memory_fd = -1};
    int r = start(&s);
    r = r < 0 ? r : load(&s);
    r = r < 0 ? r : go_on(&s);
    if (r < 0)
        undo(&s);
    qmp_free(s.qmp);
    qemu_process_free(s.process);
    cleanup_close(&s.memory_fd);
    return r;
}
