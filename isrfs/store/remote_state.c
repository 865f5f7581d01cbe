/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which child serves.
 *
 *            request                 opened
 *   IDLE ---------------> STARTING ----------> ONLINE
 *    ^  ^                  |    | ^             |  |
 *    |  |    open is late  |    | | request     |  | a request is late, the child is lost
 *    |  +------------------+    v | later       |  |
 *    |                         FAILED           |  |     (late: the child is given up)
 *    +------------------------------------------+--+
 *
 *   In FAILED a request is refused with the error of the last child, and a later one (after
 *   probe_ms) has another one started.
 *
 *   Any of the two "late", for the REMOTE_HANGING_MAXth time with no request answered between, or
 *   when so many given-up children still exist:  ---> OFFLINE ---a child opened---> ONLINE
 *
 * In OFFLINE each request is refused at once; the first one after every probe_ms has a child
 * started that tries to open the folder, at most one at a time.
 *
 * Given up: the child gets no more requests. Those that read go on to their own limits, for perhaps
 * one object alone hangs; those that write are ended, since what this child puts is lost anyway.
 * When the last has gone it is killed and its memory and sockets are closed; it is never waited
 * for. It may exist for ever (state D), so it is counted: while REMOTE_HANGING_MAX exist, no more
 * are given up. Then the slot of a late request stays STUCK until the child answers it, and when
 * all its slots are stuck, requests are refused at once.
 *
 * So there are never more than REMOTE_HANGING_MAX children that hang and one that serves or tries,
 * plus any that are killed for breaking the protocol, which no request can cause at will: none is
 * started while that many exist.
 *
 * What a child has put since the last good barrier is lost with it (remote_puts.c); a result of a
 * put, remove or barrier counts only if the child still serves when it comes.
 *
 * `lock` guards it all, and is not held during I/O: what is done under it (poll of zero time,
 * kill, shutdown, close of sockets) does not wait. Pages that a given-up child shares are let go
 * under it too, which takes microseconds. */
#include "isrfs/store/remote_state.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "isrfs/base/clock.h"
#include "isrfs/store/remote.h"

void remote_state_wake(struct remote_keeper *k)
{
    eventfd_write(k->wake, 1);
}

unsigned remote_state_given_up(const struct remote_keeper *k)
{
    unsigned count = 0;
    for (const struct remote_child *c = k->given_up; c; c = c->next)
        count++;
    return count;
}

bool remote_state_reap(struct remote_keeper *k)
{
    bool any = false;
    for (struct remote_child **at = &k->given_up; *at;) {
        struct remote_child *c = *at;
        if (c->users == 0)
            remote_child_close(c);
        if (c->users == 0 && remote_child_ended(c)) {
            *at = c->next;
            remote_child_free(c);
            any = true;
        } else {
            at = &c->next;
        }
    }
    return any;
}

/* Takes the child out of service. */
static void retire(struct remote_keeper *k)
{
    struct remote_child *c = k->child;
    k->child = NULL;
    c->retired = true;
    c->next = k->given_up;
    k->given_up = c;
    remote_puts_lose(k->puts, REMOTE_PUTS_ALL, -EHOSTDOWN);
    for (unsigned i = 0; i < c->slots; i++)
        if (c->state[i] == REMOTE_SLOT_BUSY && c->writes[i])
            shutdown(c->sockets[i], SHUT_RDWR);
    remote_state_wake(k); /* the thread closes it: it may be listening to it */
}

static void set_state(struct remote_keeper *k, enum remote_state state)
{
    k->state = state;
    pthread_cond_broadcast(&k->changed);
}

static void go_offline(struct remote_keeper *k)
{
    k->news.offline |= k->state != REMOTE_OFFLINE;
    k->retry_at = clock_ms() + k->probe_ms;
    set_state(k, REMOTE_OFFLINE);
}

void remote_state_give_up(struct remote_keeper *k)
{
    retire(k);
    k->strikes++;
    if (k->strikes >= REMOTE_HANGING_MAX || remote_state_given_up(k) >= REMOTE_HANGING_MAX)
        go_offline(k);
    else
        set_state(k, REMOTE_IDLE);
}

