/* SPDX-License-Identifier: GPL-3.0-or-later */
/* QMP is one JSON object a line, either way. Whoever waits, for a reply or an event, reads lines
 * until what it waits for comes; events met meanwhile are kept in `events`, oldest first, at most
 * EVENTS_MAX (the oldest are dropped). Every command has a number of its own as `id`, so the late
 * reply to a command that ran out of time is not taken for that of the next one. */
#include "vmm-hooks/qmp.h"

#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "isrfs/base/buffer.h"
#include "isrfs/base/clock.h"
#include "isrfs/base/log.h"

#define EVENTS_MAX 64
#define LINE_LIMIT (1u << 20)

struct qmp {
    int fd;
    int interrupt_fd; /* borrowed, or -1 */
    uint64_t last_id;
    struct buffer in; /* received and not yet a whole line */
    json_t *events;   /* array of event objects */
    char error[512];
};

/* Waits until EVENT (POLLIN, POLLOUT) is there. */
static int wait_ready(const struct qmp *q, short event, int64_t end)
{
    for (;;) {
        int64_t left = end - clock_ms();
        if (left < 0)
            left = 0;
        struct pollfd fds[2] = {{q->fd, event, 0}, {q->interrupt_fd, POLLIN, 0}};
        int n = poll(fds, 2, left > INT32_MAX ? INT32_MAX : (int)left);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            return fds[1].revents ? -EINTR : 0;
        if (n == 0)
            return -ETIMEDOUT;
    }
}

/* Takes the first whole line out of Q->in, if there is one, into *RET. 1, 0 or negative errno. */
static int take_line(struct qmp *q, json_t **ret)
{
    uint8_t *end = q->in.size > 0 ? memchr(q->in.data, '\n', q->in.size) : NULL;
    if (!end)
        return q->in.size < LINE_LIMIT ? 0 : -EBADMSG;
    size_t length = (size_t)(end - q->in.data) + 1;
    json_t *line = json_loadb((const char *)q->in.data, length, JSON_REJECT_DUPLICATES, NULL);
    memmove(q->in.data, end + 1, q->in.size - length);
    q->in.size -= length;
    if (!json_is_object(line)) {
        json_decref(line);
        return -EBADMSG;
    }
    *ret = line;
    return 1;
}

static int receive(struct qmp *q, int64_t end, json_t **ret)
{
    for (;;) {
        int r = take_line(q, ret);
        if (r != 0)
            return r < 0 ? r : 0;
        r = wait_ready(q, POLLIN, end);
        if (r < 0)
            return r;
        char part[4096];
        ssize_t n = recv(q->fd, part, sizeof part, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0)
            return -EPIPE;
        r = buffer_append(&q->in, part, (size_t)n);
        if (r < 0)
            return r;
    }
}

/* Sends TEXT; FD, unless -1, goes with its first byte. */
static int send_text(const struct qmp *q, const char *text, int fd, int64_t end)
{
    size_t left = strlen(text);
    while (left > 0) {
        struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = left};
        union {
            char space[CMSG_SPACE(sizeof(int))];
            struct cmsghdr align;
        } control = {0};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        if (fd >= 0) {
            message.msg_control = control.space;
            message.msg_controllen = sizeof control.space;
            struct cmsghdr *c = CMSG_FIRSTHDR(&message);
            c->cmsg_level = SOL_SOCKET;
            c->cmsg_type = SCM_RIGHTS;
            c->cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(c), &fd, sizeof fd);
        }
        int r = wait_ready(q, POLLOUT, end);
        if (r < 0)
            return r;
        ssize_t n = sendmsg(q->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n < 0)
            return -EPIPE;
        fd = -1;
        text += n;
        left -= (size_t)n;
    }
    return 0;
}

static int keep_event(struct qmp *q, json_t *event)
{
    if (json_array_size(q->events) >= EVENTS_MAX)
        json_array_remove(q->events, 0);
    return json_array_append(q->events, event) < 0 ? -ENOMEM : 0;
}

