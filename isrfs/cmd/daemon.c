/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kernel lets an unmount return before the daemon has done its work. So a second thread asks
 * the daemon first to be told how its check-in goes, and then this one unmounts. If the unmount
 * fails, the thread is left to the end of the program, which is near; what it uses is never
 * released. */
#include "isrfs/cmd/daemon.h"

#include <fcntl.h>
#include <mntent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>

#include "isrfs/base/log.h"
#include "isrfs/base/process.h"
#include "isrfs/fuse/control.h"

#define BUSY_LIMIT_MS 3000
#define BUSY_PAUSE_MS 50

char *daemon_program(const char *program)
{
    char self[4096];
    char *path = NULL;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = '\0';
        char *slash = strrchr(self, '/');
        if (slash)
            *slash = '\0';
        if (asprintf(&path, "%s/%s", self, program) < 0)
            return NULL;
        if (access(path, X_OK) == 0)
            return path;
        free(path);
    }
    return strdup(program);
}

/* --- asking --- */

static int connect_to(const char *state_path, struct control_client **ret)
{
    CLEANUP_CLOSE int fd = open(state_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = control_connect(fd, ret);
    return r == -ECONNREFUSED ? -ENOENT : r;
}

int daemon_request(const char *state_path, const char *request, const struct progress *progress,
                   struct buffer *ret_answer, struct failure *failure)
{
    struct control_client *client = NULL;
    int r = connect_to(state_path, &client);
    if (r < 0)
        return r;
    r = control_request(client, request, progress, ret_answer, failure);
    control_disconnect(client);
    return r;
}

int daemon_status(const char *state_path, json_t **ret)
{
    CLEANUP_BUFFER struct buffer text = {0};
    struct failure failure = {0};
    int r = daemon_request(state_path, "status", NULL, &text, &failure);
    if (r < 0)
        return r;
    *ret = json_loadb((const char *)text.data, text.size, JSON_DISABLE_EOF_CHECK, NULL);
    if (json_is_object(*ret))
        return 0;
    json_decref(*ret);
    *ret = NULL;
    return -EBADMSG;
}

int daemon_refuse(const struct cmd *c, const struct source *source, const char *advice)
{
    CLEANUP_FREE char *state = site_parcel_path(c->site, source);
    CLEANUP_JSON json_t *status = NULL;
    if (!state || daemon_status(state, &status) < 0)
        return 0;
    const char *dir = json_string_value(json_object_get(status, "mountpoint"));
    char clean[256];
    if (dir)
        cmd_say(c, "%s is mounted at %s: %s", source->parcel, log_clean(clean, sizeof clean, dir),
                advice);
    else
        cmd_say(c, "%s was unmounted and is being checked in at this site", source->parcel);
    return OUTCOME_LOCKED;
}

int daemon_find_mount(const char *path, char **ret_source)
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    if (!mounts)
        return -errno;
    struct mntent entry;
    char text[8192];
    int r = -ENOENT;
    *ret_source = NULL;
    while (getmntent_r(mounts, &entry, text, sizeof text)) {
        if (strcmp(entry.mnt_dir, path) != 0)
            continue;
        free(steal_ptr(*ret_source)); /* the last one is on top */
        r = -ENOENT;
        if (strcmp(entry.mnt_type, "fuse.isrfs") != 0)
            continue;
        *ret_source = strdup(entry.mnt_fsname);
        r = *ret_source ? 0 : -ENOMEM;
    }
    endmntent(mounts);
    return r;
}

/* --- unmounting --- */

static int unmount_as_user(const struct cmd *c, const char *dir, int flags)
{
    const char *const argv[] = {"fusermount3", "-u", flags & MNT_DETACH ? "-z" : "-q",
                                "--",          dir,  NULL};
    struct process p = {.argv = argv, .output_limit = 4096};
    CLEANUP_PROCESS_RESULT struct process_result result = {0};
    int r = process_run(&p, &result);
    if (r < 0)
        cmd_say(c, "cannot run fusermount3 (Debian package fuse3): %s", strerror(-r));
    return r < 0 ? r : result.status == 0 ? 0 : -EBUSY;
}

static int unmount_once(const struct cmd *c, const char *dir, int flags)
{
    return geteuid() == 0 ? (umount2(dir, flags | UMOUNT_NOFOLLOW) < 0 ? -errno : 0)
                          : unmount_as_user(c, dir, flags);
}

