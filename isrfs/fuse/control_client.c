/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads line by line until the one with "done". Lines with "progress" are passed on; any other is
 * the answer. The daemon is this user's own, but what it says is bounded and checked all the same.
 */
#include <jansson.h>
#include <string.h>
#include <sys/socket.h>

#include "isrfs/base/buffer.h"
#include "isrfs/base/log.h"
#include "isrfs/fuse/control.h"
#include "isrfs/fuse/control_socket.h"

#define LINE_MAX_BYTES 65536u

struct control_client {
    int fd;
    struct buffer in; /* received, not yet taken */
};

int control_connect(int dirfd, struct control_client **ret)
{
    struct control_client *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->fd = control_socket_connect(dirfd);
    if (c->fd < 0) {
        int r = c->fd;
        free(c);
        return r;
    }
    *ret = c;
    return 0;
}

void control_disconnect(struct control_client *c)
{
    if (!c)
        return;
    close(c->fd);
    buffer_free(&c->in);
    free(c);
}

static int send_request(struct control_client *c, const char *request)
{
    CLEANUP_BUFFER struct buffer line = {0};
    int r = buffer_printf(&line, "%s\n", request);
    for (size_t sent = 0; r == 0 && sent < line.size;) {
        ssize_t n = send(c->fd, line.data + sent, line.size - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            r = -errno;
        else if (n > 0)
            sent += (size_t)n;
    }
    return r;
}

/* The next line, without its end, in LINE. */
static int receive_line(struct control_client *c, struct buffer *line)
{
    char *end;
    while (c->in.size == 0 || !(end = memchr(c->in.data, '\n', c->in.size))) {
        char part[4096];
        ssize_t n = recv(c->fd, part, sizeof part, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno != ECONNRESET ? -errno : -EPIPE;
        if (c->in.size + (size_t)n > LINE_MAX_BYTES)
            return -EBADMSG;
        int r = buffer_append(&c->in, part, (size_t)n);
        if (r < 0)
            return r;
    }
    size_t size = (size_t)(end - (char *)c->in.data);
    line->size = 0;
    int r = buffer_append(line, c->in.data, size);
    r = r < 0 ? r : buffer_terminate(line);
    c->in.size -= size + 1;
    memmove(c->in.data, end + 1, c->in.size);
    return r;
}

static void pass_on(const json_t *object, const struct progress *progress)
{
    char text[256];
    const char *said = json_string_value(json_object_get(object, "progress"));
    json_int_t bytes = json_integer_value(json_object_get(object, "bytes"));
    json_int_t total = json_integer_value(json_object_get(object, "total"));
    if (progress && progress->report && said && bytes >= 0 && total >= 0)
        progress->report(progress->ctx, log_clean(text, sizeof text, said), (uint64_t)bytes,
                         (uint64_t)total);
}

static void fill_failure(const json_t *done, struct failure *failure)
{
    const char *text = json_string_value(json_object_get(done, "text"));
    json_int_t outcome = json_integer_value(json_object_get(done, "outcome"));
    if (outcome < OUTCOME_DONE || outcome > OUTCOME_UNREACHABLE)
        outcome = OUTCOME_FAILED;
    failure->outcome = (enum outcome)outcome;
    log_clean(failure->text, sizeof failure->text, text ? text : "");
}

/* 1 when that was the last one, 0 for others. */
static int take_line(const struct buffer *line, const struct progress *progress,
                     struct buffer *ret_answer, struct failure *failure)
{
    json_t *object = json_loadb((char *)line->data, line->size, 0, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        return -EBADMSG;
    }
    const json_t *done = json_object_get(object, "done");
    int r = 0;
    if (json_is_object(done)) {
        fill_failure(done, failure);
        r = 1;
    } else if (json_object_get(object, "progress")) {
        pass_on(object, progress);
    } else if (ret_answer) {
        r = buffer_append(ret_answer, line->data, line->size);
        r = r < 0 ? r : buffer_append(ret_answer, "\n", 1);
        r = r < 0 ? r : buffer_terminate(ret_answer);
    }
    json_decref(object);
    return r;
}

int control_ask(struct control_client *c, const char *request, struct failure *failure)
{
    CLEANUP_BUFFER struct buffer line = {0};
    int r = send_request(c, request);
    r = r < 0 ? r : receive_line(c, &line);
    r = r < 0 ? r : take_line(&line, NULL, NULL, failure);
    return r > 0 ? -ECANCELED : r;
}

int control_request(struct control_client *c, const char *request, const struct progress *progress,
                    struct buffer *ret_answer, struct failure *failure)
{
    CLEANUP_BUFFER struct buffer line = {0};
    int r = request ? send_request(c, request) : 0;
    while (r == 0) {
        r = receive_line(c, &line);
        r = r < 0 ? r : take_line(&line, progress, ret_answer, failure);
    }
    return r > 0 ? 0 : r;
}
