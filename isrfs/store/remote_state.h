/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Private to the remote store: which child serves, which are given up, and the thread that keeps
 * them. */
#ifndef ISRFS_STORE_REMOTE_STATE_H
#define ISRFS_STORE_REMOTE_STATE_H

#include "isrfs/store/remote_child.h"
#include "isrfs/store/remote_puts.h"

enum remote_state {
    REMOTE_IDLE,     /* no child; the next request has one started */
    REMOTE_STARTING, /* a child opens the folder; requests wait for it */
    REMOTE_ONLINE,   /* the child serves */
    REMOTE_FAILED,   /* no child: the last could not open the folder */
    REMOTE_OFFLINE,  /* too many did not answer. The child, if any, is the one that tries */
};

/* What people are to be told; said by the thread, without the lock. */
struct remote_news {
    bool silent, offline, back;
    const char *lost; /* static text */
    int not_run;      /* negative errno */
};

struct remote_keeper {
    /* constant */
    char *program;
    struct remote_hello hello; /* but for uuid and create: lock */
    const char *name;          /* of the store, for messages */
    int64_t limit_ms, probe_ms;
    int wake; /* eventfd */
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t changed;  /* state, free slots */
    enum remote_state state; /* all below: lock */
    struct remote_child *child;
    struct remote_child *given_up; /* those that still exist, and those that callers still use */
    unsigned strikes;              /* children given up since one last answered a request */
    bool start;                    /* the thread is to start a child, or does so */
    bool ending;
    unsigned interrupts;
    bool was_open;    /* before that, who opens the store is told by the result alone */
    bool failed;      /* the last child could not open the folder, and has said why */
    int error;        /* FAILED: why */
    int64_t retry_at; /* FAILED, OFFLINE: not before */
    struct remote_puts *puts;
    struct remote_news news;
};

/* A slot of a child, for one request. */
struct remote_seat {
    struct remote_child *child;
    unsigned slot;
    uint64_t epoch; /* barrier: of struct remote_puts */
};

/* How a request ended: UNSENT, its child was lost before and has not seen it; LOST, while it ran
 * (or the child broke the protocol); LATE, its limit has passed. */
enum remote_end { REMOTE_ANSWERED, REMOTE_UNSENT, REMOTE_LOST, REMOTE_LATE };

/* The members that need no allocation; no failure. */
void remote_keeper_init(struct remote_keeper *k);
/* Starts the thread and, unless LATER, a child, and waits until that has opened the folder. The
 * caller has filled in what is constant, and puts. */
int remote_keeper_begin(struct remote_keeper *k, bool later);
/* No request may be running. After init, and also after a failed begin. */
void remote_keeper_end(struct remote_keeper *k);

/* Waits until a child serves and has a slot for REQUEST, whose serial number and flags are filled
 * in. 0, -EHOSTDOWN (at once when offline, else at DEADLINE), what a start failed with, or what
 * remote_puts says. */
int remote_keeper_enter(struct remote_keeper *k, int64_t deadline, struct remote_request *request,
                        struct remote_seat *ret);
/* Ends a request that had REPLY (if it was ANSWERED), and gives its result. */
int remote_keeper_leave(struct remote_keeper *k, const struct remote_seat *seat,
                        enum remote_end end, const struct remote_request *request,
                        const struct remote_reply *reply);

/* Ends all requests of now. */
void remote_keeper_interrupt(struct remote_keeper *k);

/* What is lost makes no barrier fail any more. */
void remote_keeper_put_again(struct remote_keeper *k);

/* A barrier is due, for the sake of memory. */
bool remote_keeper_full(struct remote_keeper *k);
unsigned remote_keeper_hanging(struct remote_keeper *k);

/* The rest is shared by remote_state.c (requests) and remote_keeper.c (the thread); all with the
 * lock held. */

/* Has the child of the moment given up; what it has put is lost. */
void remote_state_give_up(struct remote_keeper *k);
/* It did not open the folder within the limit. */
void remote_state_open_late(struct remote_keeper *k);
/* It has ended, or is not to be trusted. Any child; nothing if it was given up before. */
void remote_state_lost(struct remote_keeper *k, struct remote_child *c, const char *why);
/* It could not be started or could not open the folder. */
void remote_state_failed(struct remote_keeper *k, int error);
/* It has opened the folder. */
void remote_state_opened(struct remote_keeper *k, const char *uuid);
/* Closes what is given up and has no users, and releases it once it has ended. True if any has. The
 * thread only. */
bool remote_state_reap(struct remote_keeper *k);
unsigned remote_state_given_up(const struct remote_keeper *k);
void remote_state_wake(struct remote_keeper *k);

#endif