/* The kernel lets go of what a program had open a moment after the program has ended (a ring of
 * io_uring is torn down by a worker), so a busy mount is tried again for a while. */
static int unmount(const struct cmd *c, const char *dir, int flags)
{
    const struct timespec pause = {.tv_nsec = BUSY_PAUSE_MS * 1000000L};
    char clean[256];
    log_clean(clean, sizeof clean, dir);
    int r = unmount_once(c, dir, flags);
    for (int i = 0; r == -EBUSY && i < BUSY_LIMIT_MS / BUSY_PAUSE_MS; i++) {
        nanosleep(&pause, NULL);
        r = unmount_once(c, dir, flags);
    }
    if (r == -EBUSY)
        cmd_say(c, "%s is in use: end what has files open there (fuser -vm shows it)", clean);
    else if (r < 0)
        cmd_say(c, "%s cannot be unmounted: %s", clean, strerror(-r));
    return r;
}

struct waiter {
    struct control_client *client;
    struct cmd_progress progress;
    struct failure failure;
    const char *request; /* NULL: it was sent */
    int result;
    pthread_t thread;
};

static void *wait_for_end(void *arg)
{
    struct waiter *w = arg;
    w->result = control_request(w->client, w->request, &w->progress.progress, NULL, &w->failure);
    return NULL;
}

/* The daemon knows that there is to be no check-in before anything is unmounted. */
static int begin_waiting(struct waiter *w, const char *state_path, bool no_checkin)
{
    int r = connect_to(state_path, &w->client);
    if (r == 0 && no_checkin)
        r = control_ask(w->client, "wait-noci", &w->failure);
    w->request = no_checkin ? NULL : "wait";
    return r < 0 ? r : -pthread_create(&w->thread, NULL, wait_for_end, w);
}

/* *RET is NULL if no daemon runs there. 0, or the exit status (said). */
static int start_waiter(const struct cmd *c, const char *state_path, bool no_checkin,
                        struct waiter **ret)
{
    struct waiter *w = calloc(1, sizeof *w);
    *ret = NULL;
    if (!w)
        return OUTCOME_FAILED;
    cmd_progress_start(&w->progress);
    int r = begin_waiting(w, state_path, no_checkin);
    if (r == 0) {
        *ret = w;
        return 0;
    }
    if (r != -ENOENT && no_checkin)
        cmd_say(c, "not unmounted: its daemon cannot be told not to check in: %s",
                r == -ECANCELED ? w->failure.text : strerror(-r));
    control_disconnect(w->client);
    free(w);
    return r != -ENOENT && no_checkin ? OUTCOME_FAILED : 0;
}

/* The daemon is gone and has not said how it ended. Is anything left to do? */
static int say_left(const struct cmd *c, const char *state_path)
{
    CLEANUP_FREE char *nonce = NULL;
    if (asprintf(&nonce, "%s/nonce", state_path) < 0) {
        nonce = NULL;
        return OUTCOME_FAILED;
    }
    if (access(nonce, F_OK) < 0)
        return OUTCOME_DONE;
    cmd_say(c, "its daemon is not running and has not checked in: isr status shows what is kept, "
               "isr ci brings it home");
    return OUTCOME_FAILED;
}

static int end_waiter(const struct cmd *c, struct waiter *w, const char *state_path)
{
    pthread_join(w->thread, NULL);
    cmd_progress_end(&w->progress);
    int status = OUTCOME_DONE;
    if (w->result < 0) {
        status = say_left(c, state_path);
    } else if (w->failure.outcome != OUTCOME_DONE) {
        status = cmd_fail(c, &w->failure);
    } else if (*w->failure.text) {
        char text[sizeof w->failure.text];
        puts(log_clean(text, sizeof text, w->failure.text));
    }
    control_disconnect(w->client);
    free(w);
    return status;
}

int daemon_unmount(const struct cmd *c, const char *dir, const char *state_path, bool no_checkin,
                   int flags)
{
    struct waiter *w = NULL;
    if (state_path && start_waiter(c, state_path, no_checkin, &w) != 0)
        return OUTCOME_FAILED;
    if (unmount(c, dir, flags) < 0)
        return OUTCOME_FAILED;
    if (w)
        return end_waiter(c, w, state_path);
    return state_path ? say_left(c, state_path) : OUTCOME_DONE;
}
