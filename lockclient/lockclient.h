/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The lock server as its users see it: typed calls, each one command there (doc/lock-server.md).
 *
 * Every call may be repeated with the same arguments after any failure: what was done once is not
 * done twice, and the answer is the same. That is why the nonce is made and stored by the caller
 * before it is first used.
 *
 * A failed call returns negative errno and, if ERROR is not NULL, its reason:
 *   -EINVAL        an argument that the server would refuse, or refused
 *   -ENOENT        no such parcel or version
 *   -EEXIST        another parcel has this name
 *   -EBUSY         the lock is held elsewhere (status 3)
 *   -EKEYREVOKED   this nonce holds the lock no more and never will again (status 3)
 *   -ESTALE        the server is at another version or epoch: read the parcel's cfg again
 *   -EREMOTEIO     the command failed at the server
 *   -EBADMSG       its reply is malformed or not what was asked for; whether it was done is not
 * known -EHOSTUNREACH  it could not be run, or its end is not known: say it again (status 6)
 *   -ENOMEM
 * Calls block for as long as the server takes, within limits: two minutes for a command, and what
 * struct lockclient_ssh says. Any thread may call, several at once. */
#ifndef LOCKCLIENT_LOCKCLIENT_H
#define LOCKCLIENT_LOCKCLIENT_H

#include "isrfs/base/cleanup.h"
#include "lockclient/types.h"

struct lockclient;

struct lockclient_config {
    const char *server;  /* a folder, or ssh://[user@]host[:port] */
    const char *scripts; /* folder of the server's commands, absolute; for a folder server */
    const char *user;    /* whose parcels */
    const char *site;    /* this site, as others are told: host:path */
    const struct lockclient_ssh *ssh; /* NULL: the defaults */
};

/* Copies what it needs of CONFIG; asks the server nothing. */
int lockclient_open(const struct lockclient_config *config, struct lockclient **ret,
                    struct lockclient_error *error);
void lockclient_free(struct lockclient *lc);

/* Has a person had to type a password or passphrase? Then no call will succeed without a terminal
 * once the connection has ended. */
bool lockclient_asked(const struct lockclient *lc);

/* time-base-epoch-random, for lockclient_acquire: a new one each time. 0 or -EIO. */
int lockclient_make_nonce(uint64_t base, uint64_t epoch, char ret[LOCKCLIENT_NONCE_SIZE]);
bool lockclient_nonce_valid(const char *nonce);
bool lockclient_name_valid(const char *name);

/* What *RET gets from these belongs to the caller. */
int lockclient_user(struct lockclient *lc, struct lockclient_user **ret,
                    struct lockclient_error *error);
/* VERSION 0: the current one. */
int lockclient_keyroot(struct lockclient *lc, const char *parcel, uint64_t version,
                       struct lockclient_keyroot **ret, struct lockclient_error *error);
/* Takes the lock. With -EBUSY, *RET_HOLDER (may be NULL) says who has it. */
int lockclient_acquire(struct lockclient *lc, const char *parcel, const char *nonce,
                       struct lockclient_lock **ret, struct lockclient_holder *ret_holder,
                       struct lockclient_error *error);
int lockclient_check(struct lockclient *lc, const char *parcel, const char *nonce,
                     struct lockclient_check **ret, struct lockclient_error *error);

int lockclient_list(struct lockclient *lc, struct lockclient_list *ret,
                    struct lockclient_error *error);
int lockclient_history(struct lockclient *lc, const char *parcel, struct lockclient_history *ret,
                       struct lockclient_error *error);
int lockclient_parcel_cfg(struct lockclient *lc, const char *parcel,
                          struct lockclient_parcel_cfg *ret, struct lockclient_error *error);
int lockclient_create(struct lockclient *lc, const char *parcel, const struct lockclient_create *c,
                      struct lockclient_error *error);
/* The new version is always P->base + 1. A rekeying (P->uuid) is published likewise. */
int lockclient_publish(struct lockclient *lc, const char *parcel, const char *nonce,
                       const struct lockclient_publish *p, struct lockclient_error *error);
/* Gives the lock back and publishes nothing. */
int lockclient_release(struct lockclient *lc, const char *parcel, const char *nonce,
                       struct lockclient_error *error);
/* Who has the lock. */
int lockclient_held(struct lockclient *lc, const char *parcel, struct lockclient_held *ret,
                    struct lockclient_error *error);
/* Takes the lock away from whoever has it. STOLEN also withholds the session key of that nonce from
 * then on; if nobody has the lock, of the last nonce that was broken. With an id, only of the
 * check-out that it stands for: -ESTALE if that has ended otherwise or never was. */
int lockclient_break(struct lockclient *lc, const char *parcel, const struct lockclient_break *b,
                     struct lockclient_broken *ret, struct lockclient_error *error);

/* By who holds the lock: version B->version becomes B->base + 1 as well. -ENOENT: there is none.
 * Other errors as lockclient_publish. */
int lockclient_rollback(struct lockclient *lc, const char *parcel, const char *nonce,
                        const struct lockclient_rollback *b, struct lockclient_error *error);
/* A version of PARCEL becomes the first one of a new parcel. */
int lockclient_clone(struct lockclient *lc, const char *parcel, const struct lockclient_clone *c,
                     struct lockclient_error *error);
/* Forgets the parcel if it is the one with this uuid. -EBUSY while it is checked out. */
int lockclient_remove(struct lockclient *lc, const char *parcel, const char *uuid,
                      struct lockclient_error *error);
/* Forgets versions; those that are forgotten already are no error. Done in pieces if there are
 * many: after a failure some may be. -EBUSY for one that a check-out works from. COUNT is not 0. */
int lockclient_prune(struct lockclient *lc, const char *parcel, const char *uuid,
                     const uint64_t *numbers, size_t count, struct lockclient_error *error);

/* Everything that was pruned or removed. */
int lockclient_forgotten(struct lockclient *lc, struct lockclient_forgotten *ret,
                         struct lockclient_error *error);

/* Something that was measured, for whoever runs the lock server. EVENT is [a-z][a-z0-9-]*, DATA
 * "name=number,name=number". Said twice it stands there twice. */
int lockclient_put_event(struct lockclient *lc, const char *event, const char *data,
                         struct lockclient_error *error);

/* Each wipes what is secret. NULL is allowed. */
void lockclient_user_free(struct lockclient_user *u);
void lockclient_keyroot_free(struct lockclient_keyroot *k);
void lockclient_lock_free(struct lockclient_lock *l);
void lockclient_check_free(struct lockclient_check *c);
void lockclient_list_free(struct lockclient_list *list);
void lockclient_history_free(struct lockclient_history *history);
void lockclient_forgotten_free(struct lockclient_forgotten *forgotten);

static inline void cleanup_lockclient(struct lockclient **lc)
{
    lockclient_free(*lc);
}
#define CLEANUP_LOCKCLIENT CLEANUP(cleanup_lockclient)

#endif
