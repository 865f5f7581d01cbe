/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is said to the lock server and what it answers, as C. Texts are plain here (percent-encoded
 * only on the way). Those marked "for showing" have been through log_clean(): a terminal may have
 * them. Times are UTC seconds by the server's clock. */
#ifndef LOCKCLIENT_TYPES_H
#define LOCKCLIENT_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "isrfs/base/log.h"

#define LOCKCLIENT_NAME_SIZE     65u /* users and parcels, with the NUL */
#define LOCKCLIENT_UUID_SIZE     33u
#define LOCKCLIENT_NONCE_SIZE    101u
#define LOCKCLIENT_TEXT_SIZE     1025u
#define LOCKCLIENT_SECRET_SIZE   32u
#define LOCKCLIENT_KEYROOT_SIZE  64u /* key, then id */
#define LOCKCLIENT_RECOVERY_SIZE 16u

/* Why a call failed: what the program's exit status would be (1 failed, 2 refused as malformed, 3
 * lock held elsewhere or lost, 4 no such parcel or version, 6 lock server not reachable), and one
 * line for showing, without the program's name. */
struct lockclient_error {
    int status;
    char text[LOG_MESSAGE_SIZE];
};

/* How ssh is used; zeros and NULLs are the defaults. */
struct lockclient_ssh {
    const char *command; /* a program, perhaps with arguments, separated by single spaces, to use
                          * instead of libssh */
    const char *folder;  /* config, known_hosts and keys for libssh, instead of ~/.ssh */
    unsigned connect_ms; /* limit for connecting and logging in (20 s) */
    unsigned command_ms; /* and for each command (120 s) */
};

/* Holds a secret: released with lockclient_user_free. */
struct lockclient_user {
    uint8_t secret[LOCKCLIENT_SECRET_SIZE]; /* the convergence secret */
    bool has_recovery;                      /* false: a server of an older release */
    uint8_t recovery[LOCKCLIENT_RECOVERY_SIZE];
    uint64_t epoch;
    char default_src[LOCKCLIENT_TEXT_SIZE]; /* SCHEME://path for new parcels without --src */
};

struct lockclient_parcel_cfg {
    char uuid[LOCKCLIENT_UUID_SIZE];
    char store[LOCKCLIENT_UUID_SIZE]; /* uuid of the store that SRC must show */
    char src[LOCKCLIENT_TEXT_SIZE];   /* SCHEME://path */
    uint64_t version;                 /* the current one */
    uint64_t epoch;
};

/* Holds secrets: released with lockclient_keyroot_free. */
struct lockclient_keyroot {
    uint8_t keyroot[LOCKCLIENT_KEYROOT_SIZE];
    uint8_t secret[LOCKCLIENT_SECRET_SIZE]; /* the convergence secret: the parcel's or the user's */
    bool has_recovery;                      /* false: a server of an older release */
    uint8_t recovery[LOCKCLIENT_RECOVERY_SIZE];
    uint64_t version;
};

/* Who has the lock; for showing. An empty user: nobody. */
struct lockclient_holder {
    char user[LOCKCLIENT_NAME_SIZE];
    char site[LOCKCLIENT_TEXT_SIZE];
    uint64_t since;
    uint64_t seen; /* when it was last heard of; 0: not known */
};

enum lockclient_state {
    LOCKCLIENT_UNKNOWN, /* the server has never seen this nonce */
    LOCKCLIENT_HELD,
    LOCKCLIENT_PUBLISHED, /* and given back */
    LOCKCLIENT_RELEASED,  /* given back without a new version */
    LOCKCLIENT_BROKEN,    /* taken away; it can never publish again */
};

/* Holds a secret: released with lockclient_check_free. */
struct lockclient_check {
    enum lockclient_state state;
    uint64_t version; /* HELD: the version it is based on by now. PUBLISHED: its last. Else 0 */
    bool has_session; /* not for UNKNOWN, and not for a nonce broken as stolen */
    uint8_t session[LOCKCLIENT_SECRET_SIZE];
};

