/* SPDX-License-Identifier: GPL-3.0-or-later */
/* In this order: look at the mountpoint and the arguments, which costs nothing; check out; open the
 * parcel, the control socket and the mount. If one of these fails the lock is given back, if it was
 * got here, and nothing is left behind. Then serve until the mount ends, by whatever hand, and then
 * commit and check in. Whatever fails from there on, the log, the nonce and the lock stay, and one
 * line in `messages` says what is left to do. */
#include "isrfs/cmd/isrfs_session.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "isrfs/base/clock.h"
#include "isrfs/base/log.h"
#include "isrfs/cmd/isrfs_mountpoint.h"
#include "isrfs/cmd/isrfs_session_private.h"
#include "isrfs/store/remote.h"
#include "isrfs/sync/carrier.h"
#include "isrfs/sync/home.h"
#include "isrfs/sync/recover.h"

#define RETRY_SECONDS 5
#define LOG_MS        30000 /* between lines about how far a check-in has come */
#define LOG_SIZE      "1073741824"

/* --- beginning --- */

static int look(struct session *s, struct failure *failure)
{
    int r = isrfs_mountpoint_check(s->options->dir, &s->mountpoint, failure);
    if (r == 0 && s->options->allow_other)
        r = isrfs_mountpoint_allow_other(failure);
    if (r < 0)
        return r;
    r = site_open(&s->site);
    if (r < 0) {
        failure->outcome = OUTCOME_FAILED; /* said */
        return r;
    }
    r = isrfs_mountpoint_above(s->mountpoint, s->site->home, "the state folder", failure);
    if (r < 0)
        return r;
    r = source_parse(s->site, s->options->source, s->options->locksrv, s->options->user,
                     &s->source);
    if (r < 0) {
        failure->outcome = r == -EINVAL ? OUTCOME_USAGE : OUTCOME_FAILED; /* said */
        return r;
    }
    s->read_only = s->options->read_only || s->source.version != 0;
    if (s->source.server[0] != '/')
        return 0;
    return isrfs_mountpoint_above(s->mountpoint, s->source.server, "the lock server", failure);
}

static int check_out(struct session *s, struct failure *failure)
{
    unsigned flags = s->read_only ? CHECKOUT_READ_ONLY : CHECKOUT_HOME_LATER;
    int r = checkout_open(s->site, &s->source, flags, &s->checkout, failure);
    if (r == -EALREADY) /* the last check-in was cut off after its end; that is cleaned now */
        r = checkout_open(s->site, &s->source, flags, &s->checkout, failure);
    if (r < 0) {
        if (failure->outcome == OUTCOME_LOCKED && !s->read_only)
            isrfs_requests_say_where(s->site, &s->source, failure);
        return r;
    }
    const char *home = home_folder(s->checkout->src, failure);
    if (!home)
        return -EPROTONOSUPPORT;
    /* asking a home that may hang where it lies is what its child process is there to avoid; and
     * one that is mounted below an empty folder cannot be */
    if (remote_is_needed(home))
        return 0;
    return isrfs_mountpoint_above(s->mountpoint, home, "the parcel's home", failure);
}

static size_t cache_bytes(const struct session *s)
{
    if (s->options->cache_bytes)
        return s->options->cache_bytes;
    return (size_t)strtoull(site_setting(s->site, "CACHE_SIZE", "0"), NULL, 10);
}

/* Bytes of the site log from which on it is shortened. */
static uint64_t log_size(const struct session *s)
{
    return strtoull(site_setting(s->site, "LOG_SIZE", LOG_SIZE), NULL, 10);
}

static int open_parcel(struct session *s, struct failure *failure)
{
    if (s->options->home_wait)
        s->checkout->home_wait_ms = s->options->home_wait_ms;
    int r = checkout_parcel(s->checkout, cache_bytes(s), &s->parcel, failure);
    if (r < 0 || s->read_only)
        return r;
    recover_note(s->checkout);
    s->committer = committer_new(s->checkout, s->parcel);
    if (!s->committer)
        return failure_set(failure, OUTCOME_FAILED, "out of memory");
    s->carrier = carrier_new(s->checkout, s->parcel, s->committer, log_size(s));
    if (!s->carrier)
        return failure_set(failure, OUTCOME_FAILED, "out of memory");
    struct control_handlers handlers;
    isrfs_requests_handlers(s, &handlers);
    r = control_open(s->checkout->state_fd, &handlers, &s->control);
    return r < 0 ? failure_set(failure, OUTCOME_FAILED, "cannot make the socket %s/control: %s",
                               s->checkout->state_path, strerror(-r))
                 : 0;
}

