/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Knows whether a parcel's home is there, and is how the home is read while it may come and go.
 *
 * *Away* is a home that does not answer or is not what it should be: unmounted, hanging, I/O
 * errors, another store's marker. Away is not missing: an object that a home which is there does
 * not have, or has damaged, is -ENOENT or -EBADMSG at once.
 *
 * While the home is away every read of it is refused at once with -EHOSTDOWN, so that nobody holds
 * a lock while waiting for it; who can wait does so with home_watch_wait and reads again. Whether
 * it is back is found out without anybody asking. Any thread may call. */
#ifndef ISRFS_STORE_HOME_WATCH_H
#define ISRFS_STORE_HOME_WATCH_H

#include <time.h>

#include "isrfs/store/store.h"

/* No more wait at a time: others are refused, so that whoever serves requests keeps threads for
 * what needs no home. */
#define HOME_WATCH_WAITERS_MAX 96u

struct home_watch;

struct home_watch_config {
    struct store *home; /* must outlive the watch */
    bool away;          /* it is known to be; else it is found out */
    const char *record; /* one that is at home, and is read to see whether it is there; or NULL.
                         * Copied */
    void (*interrupt)(struct store *home); /* ends the calls that are under way; or NULL */
    unsigned probe_ms;                     /* between such tries while it is away; 0: 1 s */
    unsigned silent_ms; /* with reads under way and none answered for so long, it is away; 0: 5 s */
};

/* The watch has a thread of its own. 0 or negative errno. */
int home_watch_new(const struct home_watch_config *config, struct home_watch **ret);
/* NULL is allowed. Nobody may wait or read any more. A look that is under way is interrupted. */
void home_watch_free(struct home_watch *w);

/* get and has, as the home's own; every error that says that it is away becomes -EHOSTDOWN. Lives
 * as long as the watch, which frees it. */
struct store *home_watch_store(struct home_watch *w);

/* How long somebody is ready to wait, over any number of tries. */
struct home_watch_patience {
    int64_t deadline; /* of clock_ms; INT64_MAX: without limit */
    unsigned tries;   /* begins with 0 */
    /* Has nobody any use for the result any more? Asked before waiting and after home_watch_ask, in
     * the thread that waits, with a lock held: it must not block, nor call the watch. Or NULL. */
    bool (*given_up)(void *ctx);
    void *ctx;
};

/* After -EHOSTDOWN: waits until it is worth while to read again. 0; -ETIMEDOUT when the patience is
 * over; -EINTR when it was given up; -EBUSY when too many wait; -ECANCELED after home_watch_cancel.
 */
int home_watch_wait(struct home_watch *w, struct home_watch_patience *patience);

/* Has all who wait say whether they have given up. */
void home_watch_ask(struct home_watch *w);

/* Nobody waits any more, from now on; if the home is away, the calls that are under way are
 * interrupted. */
void home_watch_cancel(struct home_watch *w);

/* If the home is away, looks at once whether it still is; waits for the answer for 2 s at most. */
void home_watch_look(struct home_watch *w);

struct home_watch_state {
    bool away;
    time_t since;     /* meaningful when it is away */
    unsigned waiting; /* reads: those that wait for it, and those that it has not answered */
};
void home_watch_state(struct home_watch *w, struct home_watch_state *ret);

static inline void cleanup_home_watch(struct home_watch **w)
{
    home_watch_free(*w);
}
#define CLEANUP_HOME_WATCH CLEANUP(cleanup_home_watch)

#endif
