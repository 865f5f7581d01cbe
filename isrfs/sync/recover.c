/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commit is consistent only if the last batch was: an unmount whose commit could not be
 * finished. After a crash whatever wrote to the parcel was running.
 *
 * A daemon that ends in order removes its control socket: one that nobody answers on is the mark of
 * a crash, until its work has been taken up. What was found then is kept in `recovered`, numbers
 * only. */
#include "isrfs/sync/recover.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/sync/commit.h"
#include "isrfs/sync/damage.h"
#include "isrfs/sync/version.h"

#define NOTE       "recovered"
#define NOTE_LIMIT 4096u
#define SOCKET     "control" /* of the daemon, isrfs/fuse/control.h */

/* --- what is said --- */

static void clock_text(int64_t when, char out[64])
{
    time_t then = (time_t)when, now = time(NULL);
    struct tm a, b;
    bool same_day = localtime_r(&then, &a) && localtime_r(&now, &b) && a.tm_year == b.tm_year &&
                    a.tm_yday == b.tm_yday;
    if (when == 0 || strftime(out, 64, same_day ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &a) == 0)
        strcpy(out, "an unknown time");
}

static void amount_text(uint64_t bytes, char out[32])
{
    if (bytes < 1000000)
        snprintf(out, 32, "%" PRIu64 " kB", (bytes + 999) / 1000);
    else
        snprintf(out, 32, "%" PRIu64 " MB", (bytes + 500000) / 1000000);
}

bool recover_line(const struct checkout *c, char out[RECOVER_LINE_SIZE])
{
    const struct parcel_recovered *found = &c->recovered;
    if (found->changes == 0 && found->files == 0)
        return false;
    char when[64], amount[32];
    clock_text(c->found.written, when);
    amount_text(found->bytes, amount);
    snprintf(out, RECOVER_LINE_SIZE,
             "%s: the last mount ended without a commit; %" PRIu64 " change%s in %" PRIu64
             " file%s (%s) up to %s were recovered from the site log",
             c->source.parcel, found->changes, found->changes == 1 ? "" : "s", found->files,
             found->files == 1 ? "" : "s", amount, when);
    return true;
}

void recover_note(struct checkout *c)
{
    const struct parcel_recovered *found = &c->recovered;
    if (found->changes == 0 && found->files == 0)
        return;
    CLEANUP_KEYVALUE struct keyvalue *kv = keyvalue_new();
    CLEANUP_BUFFER struct buffer text = {0};
    int r = kv ? keyvalue_set_u64(kv, "CHANGES", found->changes) : -ENOMEM;
    r = r < 0 ? r : keyvalue_set_u64(kv, "FILES", found->files);
    r = r < 0 ? r : keyvalue_set_u64(kv, "BYTES", found->bytes);
    r = r < 0 ? r : keyvalue_set_u64(kv, "UNTIL", (uint64_t)c->found.written);
    r = r < 0 ? r : keyvalue_format(kv, &text);
    r = r < 0 ? r : io_replace(c->state_fd, NOTE, text.data, text.size, 0600, false);
    if (r < 0)
        log_warning("cannot write %s/%s: %s", c->state_path, NOTE, strerror(-r));
}

static void look_at_note(int state_fd, struct recover_state *ret)
{
    static const char *const keys[] = {"CHANGES", "FILES", "BYTES", "UNTIL", NULL};
    CLEANUP_BUFFER struct buffer text = {0};
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    uint64_t until = 0;
    if (io_read_file(state_fd, NOTE, NOTE_LIMIT, &text) < 0 ||
        keyvalue_parse(text.data, text.size, keys, &kv, NULL) < 0)
        return;
    ret->recovered = keyvalue_get_u64(kv, "CHANGES", &ret->found.changes) == 0 &&
                     keyvalue_get_u64(kv, "FILES", &ret->found.files) == 0 &&
                     keyvalue_get_u64(kv, "BYTES", &ret->found.bytes) == 0 &&
                     keyvalue_get_u64(kv, "UNTIL", &until) == 0;
    ret->found_until = (int64_t)until;
}

struct newest {
    int dirfd;
    int64_t when;
};

static int take_time(void *ctx, const char *name)
{
    struct newest *n = ctx;
    struct stat st;
    if (fstatat(n->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtim.tv_sec > n->when)
        n->when = st.st_mtim.tv_sec;
    return 0;
}

void recover_look(int state_fd, struct recover_state *ret)
{
    *ret = (struct recover_state){0};
    ret->crashed = faccessat(state_fd, SOCKET, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    CLEANUP_CLOSE int fd = openat(state_fd, "log", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct newest newest = {.dirfd = fd};
    if (fd >= 0)
        io_each_name(fd, ".", take_time, &newest);
    ret->until = newest.when;
    look_at_note(state_fd, ret);
}

/* --- what is done --- */

/* What a check-in had begun to publish may be what is damaged; what is left of it is published
 * instead, unless the lock server has it already. */
static void drop_publishing(struct checkout *c)
{
    checkout_root_take(c);
    bool unpublished = c->server_version == c->root.base_version;
    if (c->home && unpublished && !object_id_is_hole(&c->root.publishing.id))
        version_remove(c->home, c->uuid, c->root.base_version + 1, &c->root.publishing.id);
    if (c->lost || unpublished) {
        memset(&c->root.publishing, 0, sizeof c->root.publishing);
        c->root.publishing_consistent = false;
    }
    checkout_root_give(c);
}

static int commit(struct checkout *c, struct parcel *p)
{
    if (c->salvage)
        drop_publishing(c);
    struct committer *m = committer_new(c, p);
    int r = m ? committer_commit(m, parcel_is_consistent(p)) : -ENOMEM;
    if (io_is_full(r) && c->home)
        r = committer_relieve(m);
    committer_free(m);
    return r;
}

int recover(struct checkout *c, struct failure *failure)
{
    struct parcel *p = NULL;
    if (!c->log || (c->found.batches == 0 && !c->salvage)) {
        io_unlink(c->state_fd, SOCKET);
        return 0;
    }
    int r = checkout_parcel(c, 0, &p, failure);
    if (r < 0)
        return r;
    r = commit(c, p);
    if (r == 0 && c->salvage && !c->loss_told) /* there was nothing to commit */
        r = damage_tell_given_up(c, p);
    parcel_close(p);
    if (r < 0 && !c->salvage && damage_explain(c, r, failure) < 0)
        return -EBADMSG;
    if (r < 0)
        return failure_set(failure, outcome_of(r),
                           "%s: its journal could not be committed: %s (it is kept; try again)",
                           c->source.parcel, strerror(-r));
    recover_note(c);
    io_unlink(c->state_fd, SOCKET);
    c->parcel_opened = false; /* everything in the log is in a root */
    c->found.batches = 0;
    return 0;
}