/* Reads until the reply to command ID. */
static int receive_reply(struct qmp *q, uint64_t id, int64_t end, json_t **ret)
{
    for (;;) {
        CLEANUP_JSON json_t *line = NULL;
        int r = receive(q, end, &line);
        if (r < 0)
            return r;
        if (json_object_get(line, "event")) {
            r = keep_event(q, line);
            if (r < 0)
                return r;
            continue;
        }
        json_t *number = json_object_get(line, "id");
        if (!json_is_integer(number) || (uint64_t)json_integer_value(number) != id)
            continue;
        json_t *value = json_object_get(line, "return");
        if (value) {
            if (ret)
                *ret = json_incref(value);
            return 0;
        }
        const char *why =
            json_string_value(json_object_get(json_object_get(line, "error"), "desc"));
        log_clean(q->error, sizeof q->error, why ? why : "no reason given");
        return -EREMOTEIO;
    }
}

int qmp_execute(struct qmp *q, const char *command, json_t *arguments, int fd, unsigned timeout_ms,
                json_t **ret)
{
    int64_t end = clock_ms() + timeout_ms;
    uint64_t id = ++q->last_id;
    q->error[0] = '\0';
    CLEANUP_JSON json_t *line = json_pack("{s:s, s:I}", "execute", command, "id", (json_int_t)id);
    if (arguments && (!line || json_object_set(line, "arguments", arguments) < 0)) {
        json_decref(arguments);
        return -ENOMEM;
    }
    json_decref(arguments);
    CLEANUP_FREE char *text = line ? json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    if (!text)
        return -ENOMEM;
    int r = send_text(q, text, fd, end);
    return r < 0 ? r : receive_reply(q, id, end, ret);
}

/* Takes the oldest kept event NAME. */
static json_t *take_event(struct qmp *q, const char *name)
{
    for (size_t i = 0; i < json_array_size(q->events); i++) {
        json_t *event = json_array_get(q->events, i);
        const char *is = json_string_value(json_object_get(event, "event"));
        if (!is || strcmp(is, name) != 0)
            continue;
        json_t *data = json_incref(json_object_get(event, "data"));
        json_array_remove(q->events, i);
        return data ? data : json_object();
    }
    return NULL;
}

int qmp_wait_event(struct qmp *q, const char *name, unsigned timeout_ms, json_t **ret)
{
    int64_t end = clock_ms() + timeout_ms;
    for (;;) {
        *ret = take_event(q, name);
        if (*ret)
            return 0;
        CLEANUP_JSON json_t *line = NULL;
        int r = receive(q, end, &line);
        if (r < 0)
            return r;
        r = json_object_get(line, "event") ? keep_event(q, line) : 0;
        if (r < 0)
            return r;
    }
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    /* Not blocking: with a full backlog connect would wait for ever. */
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return -errno;
    return steal_fd(&fd);
}

int qmp_open(const char *path, int interrupt_fd, unsigned timeout_ms, struct qmp **ret)
{
    int64_t end = clock_ms() + timeout_ms;
    CLEANUP_QMP struct qmp *q = calloc(1, sizeof *q);
    if (!q)
        return -ENOMEM;
    q->interrupt_fd = interrupt_fd;
    q->fd = connect_to(path);
    if (q->fd < 0)
        return q->fd == -EAGAIN ? -ETIMEDOUT : q->fd;
    q->events = json_array();
    if (!q->events)
        return -ENOMEM;
    CLEANUP_JSON json_t *greeting = NULL;
    int r = receive(q, end, &greeting);
    if (r < 0)
        return r;
    if (!json_object_get(greeting, "QMP"))
        return -EBADMSG;
    int64_t left = end - clock_ms();
    r = qmp_execute(q, "qmp_capabilities", NULL, -1, left > 0 ? (unsigned)left : 0, NULL);
    if (r < 0)
        return r;
    *ret = steal_ptr(q);
    return 0;
}

void qmp_free(struct qmp *q)
{
    if (!q)
        return;
    cleanup_close(&q->fd);
    buffer_free(&q->in);
    json_decref(q->events);
    free(q);
}

void qmp_ignore_interrupts(struct qmp *q)
{
    q->interrupt_fd = -1;
}

const char *qmp_explain(const struct qmp *q, int r)
{
    switch (r) {
    case -EREMOTEIO:
        return q ? q->error : "QEMU refused";
    case -ETIMEDOUT:
        return "QEMU does not answer";
    case -EPIPE:
        return "QEMU has ended";
    case -EBADMSG:
        return "QEMU's answer is not QMP";
    case -EINTR:
        return "interrupted";
    default:
        return strerror(-r);
    }
}
