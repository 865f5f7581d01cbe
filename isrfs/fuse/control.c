/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One thread does all the talking, with poll and without ever blocking on a client; a checkpoint
 * runs on a thread of its own, one at a time. Others (control_progress, control_finish, that
 * thread) only change the state under `lock` and wake the poller.
 *
 * A client goes through: ASKING (its line is being read) -> ANSWERED (status), or CHECKPOINT, or
 * WAITING (for the check-in) -> ANSWERED: what is left of `out` is sent, then it is closed. A
 * client that sends too much, is not this user, goes away, or lets OUT_MAX bytes pile up is
 * dropped; so is one that asks nothing for ASK_MS, for there is room for CLIENTS_MAX. Progress is
 * not queued: whoever has taken what it was sent gets the newest.
 *
 * `clients` belongs to the poller alone; `lock` guards the rest as tagged. No lock is held while a
 * handler runs. */
#include "isrfs/fuse/control.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "isrfs/base/buffer.h"
#include "isrfs/base/clock.h"
#include "isrfs/base/io.h"
#include "isrfs/base/keyvalue.h"
#include "isrfs/base/log.h"
#include "isrfs/fuse/control_socket.h"

#define CLIENTS_MAX 16
#define REQUEST_MAX 4096u
#define OUT_MAX     (256u << 10)
#define ASK_MS      10000
#define LINGER_MS   2000 /* for the last lines when the daemon ends */

enum client_state { ASKING, WAITING, CHECKPOINT, ANSWERED };

struct client {
    int fd;
    enum client_state state;
    struct buffer in, out;
    int64_t since; /* ms; when it connected */
    uint64_t seen; /* number of the progress that it was sent */
    bool noci;     /* as long as it is there, there is to be no check-in */
};

struct news { /* how far a piece of work has come */
    uint64_t number;
    char text[256];
    uint64_t bytes, total;
    bool finished;
    struct failure end;
    struct checkin_result result; /* of a checkpoint */
};

struct control {
    struct control_handlers handlers;
    int dirfd, listener, wake;
    bool retired; /* the owner's; is the name gone? */
    pthread_t thread;
    struct client clients[CLIENTS_MAX];
    size_t count;
    pthread_t worker; /* the poller's; the checkpoint's thread, */
    bool working;     /* the poller's; is there one? */
    char *comment;    /* the checkpoint's */
    bool disk_only;   /* likewise */
    pthread_mutex_t lock;
    struct news checkin, checkpoint; /* lock */
    bool stop;                       /* lock */
};

static void wake(struct control *c)
{
    uint64_t one = 1;
    ssize_t ignored = write(c->wake, &one, sizeof one); /* full means awake */
    (void)ignored;
}

static void report_news(struct control *c, struct news *news, const char *text, uint64_t bytes,
                        uint64_t total)
{
    pthread_mutex_lock(&c->lock);
    log_clean(news->text, sizeof news->text, text);
    news->bytes = bytes;
    news->total = total;
    news->number++;
    pthread_mutex_unlock(&c->lock);
    wake(c);
}

/* Appends a line; false if there is no memory. Takes OBJECT. */
static bool put_line(struct client *client, json_t *object)
{
    CLEANUP_FREE char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text && buffer_append_text(&client->out, text) == 0 &&
           buffer_append(&client->out, "\n", 1) == 0;
}

static bool answer(struct client *client, enum outcome outcome, const char *text)
{
    client->state = ANSWERED;
    return put_line(client,
                    json_pack("{s:{s:i, s:s}}", "done", "outcome", (int)outcome, "text", text));
}

static void report_checkpoint(void *ctx, const char *text, uint64_t done, uint64_t total)
{
    struct control *c = ctx;
    report_news(c, &c->checkpoint, text, done, total);
}

static void *run_checkpoint(void *arg)
{
    struct control *c = arg;
    struct progress progress = {.report = report_checkpoint, .ctx = c};
    struct checkin_result result = {0};
    struct failure failure = {0};
    int r = c->handlers.checkpoint(c->handlers.ctx, c->comment, c->disk_only, &progress, &result,
                                   &failure);
    if (r < 0 && failure.outcome == OUTCOME_DONE)
        failure_set(&failure, outcome_of(r), "%s", strerror(-r));
    if (r == 0)
        failure.outcome = OUTCOME_DONE;
    pthread_mutex_lock(&c->lock);
    c->checkpoint.result = result;
    c->checkpoint.end = failure;
    c->checkpoint.finished = true;
    pthread_mutex_unlock(&c->lock);
    wake(c);
    return NULL;
}