void remote_state_open_late(struct remote_keeper *k)
{
    bool room = remote_state_given_up(k) < REMOTE_HANGING_MAX;
    if (k->state == REMOTE_OFFLINE) {
        if (!room)
            return; /* it is the one that tries, and may go on */
        retire(k);
        k->retry_at = clock_ms() + k->probe_ms;
        return;
    }
    k->news.silent = k->was_open;
    if (room)
        remote_state_give_up(k);
    else
        go_offline(k);
}

void remote_state_lost(struct remote_keeper *k, struct remote_child *c, const char *why)
{
    if (c != k->child)
        return;
    k->news.lost = why;
    bool served = k->state == REMOTE_ONLINE;
    retire(k);
    k->error = -EHOSTDOWN;
    k->retry_at = clock_ms() + k->probe_ms;
    if (k->state != REMOTE_OFFLINE)
        set_state(k, served ? REMOTE_IDLE : REMOTE_FAILED);
}

void remote_state_failed(struct remote_keeper *k, int error)
{
    if (k->child)
        retire(k);
    k->failed = true;
    k->error = error;
    k->retry_at = clock_ms() + k->probe_ms;
    set_state(k, REMOTE_FAILED);
}

void remote_state_opened(struct remote_keeper *k, const char *uuid)
{
    k->child->ready = k->was_open = true;
    k->hello.create = false; /* it is there now, and never made again */
    memcpy(k->hello.uuid, uuid, sizeof k->hello.uuid);
    k->child->quiet = false;
    k->news.back |= k->failed || k->state == REMOTE_OFFLINE;
    k->failed = false;
    if (k->state == REMOTE_OFFLINE)
        k->strikes = REMOTE_HANGING_MAX - 1; /* until it has answered a request too */
    set_state(k, REMOTE_ONLINE);
}

/* Takes a slot; the one last used, so that few pages are touched. */
static bool take_slot(struct remote_child *c, struct remote_request *request,
                      struct remote_seat *ret)
{
    for (unsigned i = 0; i < c->slots; i++) {
        if (c->state[i] != REMOTE_SLOT_FREE)
            continue;
        request->serial = ++c->serial;
        c->state[i] = REMOTE_SLOT_BUSY;
        c->writes[i] = request->op == REMOTE_PUT || request->op == REMOTE_PUT_RECORD ||
                       request->op == REMOTE_REMOVE || request->op == REMOTE_REMOVE_RECORD ||
                       request->op == REMOTE_BARRIER;
        c->last[i] = *request;
        c->users++;
        ret->child = c;
        ret->slot = i;
        return true;
    }
    return false;
}

static void want_child(struct remote_keeper *k)
{
    if (k->start || k->child)
        return;
    k->start = true;
    remote_state_wake(k);
}

/* Goes on until there is a slot: 1, it must be waited for: 0, or there will be none. */
static int try_seat(struct remote_keeper *k, struct remote_request *request,
                    struct remote_seat *ret)
{
    bool due = clock_ms() >= k->retry_at;
    switch (k->state) {
    case REMOTE_ONLINE:
        if (take_slot(k->child, request, ret))
            return 1;
        if (k->child->stuck < k->child->slots)
            return 0;
        if (remote_state_given_up(k) >= REMOTE_HANGING_MAX)
            return -EHOSTDOWN;
        remote_state_give_up(k);
        return try_seat(k, request, ret);
    case REMOTE_FAILED:
        if (!due)
            return k->error;
        /* fallthrough */
    case REMOTE_IDLE:
        if (remote_state_given_up(k) >= REMOTE_HANGING_MAX) {
            go_offline(k);
            remote_state_wake(k);
            return -EHOSTDOWN;
        }
        set_state(k, REMOTE_STARTING);
        want_child(k);
        return 0;
    case REMOTE_STARTING:
        return 0;
    default:
        if (due && remote_state_given_up(k) <= REMOTE_HANGING_MAX)
            want_child(k);
        return -EHOSTDOWN;
    }
}

/* What the book of puts has to say before. */
static int begin(struct remote_keeper *k, struct remote_request *request, struct remote_seat *ret)
{
    if (request->op == REMOTE_BARRIER)
        return remote_puts_begin_barrier(k->puts, &ret->epoch);
    if (request->op == REMOTE_PUT || request->op == REMOTE_PUT_RECORD)
        return remote_puts_begin(k->puts, request, &request->anew);
    return 0;
}

