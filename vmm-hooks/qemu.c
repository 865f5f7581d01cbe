/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hook for QEMU: qemu VERB DIR, see isr-vmm-hook(7). Each verb is one short run; between them
 * QEMU is on its own, and is found again by its run folder (qemu_process.c).
 *
 * Signals: `resume` takes SIGINT, SIGTERM and SIGHUP through a descriptor and undoes what it began;
 * `suspend` ignores them, since it must end with the guest either running or safe. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "vmm-hooks/qemu_memory.h"
#include "vmm-hooks/qemu_process.h"
#include "vmm-hooks/qemu_resume.h"
#include "vmm-hooks/qemu_settings.h"
#include "vmm-hooks/qemu_site.h"
#include "vmm-hooks/qemu_suspend.h"

enum exit_status { DONE = 0, FAILED = 1, CANNOT = 2 };

/* What a verb works on. */
struct guest {
    const struct qemu_site *site;
    struct qemu_settings settings; /* only for verbs that need them */
    int dirfd;
};

static sigset_t ending_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

static enum exit_status probe(struct guest *g)
{
    (void)g; /* main has looked at all there is */
    return DONE;
}

static enum exit_status resume(struct guest *g)
{
    sigset_t set = ending_signals();
    sigprocmask(SIG_BLOCK, &set, NULL);
    CLEANUP_CLOSE int interrupt_fd = signalfd(-1, &set, SFD_CLOEXEC);
    return qemu_resume_guest(g->site, &g->settings, g->dirfd, interrupt_fd) < 0 ? FAILED : DONE;
}

static enum exit_status suspend(struct guest *g)
{
    sigset_t set = ending_signals();
    sigprocmask(SIG_BLOCK, &set, NULL);
    return qemu_suspend_guest(g->site, g->dirfd) < 0 ? FAILED : DONE;
}

/* 0 with *RET NULL when none runs. */
static int find(const struct guest *g, struct qemu_process **ret)
{
    int r = qemu_process_find(g->site->rundir, ret);
    if (r == -EBUSY)
        log_error("this guest is just being started");
    return r == -ESRCH ? 0 : r;
}

/* Whether the guest is running: 1, 0, or negative errno. */
static int is_running(struct qmp *q)
{
    CLEANUP_JSON json_t *status = NULL;
    int r = qmp_execute(q, "query-status", NULL, -1, QEMU_MEMORY_SOON, &status);
    return r < 0 ? r : json_is_true(json_object_get(status, "running"));
}

/* Presses the power button. 0 once the guest has switched itself off. */
static int press_button(const struct guest *g, struct qemu_process *p, struct qmp *q)
{
    int r = qmp_execute(q, "system_powerdown", NULL, -1, QEMU_MEMORY_SOON, NULL);
    if (r < 0 && r != -EPIPE)
        return r;
    return qemu_process_wait(p, (int)g->site->poweroff_seconds * 1000);
}

static void pull_plug(struct qemu_process *p, struct qmp *q)
{
    int r = qmp_execute(q, "quit", NULL, -1, QEMU_MEMORY_SOON, NULL);
    if ((r < 0 && r != -EPIPE) || qemu_process_wait(p, QEMU_MEMORY_SOON) < 0)
        qemu_process_kill(p);
}

/* Flushes what the guest wrote to its disk. Memory that it has been resumed from is worth nothing
 * any more, if it RAN. */
static int settle(int dirfd, bool ran)
{
    int r = ran ? io_unlink(dirfd, QEMU_MEMORY_USED) : 0;
    if (r < 0 && r != -ENOENT)
        log_warning("cannot remove " QEMU_MEMORY_USED ": %s", strerror(-r));
    CLEANUP_CLOSE int disk = io_open_read(dirfd, "disk.img");
    r = disk < 0 ? disk : io_fsync(disk);
    if (r < 0)
        log_error("cannot write disk.img: %s", strerror(-r));
    return r;
}

static enum exit_status poweroff(struct guest *g)
{
    CLEANUP_QEMU_PROCESS struct qemu_process *p = NULL;
    CLEANUP_QMP struct qmp *q = NULL;
    int r = find(g, &p);
    if (r < 0)
        return FAILED;
    if (!p) {
        puts("the guest is not running");
        return DONE;
    }
    r = qmp_open(qemu_process_qmp_path(p), -1, QEMU_MEMORY_SOON, &q);
    int ran = r < 0 ? r : is_running(q);
    if (ran < 0) {
        log_error("cannot talk to QEMU: %s", qmp_explain(q, ran));
        return FAILED;
    }
    if (ran && press_button(g, p, q) == 0) {
        puts("the guest has switched itself off");
    } else {
        pull_plug(p, q);
        puts(ran ? "the guest did not switch itself off, and was switched off"
                 : "the guest was stopped, and was switched off");
    }
    return settle(g->dirfd, ran) < 0 ? FAILED : DONE;
}

static enum exit_status wait_for_end(struct guest *g)
{
    CLEANUP_QEMU_PROCESS struct qemu_process *p = NULL;
    int r = find(g, &p);
    if (r == 0 && p)
        r = qemu_process_wait(p, -1);
    return r < 0 ? FAILED : DONE;
}

static const struct verb {
    const char *name;
    enum exit_status (*run)(struct guest *g);
    bool starts; /* needs QEMU, the disk and the settings */
} verbs[] = {
    {"probe", probe, true},        {"resume", resume, true},      {"suspend", suspend, false},
    {"poweroff", poweroff, false}, {"wait", wait_for_end, false},
};

/* Whether this hook can start what is in the folder; if not, one line says why. */
static bool can_start(struct guest *g)
{
    if (!g->site->program) {
        log_error("QEMU is not installed (Debian package qemu-system-x86), or ISR_QEMU is wrong");
        return false;
    }
    CLEANUP_CLOSE int disk = io_open_read(g->dirfd, "disk.img");
    if (disk < 0) {
        log_error("disk.img: %s", disk == -EINVAL ? "not an ordinary file" : strerror(-disk));
        return false;
    }
    return qemu_settings_read(g->dirfd, &g->settings) == 0;
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

int main(int argc, char **argv)
{
    const struct verb *verb = argc == 3 ? find_verb(argv[1]) : NULL;
    if (!verb) {
        fputs("usage: qemu probe|resume|suspend|poweroff|wait DIR\n", stderr);
        return CANNOT;
    }
    umask(077);
    CLEANUP_QEMU_SITE struct qemu_site *site = NULL;
    if (qemu_site_read(argv[2], &site) < 0)
        return verb->run == probe ? CANNOT : FAILED;
    CLEANUP_CLOSE int dirfd = open(site->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0) {
        log_error("cannot open the guest's folder: %s", strerror(errno));
        return verb->run == probe ? CANNOT : FAILED;
    }
    struct guest g = {.site = site, .dirfd = dirfd};
    if (verb->starts && !can_start(&g))
        return verb->run == probe ? CANNOT : FAILED;
    return verb->run(&g);
}