static bool start_checkpoint(struct control *c, struct client *client, bool disk_only,
                             const char *comment)
{
    if (c->working)
        return answer(client, OUTCOME_FAILED, "another checkpoint is under way");
    free(c->comment);
    c->comment = NULL;
    c->disk_only = disk_only;
    if (*comment && percent_decode(comment, &c->comment) < 0)
        return answer(client, OUTCOME_USAGE, "the comment is not encoded rightly");
    pthread_mutex_lock(&c->lock);
    c->checkpoint = (struct news){0};
    pthread_mutex_unlock(&c->lock);
    if (pthread_create(&c->worker, NULL, run_checkpoint, c) != 0)
        return answer(client, OUTCOME_FAILED, "cannot start a thread");
    c->working = true;
    client->state = CHECKPOINT;
    client->seen = 0;
    return true;
}

static bool answer_status(struct control *c, struct client *client)
{
    CLEANUP_BUFFER struct buffer text = {0};
    int r = c->handlers.status(c->handlers.ctx, &text);
    json_t *object = r < 0 ? NULL : json_loadb((char *)text.data, text.size, 0, NULL);
    if (!object)
        return answer(client, OUTCOME_FAILED, "the state is not known");
    return put_line(client, object) && answer(client, OUTCOME_DONE, "");
}

static bool wait_without_checkin(struct control *c, struct client *client)
{
    if (c->handlers.no_checkin(c->handlers.ctx, true) < 0)
        return answer(client, OUTCOME_FAILED, "its mount has ended already");
    client->noci = true;
    client->state = WAITING;
    return put_line(client, json_pack("{s:b}", "noci", true));
}

static bool take_request(struct control *c, struct client *client, const char *line)
{
    if (strcmp(line, "status") == 0)
        return answer_status(c, client);
    if (strcmp(line, "checkpoint") == 0)
        return start_checkpoint(c, client, false, "");
    if (strncmp(line, "checkpoint ", 11) == 0)
        return start_checkpoint(c, client, false, line + 11);
    if (strncmp(line, "checkpoint-disk ", 16) == 0)
        return start_checkpoint(c, client, true, line + 16);
    if (strcmp(line, "wait-noci") == 0)
        return wait_without_checkin(c, client);
    if (strcmp(line, "wait") == 0) {
        client->state = WAITING;
        return true;
    }
    return answer(client, OUTCOME_USAGE, "there is no such request");
}

/* False: the client is to be dropped. */
static bool receive(struct control *c, struct client *client)
{
    char part[1024];
    ssize_t n = recv(client->fd, part, sizeof part, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0 || client->state != ASKING)
        return false; /* it went away, or says more than one thing */
    if (client->in.size + (size_t)n > REQUEST_MAX || buffer_append(&client->in, part, (size_t)n))
        return false;
    char *end = memchr(client->in.data, '\n', client->in.size);
    if (!end)
        return !memchr(client->in.data, '\0', client->in.size);
    *end = '\0';
    return take_request(c, client, (char *)client->in.data);
}

static bool send_some(struct client *client)
{
    if (client->out.size == 0)
        return client->state != ANSWERED;
    ssize_t n = send(client->fd, client->out.data, client->out.size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    memmove(client->out.data, client->out.data + n, client->out.size - (size_t)n);
    client->out.size -= (size_t)n;
    return client->out.size > 0 || client->state != ANSWERED;
}

/* Gives the client what is new about the work that it follows. */
static bool tell_news(struct client *client, const struct news *news)
{
    bool told = true;
    if (client->out.size == 0 && news->number > client->seen) {
        client->seen = news->number;
        told =
            put_line(client, json_pack("{s:s, s:I, s:I}", "progress", news->text, "bytes",
                                       (json_int_t)news->bytes, "total", (json_int_t)news->total));
    }
    if (!told || !news->finished)
        return told;
    if (client->state == CHECKPOINT && news->end.outcome == OUTCOME_DONE &&
        !put_line(client,
                  json_pack("{s:I, s:b, s:I, s:I}", "version", (json_int_t)news->result.version,
                            "changed", news->result.changed, "objects",
                            (json_int_t)news->result.objects, "bytes",
                            (json_int_t)news->result.bytes)))
        return false;
    return answer(client, news->end.outcome, news->end.text);
}

static bool serve_client(struct control *c, struct client *client, const struct pollfd *fd,
                         const struct news *checkin, const struct news *checkpoint)
{
    bool alive = !(fd->revents & (POLLERR | POLLNVAL));
    if (alive && fd->revents & (POLLIN | POLLHUP))
        alive = receive(c, client);
    if (alive && client->state == WAITING)
        alive = tell_news(client, checkin);
    if (alive && client->state == CHECKPOINT)
        alive = tell_news(client, checkpoint);
    if (alive && client->state == ASKING)
        alive = clock_ms() - client->since < ASK_MS;
    return alive && client->out.size <= OUT_MAX && send_some(client);
}

static void drop_client(struct control *c, size_t i)
{
    if (c->clients[i].noci)
        c->handlers.no_checkin(c->handlers.ctx, false);
    close(c->clients[i].fd);
    buffer_free(&c->clients[i].in);
    buffer_free(&c->clients[i].out);
    c->clients[i] = c->clients[--c->count];
}

static void accept_client(struct control *c)
{
    CLEANUP_CLOSE int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return;
    if ((peer.uid != geteuid() && peer.uid != 0) || c->count == CLIENTS_MAX)
        return;
    c->clients[c->count++] = (struct client){.fd = steal_fd(&fd), .since = clock_ms()};
}

/* A checkpoint's thread that has ended; its client (if it is still there) has just been told. */
static void reap_worker(struct control *c, const struct news *told)
{
    if (!c->working || !told->finished)
        return;
    pthread_join(c->worker, NULL);
    c->working = false;
    LOCK_SCOPE(&c->lock);
    c->checkpoint = (struct news){0};
}

static bool anyone_to_tell(const struct control *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->clients[i].out.size > 0 || c->clients[i].state == CHECKPOINT)
            return true;
    return false;
}

