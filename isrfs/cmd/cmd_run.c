/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr run: mount, resume, wait, suspend, unmount. SIGINT, SIGTERM and SIGHUP ask for the suspend;
 * they stay blocked and are taken with sigwait, together with the end of the hook that waits for
 * the virtual machine. The parcel is unmounted only when the machine has surely stopped: otherwise
 * it is left as it is, with a line that says what to do. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/cmd/commands.h"
#include "isrfs/cmd/daemon.h"
#include "isrfs/cmd/vmm.h"

struct run {
    struct cmd *c;
    struct source source;
    char *state; /* the parcel's state folder */
    char *dir;   /* where it is mounted; absolute */
    sigset_t signals;
};

static void run_free(struct run *x)
{
    source_free(&x->source);
    free(x->state);
    free(x->dir);
}

static int no_memory(const struct cmd *c)
{
    cmd_say(c, "out of memory");
    return OUTCOME_FAILED;
}

/* --- mounting --- */

static int choose_folder(struct run *x)
{
    const char *asked = cmd_value(x->c, "mountpoint");
    char clean[256];
    int r = 0;
    if (asked) {
        r = site_resolve(asked, &x->dir);
    } else {
        if (asprintf(&x->dir, "%s/mnt", x->state) < 0) {
            x->dir = NULL;
            return no_memory(x->c);
        }
        r = site_make_parcel_folder(x->c->site, &x->source);
        r = r < 0 ? r : io_mkdir(AT_FDCWD, x->dir, 0700);
        r = r == -EEXIST ? 0 : r;
    }
    if (r == 0)
        return 0;
    cmd_say(x->c, "%s: %s", log_clean(clean, sizeof clean, asked ? asked : x->dir), strerror(-r));
    return OUTCOME_FAILED;
}

static int refuse_mounted(const struct run *x)
{
    CLEANUP_JSON json_t *status = NULL;
    if (daemon_status(x->state, &status) < 0)
        return 0;
    const char *dir = json_string_value(json_object_get(status, "mountpoint"));
    char clean[256];
    cmd_say(x->c, "%s is mounted at %s already", x->source.parcel,
            log_clean(clean, sizeof clean, dir ? dir : "?"));
    return OUTCOME_LOCKED;
}

/* isrfs has said why if its exit status is not 0. */
static int mount_parcel(const struct run *x)
{
    CLEANUP_FREE char *text = source_text(&x->source);
    CLEANUP_FREE char *program = daemon_program("isrfs");
    if (!text || !program || setenv("ISR_USER", x->source.user, 1) < 0)
        return no_memory(x->c);
    pid_t child = fork();
    if (child == 0) {
        sigprocmask(SIG_UNBLOCK, &x->signals, NULL);
        execlp(program, "isrfs", text, x->dir, (char *)NULL);
        cmd_say(x->c, "cannot run isrfs: %s", strerror(errno));
        _exit(OUTCOME_FAILED);
    }
    return child < 0 ? OUTCOME_FAILED : vmm_wait(child);
}

/* --- the virtual machine --- */

static void say_left_running(const struct run *x)
{
    char clean[256];
    cmd_say(x->c,
            "the virtual machine may still be running, so %s stays mounted at %s; when it has "
            "stopped: isr umount %s",
            x->source.parcel, log_clean(clean, sizeof clean, x->dir), x->source.parcel);
}

static bool suspend(const struct run *x, struct vmm *v)
{
    cmd_say(x->c, "suspending %s", x->source.parcel);
    return vmm_run(v, "suspend") == 0;
}

/* Waits until the machine has stopped by itself or at our request. True if it surely has. */
static bool follow(const struct run *x, struct vmm *v)
{
    pid_t waiter = vmm_start(v, "wait");
    if (waiter < 0)
        return suspend(x, v);
    for (;;) {
        int signal, status;
        if (sigwait(&x->signals, &signal) != 0)
            continue;
        if (waitpid(waiter, &status, WNOHANG) == waiter)
            return (WIFEXITED(status) && WEXITSTATUS(status) == 0) || suspend(x, v);
        if (signal == SIGCHLD)
            continue;
        if (suspend(x, v))
            return vmm_wait(waiter) == 0;
        cmd_say(x->c, "it could not be suspended and goes on");
        if (signal == SIGINT)
            continue; /* whoever is at the terminal may try again */
        kill(waiter, SIGTERM);
        vmm_wait(waiter);
        return false;
    }
}

static int run_machine(const struct run *x, struct vmm *v)
{
    int status = vmm_run(v, "resume");
    if (status != 0) {
        int unmounted = daemon_unmount(x->c, x->dir, x->state, false, 0);
        return unmounted ? unmounted : OUTCOME_FAILED;
    }
    if (isatty(STDERR_FILENO))
        cmd_say(x->c, "%s is running; Ctrl-C suspends it", x->source.parcel);
    if (!follow(x, v)) {
        say_left_running(x);
        return OUTCOME_FAILED;
    }
    return daemon_unmount(x->c, x->dir, x->state, false, 0);
}

static void block_signals(struct run *x)
{
    sigemptyset(&x->signals);
    sigaddset(&x->signals, SIGINT);
    sigaddset(&x->signals, SIGTERM);
    sigaddset(&x->signals, SIGHUP);
    sigaddset(&x->signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &x->signals, NULL);
}

static int run(struct cmd *c)
{
    CLEANUP(run_free) struct run x = {.c = c};
    int status = cmd_source(c, &x.source);
    if (status)
        return status;
    x.state = site_parcel_path(c->site, &x.source);
    if (!x.state)
        return no_memory(c);
    status = refuse_mounted(&x);
    status = status ? status : choose_folder(&x);
    if (status)
        return status;
    CLEANUP_VMM struct vmm *v = vmm_open(c, cmd_value(c, "vmm"), x.dir);
    if (!v)
        return OUTCOME_FAILED;
    block_signals(&x);
    status = mount_parcel(&x);
    return status ? status : run_machine(&x, v);
}

const struct command cmd_run_parcel = {
    .name = "run",
    .synopsis = "PARCEL",
    .summary = "check out, mount, resume the virtual machine; check in when it has stopped",
    .help = "The machine is suspended when isr run gets SIGINT (Ctrl-C), SIGTERM or SIGHUP.",
    .options = {{0, "mountpoint", "DIR", "where to mount; default: a folder of the site's own"},
                {0, "vmm", "NAME", "the virtual machine monitor; default: isr.conf, or qemu"}},
    .parcel = CMD_PARCEL,
    .run = run,
};
