/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kernel keeps what is written through its cache for half a minute and longer, and nothing but
 * a request from it brings that here. Who opens and closes a file has it written out, and must wait
 * until it is. No thread of the daemon may do that: in the kernel such a wait cannot be killed, a
 * daemon that waits for itself could then not be either, and /dev/fuse, which it has open, would
 * keep the mount alive. So a child process does it, a program of its own that has neither keys nor
 * /dev/fuse (handover_child.c), and a thread here tells it which files.
 *
 *   due      open for writing, not volatile, and nothing was handed over for PERIOD_MS;
 *   in hand  the child has been told and has not answered. It is not told again, whatever that
 *            takes; nothing here waits for it.
 *
 * The child runs only while a file is open for writing, from the first time that one is due. While
 * none is, the thread sleeps.
 *
 * A program that closes a file and unmounts at once must not find it busy because of the child. So
 * a writer's FLUSH, which its close waits for, is answered when the file is not in hand any more;
 * if that takes HOLD_MS the child is not doing well, and is not waited for again. Nor is a file in
 * hand soon after a FLUSH, for that came after everything was handed over, and a RELEASE may
 * follow. What has no such moment is a mapping's end after its file was closed: whoever unmounts
 * then may, for an instant, be told that it is busy.
 *
 * The kernel tells an error of its writes to the next one who closes the file. If that was the
 * child, it is told to the next writer who does. (fsync tells each file description in any case.)
 */
#include "isrfs/fuse/handover.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "isrfs/base/buffer.h"
#include "isrfs/base/clock.h"
#include "isrfs/base/log.h"
#include "isrfs/fuse/handover_process.h"

#define PERIOD_MS 2000
#define GAP_MS    250 /* between two times that one file or any is in hand */
#define HOLD_MS   2000
#define IN_HAND   64u

struct closing {
    fuse_req_t req;
    int64_t until;
    struct closing *next;
};

struct hand {
    uint64_t file_id;
    bool late; /* nobody is to wait for it any more */
    struct closing *closing;
    struct hand *next;
};

struct handover {
    struct mount *m;
    pthread_t thread;
    int event;                       /* eventfd: `changed` or `stop` */
    struct handover_process process; /* the thread's */
    bool failed;                     /* the thread's; that has been said */
    pthread_mutex_t lock;
    bool asleep;        /* lock; the thread believes that there is nothing to be kept */
    bool stop;          /* lock */
    struct hand *hands; /* lock */
    unsigned in_hand;   /* lock */
};

static void answer_closing(struct handover *h, struct hand *hand)
{
    for (struct closing *c; (c = hand->closing);) {
        hand->closing = c->next;
        front_reply(c->req, writers_take_error(h->m->writers, hand->file_id));
        free(c);
    }
}

static struct hand **find(struct handover *h, uint64_t file_id)
{
    struct hand **at = &h->hands;
    while (*at && (*at)->file_id != file_id)
        at = &(*at)->next;
    return at;
}

/* With the lock held: the file is no longer in hand. */
static void remove_hand(struct handover *h, struct hand **at)
{
    CLEANUP_FREE struct hand *hand = *at;
    *at = hand->next;
    h->in_hand--;
    answer_closing(h, hand);
}

void handover_closing(struct handover *h, fuse_req_t req, uint64_t file_id)
{
    struct closing *c = h ? malloc(sizeof *c) : NULL;
    if (!c) {
        front_reply(req, 0);
        return;
    }
    int64_t now = clock_ms();
    LOCK_SCOPE(&h->lock);
    struct hand *hand = *find(h, file_id);
    writers_handed_over(h->m->writers, file_id, now);
    if (!hand || hand->late) {
        free(c);
        front_reply(req, writers_take_error(h->m->writers, file_id));
        return;
    }
    *c = (struct closing){.req = req, .until = now + HOLD_MS, .next = hand->closing};
    hand->closing = c;
    eventfd_write(h->event, 1); /* the thread has to know the time */
}

void handover_changed(struct handover *h)
{
    if (!h)
        return;
    LOCK_SCOPE(&h->lock);
    if (h->asleep == writers_any_kept(h->m->writers))
        eventfd_write(h->event, 1);
}

/* Marks the file as in hand if it is still due. */
static bool take(struct handover *h, uint64_t file_id, int64_t now)
{
    CLEANUP_FREE struct hand *hand = calloc(1, sizeof *hand);
    LOCK_SCOPE(&h->lock);
    if (!hand || h->in_hand >= IN_HAND || *find(h, file_id) ||
        !writers_take_due(h->m->writers, file_id, now - PERIOD_MS, now))
        return false;
    hand->file_id = file_id;
    hand->next = h->hands;
    h->hands = steal_ptr(hand);
    h->in_hand++;
    return true;
}

static void give_back(struct handover *h, uint64_t file_id, int error)
{
    LOCK_SCOPE(&h->lock);
    struct hand **at = find(h, file_id);
    if (!*at)
        return;
    if (error)
        writers_set_error(h->m->writers, file_id, error);
    writers_handed_over(h->m->writers, file_id, clock_ms() - PERIOD_MS + GAP_MS);
    remove_hand(h, at);
}