/* True when it is to end: what was said before that has been taken by then. */
static bool turn(struct control *c, struct pollfd *fds)
{
    pthread_mutex_lock(&c->lock);
    struct news checkin = c->checkin, checkpoint = c->checkpoint;
    bool stop = c->stop;
    pthread_mutex_unlock(&c->lock);
    for (size_t i = c->count; i-- > 0;)
        if (!serve_client(c, &c->clients[i], &fds[i + 2], &checkin, &checkpoint))
            drop_client(c, i);
    reap_worker(c, &checkpoint);
    if (fds[0].revents)
        accept_client(c);
    return stop;
}

static void *run(void *arg)
{
    struct control *c = arg;
    int64_t linger = 0;
    for (;;) {
        struct pollfd fds[CLIENTS_MAX + 2] = {{c->listener, POLLIN, 0}, {c->wake, POLLIN, 0}};
        for (size_t i = 0; i < c->count; i++)
            fds[i + 2] = (struct pollfd){c->clients[i].fd,
                                         c->clients[i].out.size > 0 ? POLLIN | POLLOUT : POLLIN, 0};
        poll(fds, c->count + 2, linger ? 50 : c->count ? 1000 : -1);
        uint64_t woken;
        ssize_t ignored = read(c->wake, &woken, sizeof woken);
        (void)ignored;
        if (turn(c, fds) && !linger)
            linger = clock_ms() + LINGER_MS;
        if (linger && (!anyone_to_tell(c) || clock_ms() > linger))
            return NULL;
    }
}

static int start(struct control *c, int dirfd)
{
    c->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->dirfd < 0 || c->wake < 0)
        return -errno;
    c->listener = control_socket_listen(c->dirfd);
    if (c->listener < 0)
        return c->listener;
    return -pthread_create(&c->thread, NULL, run, c);
}

static void release(struct control *c)
{
    cleanup_close(&c->listener);
    cleanup_close(&c->wake);
    cleanup_close(&c->dirfd);
    pthread_mutex_destroy(&c->lock);
    free(c->comment);
    free(c);
}

int control_open(int dirfd, const struct control_handlers *handlers, struct control **ret)
{
    struct control *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->handlers = *handlers;
    c->dirfd = c->listener = c->wake = -1;
    pthread_mutex_init(&c->lock, NULL);
    int r = start(c, dirfd);
    if (r < 0)
        release(c);
    else
        *ret = c;
    return r;
}

void control_progress(struct control *c, const char *text, uint64_t done, uint64_t total)
{
    report_news(c, &c->checkin, text, done, total);
}

void control_finish(struct control *c, enum outcome outcome, const char *text)
{
    pthread_mutex_lock(&c->lock);
    c->checkin.end.outcome = outcome;
    log_clean(c->checkin.end.text, sizeof c->checkin.end.text, text);
    c->checkin.finished = true;
    pthread_mutex_unlock(&c->lock);
    wake(c);
}

void control_retire(struct control *c)
{
    if (!c->retired)
        io_unlink(c->dirfd, CONTROL_NAME);
    c->retired = true;
}

void control_close(struct control *c)
{
    if (!c)
        return;
    control_retire(c);
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_mutex_unlock(&c->lock);
    wake(c);
    pthread_join(c->thread, NULL);
    if (c->working)
        pthread_join(c->worker, NULL);
    while (c->count > 0)
        drop_client(c, 0);
    release(c);
}