static int open_mount(struct session *s, struct failure *failure)
{
    sigset_t pending;
    if (sigpending(&pending) == 0 &&
        (sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM)))
        return failure_set(failure, OUTCOME_FAILED, "interrupted");
    struct mount_config config = {
        .checkout = s->checkout,
        .parcel = s->parcel,
        .committer = s->committer,
        .source = s->options->source,
        .mountpoint = s->mountpoint,
        .options = s->options->mount,
        .allow_other = s->options->allow_other,
    };
    struct mount *m = NULL;
    int r = mount_open(&config, &m, failure);
    LOCK_SCOPE(&s->use);
    LOCK_SCOPE(&s->status);
    s->mount = m;
    return r;
}

static int detach(const struct session *s, struct failure *failure)
{
    if (s->options->foreground)
        return 0;
    int dirfd = s->read_only ? s->site->fd : s->checkout->state_fd;
    int r = isrfs_background_detach(dirfd);
    return r < 0 ? failure_set(failure, OUTCOME_FAILED, "cannot go to the background: %s",
                               strerror(-r))
                 : 0;
}

/* --- ending --- */

static void close_parcel(struct session *s)
{
    LOCK_SCOPE(&s->use);
    pthread_mutex_lock(&s->status);
    struct mount *m = s->mount;
    s->mount = NULL;
    pthread_mutex_unlock(&s->status);
    mount_close(m);
    carrier_free(s->carrier);
    s->carrier = NULL;
    committer_free(s->committer);
    parcel_close(s->parcel);
    s->committer = NULL;
    s->parcel = NULL;
}

/* Releases what a check-out holds in this process, and tells those who wait for that how it ENDED
 * (NULL: there is nothing to tell): when they hear it, the parcel can be used again. */
static void let_go(struct session *s, const struct failure *ended)
{
    if (s->control)
        control_retire(s->control);
    pthread_mutex_lock(&s->status);
    struct checkout *c = steal_ptr(s->checkout);
    pthread_mutex_unlock(&s->status);
    checkout_close(c);
    if (s->control && ended)
        control_finish(s->control, ended->outcome, ended->text);
    control_close(s->control);
    s->control = NULL;
}

/* After a failure to begin: the lock goes back where it came from, if it came for this. */
static void put_back(struct session *s)
{
    close_parcel(s);
    if (s->checkout && s->checkout->fresh && !s->read_only) {
        struct checkin_result result;
        struct failure failure = {0};
        if (checkin(s->checkout, true, NULL, NULL, &result, &failure) < 0)
            log_error("%s", failure.text);
    }
    let_go(s, NULL);
}

/* Nothing but memory holds what is not in the log, so a full disk is waited for, or the home that
 * makes room. Only a signal ends the wait. */
static int keep_at_last(struct session *s, bool consistent)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    int r = committer_sync(s->committer, consistent);
    if (r < 0)
        log_error("%s: the last changes cannot be written to %s (%s): trying again until there is "
                  "space, or its home is back",
                  s->source.parcel, s->checkout->state_path, strerror(-r));
    while (r < 0) {
        struct timespec pause = {.tv_sec = RETRY_SECONDS};
        control_progress(s->control, "waiting for space to keep the last changes", 0, 0);
        if (sigtimedwait(&set, NULL, &pause) > 0)
            return r;
        r = committer_sync(s->committer, consistent);
    }
    return r;
}

/* The last commit needs the home where chunks were written in part; the journal, which keeps all
 * that was written, does not, and is enough if the parcel STAYS here. */
static int commit_at_last(struct session *s, bool consistent, bool stays, struct failure *end)
{
    int kept = keep_at_last(s, consistent);
    if (s->checkout->watch)
        home_watch_look(s->checkout->watch);
    int r = kept < 0 ? kept : committer_commit(s->committer, consistent);
    if (kept < 0)
        failure_set(
            end, OUTCOME_FAILED,
            "%s: what was written last is lost: %s: %s (isr ci %s brings home what is kept)",
            s->source.parcel, s->checkout->state_path, strerror(-r), s->source.parcel);
    else if (r < 0 && stays)
        log_info("%s: the last changes are kept in the log, not committed: %s", s->source.parcel,
                 strerror(-r));
    else if (r < 0)
        failure_set(end, outcome_of(r),
                    "%s: the last changes could not be made ready to be checked in: %s (everything "
                    "is kept at this site; isr ci %s tries again)",
                    s->source.parcel, strerror(-r), s->source.parcel);
    return stays ? kept : r;
}

