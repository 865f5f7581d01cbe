/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A check-out: this site's hold on a parcel, from acquiring the lock to giving it back, over any
 * number of mounts, commits and crashes (DESIGN 6, 7). Everything that a mount or a command needs
 * to work with the parcel is put together here: lock client, home store, site log, the stack of
 * stores, codec, secrets.
 *
 * One thread at a time, but for what the parts themselves allow. Calls block on the lock server and
 * stores. */
#ifndef ISRFS_SYNC_CHECKOUT_H
#define ISRFS_SYNC_CHECKOUT_H

#include <pthread.h>

#include "isrfs/base/counters.h"
#include "isrfs/base/log.h"
#include "isrfs/base/pool.h"
#include "isrfs/parcel/parcel.h"
#include "isrfs/parcel/site_log.h"
#include "isrfs/store/store.h"
#include "isrfs/sync/site.h"
#include "isrfs/sync/version.h"

/* Why something was refused, for a person and for the exit status (DESIGN 10). */
enum outcome {
    OUTCOME_DONE = 0,
    OUTCOME_FAILED = 1,
    OUTCOME_USAGE = 2,
    OUTCOME_LOCKED = 3,
    OUTCOME_UNKNOWN = 4,
    OUTCOME_DAMAGED = 5,
    OUTCOME_UNREACHABLE = 6,
};

struct failure {
    enum outcome outcome;
    char text[LOG_MESSAGE_SIZE]; /* one line that says what and what to do; printable ASCII */
};

/* Fills F and returns a negative errno that fits, so that `return failure_set(...)` reads well. */
int failure_set(struct failure *f, enum outcome outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The outcome that an errno of a store or of the log stands for. */
enum outcome outcome_of(int error);

struct checkout {
    struct source source;    /* who and what */
    char *state_path;        /* absolute path of this parcel's state folder; NULL when read-only */
    int state_fd;            /* that folder, -1 when read-only */
    int lock_fd;             /* its `lock` file, flocked by this process; -1 when read-only */
    char uuid[33];           /* the parcel's */
    char *src;               /* the home's URL */
    char *nonce;             /* NULL when read-only */
    uint64_t epoch;          /* the lock server's, when it was asked */
    uint64_t base_version;   /* the version that was checked out (or is read) */
    struct object_ref base;  /* its catalog */
    bool fresh;              /* this call acquired the lock (it was not held by this site before) */
    bool lost;               /* the lock was taken from this site: nothing can be published */
    bool stolen;             /* and with it the key to this site's log, which is not open */
    unsigned flags;          /* of checkout_open */
    bool events;             /* what is measured is sent to the lock server (event.h) */
    uint64_t server_version; /* what the lock server says that it is based on; 0 if `lost` */
    struct codec *codec;
    struct pool *pool;
    struct counters counters;
    struct object_secret *secret; /* in secret memory */
    bool has_recovery;            /* did the lock server give the recovery key? */
    uint8_t recovery[LOCKCLIENT_RECOVERY_SIZE];
    struct lockclient *client;
    struct store *home;          /* the folder store at SRC */
    int home_error;              /* it was not there when this began, and is waited for */
    struct site_log *log;        /* NULL when read-only */
    struct home_watch *watch;    /* through which the stack reads the home; NULL without one */
    struct store *stack;         /* log, then home */
    struct site_log_found found; /* what opening the log found */
    unsigned home_wait_ms;       /* for parcels; set from isr.conf, may be changed */
    bool damaged;                /* the log is; it was opened with salvage */
    bool salvage;                /* for checkout_parcel: give up what is damaged or missing */
    _Atomic bool loss_told;      /* all that the last commit gave up was */
    struct parcel_recovered recovered; /* what the last checkout_parcel found in the journal */
    bool disk_only;     /* what is not consistent may be published without its volatile files */
    bool parcel_opened; /* objects in the log may be in no root yet: it is not trimmed */
    pthread_mutex_t root_lock;
    pthread_cond_t root_free;
    bool root_busy;            /* root_lock; the token of checkout_root_take */
    struct site_root root;     /* the newest root; read and changed only with the token */
    bool carried_busy;         /* root_lock; the token of checkout_carried_take */
    struct object_ref carried; /* with that token; the last catalog that this process brought home
                                * without publishing it, with its hold; a hole: none */
    uint64_t carried_bytes;    /* with that token; put at home since the base version */
};

enum checkout_flags {
    CHECKOUT_EXISTING = 1,  /* only if this site has it already: OUTCOME_UNKNOWN otherwise */
    CHECKOUT_READ_ONLY = 2, /* no lock, no state: SOURCE's version (0: the newest) as published */
    CHECKOUT_NO_HOME = 4,   /* the home may be offline (checkout->home is NULL then) */
    CHECKOUT_HOME_LATER =
        256,              /* likewise for what this site has checked out already, if its log has
                           * what is needed to begin; the home is used as soon as it is back */
    CHECKOUT_RECORDS = 8, /* with READ_ONLY: version records are to be written at home */
    CHECKOUT_ACCEPT_OLDER = 16, /* also an older version than this site or the home has seen */
    CHECKOUT_LOST = 64,         /* the lock may have been taken from this site (checkout->lost) */
    CHECKOUT_ACCEPT_LOSS = 128, /* the site log may be damaged where it hurts */
    CHECKOUT_NO_LOG = 32,       /* it may be wholly unreadable (checkout->log is NULL then) */
};

/* Checks the parcel out, or takes up what this site has checked out already (a repeat of the same
 * request to the lock server). Fails if another process of this site works on it (OUTCOME_LOCKED).
 * SOURCE is copied. -EALREADY with
 * OUTCOME_DONE: the lock server says that this check-out has ended; what was left of it here is
 * gone. Otherwise 0 or negative errno with FAILURE filled in. After a failure of a fresh check-out
 * the lock is given back. */
int checkout_open(const struct site *site, const struct source *source, unsigned flags,
                  struct checkout **ret, struct failure *failure);

/* The newest root is read and replaced (in the log and here) by one thread at a time. */
void checkout_root_take(struct checkout *c);
void checkout_root_give(struct checkout *c);

/* Objects are brought home by one thread at a time. */
void checkout_carried_take(struct checkout *c);
void checkout_carried_give(struct checkout *c);
/* With that token: the catalog whose objects are all at home, ROOT's base if there is none later.
 */
const struct object_ref *checkout_carried(const struct checkout *c, const struct site_root *root);

/* Makes ROOT the newest, durably. With the token. 0 or negative errno of the log. */
int checkout_root_put(struct checkout *c, const struct site_root *root);

/* Opens the site log as C->log and fills C->found; SESSION is the nonce's. Makes an empty one if
 * there is none. */
int checkout_open_log(struct checkout *c, const uint8_t *session, struct failure *failure);

/* Removes what this site keeps of a check-out that has ended: log, nonce, and its hold at home (as
 * far as that can be reached). May be repeated. */
int checkout_forget(struct checkout *c);

/* Lets go of everything in this process; lock, nonce and log stay. NULL is allowed. */
void checkout_close(struct checkout *c);

/* Nobody waits for a home that is away any more. */
void checkout_hurry(struct checkout *c);

/* What the check-out's version records are sealed with; points into C. */
struct version_seal checkout_seal(const struct checkout *c);

/* Opens the newest state of the check-out as files. See parcel_open; CACHE_BYTES as in its config.
 */
int checkout_parcel(struct checkout *c, size_t cache_bytes, struct parcel **ret,
                    struct failure *failure);

#endif