static void give_all_back(struct handover *h)
{
    LOCK_SCOPE(&h->lock);
    while (h->hands)
        remove_hand(h, &h->hands);
}

/* A child that was killed has to be gone before there is another. */
static int need_process(struct handover *h)
{
    struct mount *m = h->m;
    if (h->process.socket >= 0)
        return 0;
    if (!handover_process_ended(&h->process))
        return -EAGAIN;
    int r = handover_process_start(&h->process, m->config.mountpoint, m->device);
    if (r < 0 && !h->failed)
        log_error("what is written to %s and not synced may be at risk for long: cannot start the "
                  "process that looks after it: %s",
                  m->config.mountpoint, strerror(-r));
    h->failed = r < 0;
    return r;
}

static void hand_out(struct handover *h, uint64_t file_id, int64_t now)
{
    CLEANUP_BUFFER struct buffer path = {0};
    if (!take(h, file_id, now))
        return;
    int r = front_path(h->m, file_id, &path);
    r = r < 0 ? r : need_process(h);
    r = r < 0 ? r : handover_process_ask(&h->process, file_id, (char *)path.data + 1);
    if (r < 0) /* a file that was removed needs nothing; any other is tried again */
        give_back(h, file_id, 0);
}

/* Tells the child what is due. Returns when there will be more, INT64_MAX: not before something
 * happens. */
static int64_t hand_out_due(struct handover *h)
{
    CLEANUP_FREE uint64_t *ids = NULL;
    size_t count;
    int64_t oldest, now = clock_ms();
    if (writers_due(h->m->writers, now - PERIOD_MS, &ids, &count, &oldest) < 0)
        return now + PERIOD_MS;
    for (size_t i = 0; i < count; i++)
        hand_out(h, ids[i], now);
    if (count > 0) /* tried; those that are not in hand now are due again after a while */
        return now + GAP_MS;
    return oldest == INT64_MAX ? INT64_MAX : oldest + PERIOD_MS + 1;
}

static void take_answers(struct handover *h)
{
    struct handover_answer answer;
    int r = 0;
    while (h->process.socket >= 0 && (r = handover_process_answer(&h->process, &answer)) > 0)
        give_back(h, answer.file_id, (int)answer.result);
    if (r < 0) {
        handover_process_kill(&h->process);
        give_all_back(h);
    }
}

/* Lets go those who have waited long for a file that is in hand. Returns when the next one will
 * have. */
static int64_t let_go(struct handover *h)
{
    int64_t now = clock_ms(), next = INT64_MAX;
    LOCK_SCOPE(&h->lock);
    for (struct hand *hand = h->hands; hand; hand = hand->next) {
        for (const struct closing *c = hand->closing; c; c = c->next) {
            hand->late |= c->until <= now;
            next = c->until > now && c->until < next ? c->until : next;
        }
        if (hand->late)
            answer_closing(h, hand);
    }
    return next;
}

/* When something is to be done next. */
static int64_t tend(struct handover *h)
{
    {
        LOCK_SCOPE(&h->lock);
        h->asleep = !writers_any_kept(h->m->writers);
        if (h->asleep)
            handover_process_kill(&h->process);
    }
    take_answers(h);
    if (h->process.socket < 0)
        give_all_back(h);
    handover_process_ended(&h->process);
    int64_t due = hand_out_due(h), held = let_go(h);
    return due < held ? due : held;
}

static bool is_to_stop(struct handover *h)
{
    LOCK_SCOPE(&h->lock);
    return h->stop;
}

static void *run(void *arg)
{
    struct handover *h = arg;
    while (!is_to_stop(h)) {
        int64_t left = tend(h);
        if (left != INT64_MAX) {
            left -= clock_ms();
            left = left < 0 ? 0 : left > PERIOD_MS ? PERIOD_MS : left;
        }
        struct pollfd fds[3] = {
            {h->event, POLLIN, 0}, {h->process.socket, POLLIN, 0}, {h->process.pidfd, POLLIN, 0}};
        eventfd_t count;
        if (poll(fds, 3, left == INT64_MAX ? -1 : (int)left) > 0 && fds[0].revents)
            eventfd_read(h->event, &count);
    }
    return NULL;
}

int handover_new(struct mount *m, struct handover **ret)
{
    CLEANUP_FREE struct handover *h = calloc(1, sizeof *h);
    CLEANUP_CLOSE int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!h || event < 0)
        return h ? -errno : -ENOMEM;
    h->m = m;
    h->event = event;
    h->asleep = true;
    handover_process_init(&h->process);
    pthread_mutex_init(&h->lock, NULL);
    int r = pthread_create(&h->thread, NULL, run, h);
    if (r != 0) {
        pthread_mutex_destroy(&h->lock);
        return -r;
    }
    steal_fd(&event);
    *ret = steal_ptr(h);
    return 0;
}

void handover_free(struct handover *h)
{
    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    h->stop = true;
    pthread_mutex_unlock(&h->lock);
    eventfd_write(h->event, 1);
    pthread_join(h->thread, NULL);
    handover_process_close(&h->process);
    give_all_back(h);
    close(h->event);
    pthread_mutex_destroy(&h->lock);
    free(h);
}