struct report {
    struct control *control;
    int64_t logged; /* of clock_ms */
};

static void report_progress(void *ctx, const char *text, uint64_t done, uint64_t total)
{
    struct report *report = ctx;
    control_progress(report->control, text, done, total);
    int64_t now = clock_ms();
    if (now - report->logged < LOG_MS)
        return;
    report->logged = now;
    if (total)
        log_info("checking in: %s: %" PRIu64 " of %" PRIu64 " bytes", text, done, total);
    else
        log_info("checking in: %s", text);
}

static int check_in(struct session *s, struct failure *end)
{
    struct report report = {.control = s->control};
    struct progress progress = {.report = report_progress, .ctx = &report};
    struct checkin_result result = {0};
    int r = checkin(s->checkout, true, NULL, &progress, &result, end);
    if (r == 0)
        failure_set(end, OUTCOME_DONE,
                    result.changed ? "%s is checked in as version %" PRIu64 " (%" PRIu64
                                     " objects, %" PRIu64 " bytes)"
                                   : "%s was not changed since version %" PRIu64,
                    s->source.parcel, result.version, result.objects, result.bytes);
    return r;
}

/* Is the parcel to stay checked out? From now on nobody can ask for that. */
static bool is_to_stay(struct session *s)
{
    LOCK_SCOPE(&s->status);
    s->ended = true;
    return s->options->no_checkin || s->no_checkin > 0;
}

/* Commit and check in. */
static void finish(struct session *s, bool busy, struct failure *end)
{
    bool stays = is_to_stay(s);
    pthread_mutex_lock(&s->use); /* a checkpoint may still be under way */
    int r = commit_at_last(s, !busy, stays, end);
    pthread_mutex_unlock(&s->use);
    close_parcel(s);
    if (r == 0 && stays)
        failure_set(end, OUTCOME_DONE,
                    "%s stays checked out at this site, with its lock and all that was written "
                    "here: isr ci %s checks it in, isr discard %s throws that away",
                    s->source.parcel, s->source.parcel, s->source.parcel);
    else if (r == 0)
        check_in(s, end);
    if (end->outcome == OUTCOME_DONE)
        log_info("%s", end->text);
    else
        log_error("%s", end->text);
}

static enum outcome serve(struct session *s)
{
    struct failure end = {0};
    int r = mount_serve(s->mount);
    if (r < 0)
        log_error("%s: the mount ended: %s", s->source.parcel, strerror(-r));
    if (s->read_only)
        close_parcel(s);
    else
        finish(s, mount_was_busy(s->mount), &end);
    let_go(s, &end);
    return r < 0 && end.outcome == OUTCOME_DONE ? OUTCOME_FAILED : end.outcome;
}

static int begin(struct session *s, struct failure *failure)
{
    int r = look(s, failure);
    r = r < 0 ? r : check_out(s, failure);
    r = r < 0 ? r : open_parcel(s, failure);
    r = r < 0 ? r : open_mount(s, failure);
    r = r < 0 ? r : detach(s, failure);
    if (r < 0 && failure->outcome == OUTCOME_DONE)
        failure_set(failure, outcome_of(r), "%s", strerror(-r));
    return r;
}

/* Success, and what the last mount had left, for whoever mounts and for `messages`. */
static void say_recovered(const struct session *s, struct failure *verdict)
{
    char line[RECOVER_LINE_SIZE];
    *verdict = (struct failure){0};
    if (s->read_only || !recover_line(s->checkout, line))
        return;
    failure_set(verdict, OUTCOME_DONE, "%s", line);
    if (!s->options->foreground)
        log_info("%s", line);
}

enum outcome isrfs_session(const struct isrfs_options *options, struct isrfs_background *background)
{
    struct session s = {.options = options};
    struct failure verdict = {0};
    pthread_mutex_init(&s.use, NULL);
    pthread_mutex_init(&s.status, NULL);
    int r = begin(&s, &verdict);
    if (r < 0)
        put_back(&s);
    else
        say_recovered(&s, &verdict);
    isrfs_background_tell(background, &verdict);
    enum outcome outcome = r < 0 ? verdict.outcome : serve(&s);
    source_free(&s.source);
    site_close(s.site);
    free(s.mountpoint);
    pthread_mutex_destroy(&s.use);
    pthread_mutex_destroy(&s.status);
    return outcome;
}