int remote_keeper_enter(struct remote_keeper *k, int64_t deadline, struct remote_request *request,
                        struct remote_seat *ret)
{
    LOCK_SCOPE(&k->lock);
    unsigned interrupts = k->interrupts;
    int r = begin(k, request, ret);
    while (r == 0 && (r = try_seat(k, request, ret)) == 0)
        if (!clock_wait(&k->changed, &k->lock, deadline) || k->interrupts != interrupts)
            return -EHOSTDOWN;
    return r < 0 ? r : 0;
}

/* Into the book; the result of the whole call. */
static int settle(struct remote_keeper *k, const struct remote_seat *seat,
                  const struct remote_request *request, int result)
{
    if (seat->child->writes[seat->slot] && seat->child != k->child)
        return -EHOSTDOWN;
    switch (request->op) {
    case REMOTE_PUT:
    case REMOTE_PUT_RECORD:
        return result < 0 ? result : remote_puts_add(k->puts, request);
    case REMOTE_REMOVE:
    case REMOTE_REMOVE_RECORD:
        if (result == 0 || result == -ENOENT)
            remote_puts_forget(k->puts, request);
        return result;
    case REMOTE_BARRIER:
        if (result < 0)
            remote_puts_lose(k->puts, seat->epoch, result);
        else
            result = remote_puts_settle(k->puts, seat->epoch);
        return result;
    default:
        return result;
    }
}

static void late(struct remote_keeper *k, const struct remote_seat *seat)
{
    struct remote_child *c = seat->child;
    if (c != k->child)
        return;
    k->news.silent = true;
    if (remote_state_given_up(k) < REMOTE_HANGING_MAX) {
        remote_state_give_up(k);
        return;
    }
    c->state[seat->slot] = REMOTE_SLOT_STUCK;
    c->stuck++;
    remote_state_wake(k); /* to listen for the answer */
}

int remote_keeper_leave(struct remote_keeper *k, const struct remote_seat *seat,
                        enum remote_end end, const struct remote_request *request,
                        const struct remote_reply *reply)
{
    LOCK_SCOPE(&k->lock);
    struct remote_child *c = seat->child;
    int result = -EHOSTDOWN;
    if (end == REMOTE_ANSWERED) {
        k->strikes = 0;
        result = settle(k, seat, request, reply->result);
    } else if (end == REMOTE_LATE) {
        late(k, seat);
    } else {
        remote_state_lost(k, c, "is lost; another will be started");
    }
    if (c->state[seat->slot] == REMOTE_SLOT_BUSY)
        c->state[seat->slot] = REMOTE_SLOT_FREE;
    c->users--;
    if (c->retired && c->users == 0)
        remote_state_wake(k);
    if (c == k->child)
        pthread_cond_broadcast(&k->changed);
    return result;
}

static void interrupt_child(struct remote_child *c)
{
    for (unsigned i = 0; i < c->slots; i++)
        if (c->state[i] == REMOTE_SLOT_BUSY && c->sockets[i] >= 0)
            shutdown(c->sockets[i], SHUT_RDWR);
}

void remote_keeper_interrupt(struct remote_keeper *k)
{
    LOCK_SCOPE(&k->lock);
    k->interrupts++;
    if (k->child && k->child->users > 0) {
        retire(k);
        if (k->state == REMOTE_ONLINE)
            set_state(k, REMOTE_IDLE);
    }
    for (struct remote_child *c = k->given_up; c; c = c->next)
        interrupt_child(c);
    pthread_cond_broadcast(&k->changed);
}

/* The child's own store would fail its barriers too, so another one goes on. */
void remote_keeper_put_again(struct remote_keeper *k)
{
    LOCK_SCOPE(&k->lock);
    if (!remote_puts_any_lost(k->puts))
        return;
    if (k->state == REMOTE_ONLINE) {
        retire(k);
        set_state(k, REMOTE_IDLE);
    }
    remote_puts_forgive(k->puts);
}

bool remote_keeper_full(struct remote_keeper *k)
{
    LOCK_SCOPE(&k->lock);
    return remote_puts_full(k->puts);
}

unsigned remote_keeper_hanging(struct remote_keeper *k)
{
    LOCK_SCOPE(&k->lock);
    return remote_state_given_up(k);
}