/* Holds a secret: released with lockclient_lock_free. */
struct lockclient_lock {
    uint8_t session[LOCKCLIENT_SECRET_SIZE];
    uint64_t version; /* what the check-out is based on */
    uint64_t since;
};

struct lockclient_parcel {
    char name[LOCKCLIENT_NAME_SIZE];
    char *holder;     /* user@host, for showing; NULL: nobody */
    uint64_t version; /* the current one, */
    uint64_t time;    /* when it was published, */
    uint64_t size;    /* and the bytes of its files */
};

struct lockclient_list {
    struct lockclient_parcel *parcels;
    size_t count;
};

struct lockclient_version {
    uint64_t number, time;
    uint64_t newbytes; /* stored for it beyond what the version before had */
    uint64_t size;
    bool consistent;
    char *site;             /* for showing; NULL: the lock server itself */
    char *comment;          /* for showing; NULL: none */
    char *comment_as_given; /* may be anything but NUL: not for a terminal; NULL: none */
};

struct lockclient_history {
    struct lockclient_version *versions; /* the oldest first; numbers rise */
    size_t count;
};

/* A version that was pruned, or all of a parcel that was removed. */
struct lockclient_gone {
    char uuid[LOCKCLIENT_UUID_SIZE];
    uint64_t number; /* 0: all */
};

struct lockclient_forgotten {
    struct lockclient_gone *gone; /* those of one parcel together */
    size_t count;
};

/* To be published, or the first of a new parcel. The pointers are the caller's. */
struct lockclient_new_version {
    const uint8_t *keyroot; /* LOCKCLIENT_KEYROOT_SIZE bytes */
    uint64_t size, newbytes;
    const char *comment; /* NULL: none */
};

struct lockclient_publish {
    struct lockclient_new_version version;
    uint64_t base;   /* the version that it changes; a repeat must say the same */
    bool consistent; /* false: a crash's last commit, disk only */
    bool release;    /* give the lock back in the same step */
    /* The parcel was written anew: its uuid (NULL: it was not) and secret from now on. All versions
     * before are forgotten. */
    const char *uuid;
    const uint8_t *secret; /* LOCKCLIENT_SECRET_SIZE bytes */
};

struct lockclient_create {
    struct lockclient_new_version version;
    const char *uuid, *store; /* 32 hex digits each */
    const char *src;          /* SCHEME://path */
    uint64_t number;          /* of the version, for a parcel that was lost at the server; 0: new */
    const uint8_t
        *recovery; /* with NUMBER: the user's recovery key if there is no parcel yet; or NULL */
};

#define LOCKCLIENT_HOLDER_ID_SIZE 9u

/* Who has the lock, and what of the parcel cannot be pruned. */
struct lockclient_held {
    bool held;                          /* false: nobody has it, and the rest is empty */
    char id[LOCKCLIENT_HOLDER_ID_SIZE]; /* tells this check-out from others; no secret */
    struct lockclient_holder holder;
    uint64_t needed; /* the oldest version that it may work from */
};

/* Which lock is to be broken, and why. */
struct lockclient_break {
    bool stolen;
    const char *id;     /* of struct lockclient_held; NULL: whoever has it */
    const char *reason; /* for audit; NULL: none */
};

/* What a lock was taken from. */
struct lockclient_broken {
    bool held; /* false: nobody had it, and the rest is empty */
    char nonce[LOCKCLIENT_NONCE_SIZE];
    struct lockclient_holder holder; /* empty if it had been broken before */
};

struct lockclient_rollback {
    uint64_t base, version; /* the current one; the one to go back to */
    const uint8_t *catalog; /* its id, 32 bytes: the server refuses if that is another */
    const char *comment;    /* NULL: none */
    bool release;           /* give the lock back in the same step */
};

struct lockclient_clone {
    const char *name, *uuid; /* of the new parcel */
    uint64_t version;
    const uint8_t *catalog; /* its id, 32 bytes */
    const char *comment;    /* NULL: none */
};

#endif
