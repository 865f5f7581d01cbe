/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The thread that starts children, listens to what they say unasked (that the folder is open, lines
 * for the log, late answers), sees them end, and closes them; requests go past it. It waits for
 * nothing but these, and for the moment when a child should have opened the folder. What follows
 * from each stands in remote_state.c. */
#include "isrfs/base/clock.h"
#include "isrfs/store/remote_state.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "isrfs/base/log.h"
#include "isrfs/store/remote.h"

#define END_MS 1000 /* how long the end of the children is waited for when the store is closed */

/* wake, the child's three and its stuck slots, the pidfds of those given up. */
#define FDS_MAX (1u + 3u + REMOTE_SLOTS_MAX + REMOTE_HANGING_MAX + 4u)

/* Starts what has been asked for, without the lock. */
static void start_child(struct remote_keeper *k)
{
    struct remote_hello hello;
    {
        LOCK_SCOPE(&k->lock);
        if (!k->start || k->ending)
            return;
        hello = k->hello;
    }
    struct remote_child *c = NULL;
    int r = remote_child_start(k->program, &hello, &c);
    if (r < 0)
        log_error("store %s: a child process cannot be started: %s", k->name, strerror(-r));
    LOCK_SCOPE(&k->lock);
    k->start = false;
    if (r < 0) {
        remote_state_failed(k, r);
        return;
    }
    c->quiet = k->failed;
    c->started = clock_ms();
    k->child = c;
}

static void watch(struct pollfd *fds, size_t *count, int fd)
{
    if (fd >= 0 && *count < FDS_MAX)
        fds[(*count)++] = (struct pollfd){fd, POLLIN, 0};
}

/* What to wait for, and until when (-1: for ever). */
static int prepare(struct remote_keeper *k, struct pollfd *fds, size_t *count)
{
    LOCK_SCOPE(&k->lock);
    *count = 0;
    watch(fds, count, k->wake);
    for (const struct remote_child *c = k->given_up; c; c = c->next)
        watch(fds, count, c->pidfd);
    const struct remote_child *c = k->child;
    if (!c)
        return -1;
    watch(fds, count, c->control);
    watch(fds, count, c->log);
    watch(fds, count, c->pidfd);
    for (unsigned i = 0; i < c->slots && c->stuck > 0; i++)
        if (c->state[i] == REMOTE_SLOT_STUCK)
            watch(fds, count, c->sockets[i]);
    if (c->ready)
        return -1;
    int64_t left = c->started + k->limit_ms - clock_ms();
    if (left > 0)
        return (int)left;
    return k->state == REMOTE_OFFLINE && remote_state_given_up(k) >= REMOTE_HANGING_MAX ? -1 : 0;
}

static void hear_ready(struct remote_keeper *k, struct remote_child *c)
{
    uint8_t message[REMOTE_MESSAGE_MAX];
    struct remote_ready ready;
    ssize_t n =
        remote_protocol_receive(c->control, message, sizeof message, MSG_DONTWAIT, NULL, 0, NULL);
    if (n == -EAGAIN)
        return;
    if (n <= 0) {
        remote_state_lost(k, c, "has ended; another will be started");
    } else if (c->ready || remote_protocol_get_ready(message, (size_t)n, &ready) < 0) {
        remote_state_lost(k, c, "does not keep to the protocol, and is replaced");
    } else if (ready.result < 0) {
        if (!ready.ran)
            k->news.not_run = k->failed ? 0 : ready.result;
        remote_state_failed(k, ready.result);
    } else if (k->hello.uuid[0] && strcmp(k->hello.uuid, ready.uuid) != 0) {
        remote_state_lost(k, c, "does not keep to the protocol, and is replaced");
    } else {
        remote_state_opened(k, ready.uuid);
    }
}

/* A late answer makes its slot free; nobody wants what it says. */
static void hear_stuck(struct remote_keeper *k, struct remote_child *c, unsigned slot)
{
    uint8_t message[REMOTE_MESSAGE_MAX];
    struct remote_reply reply;
    ssize_t n = remote_protocol_receive(c->sockets[slot], message, sizeof message, MSG_DONTWAIT,
                                        NULL, 0, NULL);
    if (n == -EAGAIN)
        return;
    if (n <= 0 || remote_protocol_get_reply(message, (size_t)n, &c->last[slot], &reply) < 0) {
        remote_state_lost(k, c, "is lost; another will be started");
        return;
    }
    c->state[slot] = REMOTE_SLOT_FREE;
    c->stuck--;
    pthread_cond_broadcast(&k->changed);
}

static void hear(struct remote_keeper *k, struct remote_child *c)
{
    if (c == k->child)
        hear_ready(k, c);
    for (unsigned i = 0; c == k->child && i < c->slots; i++)
        if (c->state[i] == REMOTE_SLOT_STUCK)
            hear_stuck(k, c, i);
    bool ended = c == k->child && remote_child_ended(c);
    if (ended)
        hear_ready(k, c); /* what it said just before, why it ends perhaps */
    if (ended && c == k->child)
        remote_state_lost(k, c, "has ended; another will be started");
    if (c == k->child && !c->ready && clock_ms() >= c->started + k->limit_ms)
        remote_state_open_late(k);
}

static void say(const struct remote_keeper *k, const struct remote_news *news)
{
    if (news->not_run)
        log_error("cannot run %s: %s", k->program, strerror(-news->not_run));
    if (news->lost)
        log_warning("store %s: its child process %s", k->name, news->lost);
    if (news->silent)
        log_warning("store %s does not answer", k->name);
    if (news->offline)
        log_error("store %s is offline until it answers", k->name);
    if (news->back)
        log_info("store %s answers again", k->name);
}

/* What has happened since. The child that was heard is freed only by reap, so its last words can be
 * passed on without the lock. */
static bool step(struct remote_keeper *k)
{
    struct remote_child *c;
    struct remote_news news;
    {
        LOCK_SCOPE(&k->lock);
        c = k->child;
        if (c)
            hear(k, c);
        news = k->news;
        k->news = (struct remote_news){0};
    }
    if (c)
        remote_child_relay_log(c);
    say(k, &news);
    LOCK_SCOPE(&k->lock);
    if (remote_state_reap(k))
        k->retry_at = clock_ms(); /* something has moved, so the next request may try */
    return !k->ending;
}

static void *keep(void *arg)
{
    struct remote_keeper *k = arg;
    do {
        start_child(k);
        struct pollfd fds[FDS_MAX];
        size_t count;
        int timeout = prepare(k, fds, &count);
        poll(fds, count, timeout);
        eventfd_t ignored;
        eventfd_read(k->wake, &ignored);
    } while (step(k));
    return NULL;
}

void remote_keeper_init(struct remote_keeper *k)
{
    pthread_mutex_init(&k->lock, NULL);
    clock_cond_init(&k->changed);
    k->wake = -1;
}

int remote_keeper_begin(struct remote_keeper *k, bool later)
{
    k->state = later ? REMOTE_IDLE : REMOTE_STARTING;
    k->failed = later; /* as its opener knows */
    k->start = !later;
    k->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (k->wake < 0)
        return -errno;
    int r = pthread_create(&k->thread, NULL, keep, k);
    if (r != 0) {
        close(steal_fd(&k->wake));
        return -r;
    }
    int64_t end = clock_ms() + k->limit_ms;
    LOCK_SCOPE(&k->lock);
    while (k->state == REMOTE_STARTING)
        if (!clock_wait(&k->changed, &k->lock, end))
            return -EHOSTDOWN;
    return k->state == REMOTE_ONLINE || later ? 0
           : k->state == REMOTE_FAILED        ? k->error
                                              : -EHOSTDOWN;
}

void remote_keeper_end(struct remote_keeper *k)
{
    if (k->wake >= 0) {
        {
            LOCK_SCOPE(&k->lock);
            k->ending = true;
            remote_state_wake(k);
        }
        pthread_join(k->thread, NULL);
        close(steal_fd(&k->wake));
    }
    if (k->child) {
        k->child->next = k->given_up;
        k->given_up = steal_ptr(k->child);
    }
    for (struct remote_child *c = k->given_up; c; c = c->next)
        remote_child_close(c);
    int64_t end = clock_ms() + END_MS;
    while (k->given_up) {
        struct remote_child *c = k->given_up;
        struct pollfd gone = {c->pidfd, POLLIN, 0};
        int64_t left = end - clock_ms();
        poll(&gone, 1, left > 0 ? (int)left : 0);
        remote_child_ended(c);
        k->given_up = c->next;
        remote_child_free(c);
    }
    pthread_cond_destroy(&k->changed);
    pthread_mutex_destroy(&k->lock);
}
