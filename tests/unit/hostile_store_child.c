/* SPDX-License-Identifier: GPL-3.0-or-later */
/* In place of isrfs-store-child: says what the real one never says. The last part of the path that
 * it is to open names the way in which it does. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "isrfs/store/remote_protocol.h"

struct hostile {
    const char *mode;
    struct remote_hello hello;
    int fds[REMOTE_FDS_MAX];
    uint8_t *memory;
};

static bool is(const struct hostile *h, const char *mode)
{
    return strcmp(h->mode, mode) == 0;
}

static void say_ready(const struct hostile *h)
{
    uint8_t message[REMOTE_MESSAGE_MAX] = {0};
    struct remote_ready ready = {.ran = true};
    memset(ready.uuid, is(h, "other-uuid") ? 'b' : 'a', STORE_UUID_HEX);
    if (is(h, "ready-positive"))
        ready.result = 5;
    if (is(h, "ready-without-uuid"))
        memset(ready.uuid, 0, sizeof ready.uuid);
    size_t size = remote_protocol_put_ready(message, &ready);
    if (is(h, "ready-short"))
        size--;
    if (is(h, "ready-long"))
        size = sizeof message;
    if (is(h, "ready-garbage"))
        memset(message, 0xff, size);
    remote_protocol_send(0, message, size, NULL, 0);
    if (is(h, "ready-twice"))
        remote_protocol_send(0, message, size, NULL, 0);
}

static void fill(const struct hostile *h, const struct remote_request *request, uint8_t *slot,
                 struct remote_reply *reply)
{
    static const char slashes[] = "good\0../../etc\0";
    if (request->op == REMOTE_GET) {
        memset(slot, 0x11, 1000);
        reply->size = 1000;
    }
    if (is(h, "names-with-slashes")) {
        memcpy(slot, slashes, sizeof slashes - 1);
        reply->size = sizeof slashes - 1;
    }
    if (is(h, "names-without-end")) {
        memset(slot, 'a', REMOTE_SLOT_SIZE);
        reply->size = REMOTE_SLOT_SIZE;
    }
    if (is(h, "too-large"))
        reply->size = OBJECT_SIZE_MAX + 1;
    if (is(h, "size-of-4-gib"))
        reply->size = UINT32_MAX;
    if (is(h, "error-with-bytes"))
        reply->result = -ENOENT;
    if (is(h, "positive-result"))
        reply->result = 2;
    if (is(h, "no-such-errno"))
        reply->result = -4096;
    if (is(h, "wrong-serial"))
        reply->serial += 1;
}

static void answer(const struct hostile *h, unsigned slot)
{
    int fd = h->fds[slot + 1];
    uint8_t message[REMOTE_MESSAGE_MAX] = {0};
    struct remote_request request;
    ssize_t n = remote_protocol_receive(fd, message, sizeof message, 0, NULL, 0, NULL);
    if (n <= 0 || remote_protocol_get_request(message, (size_t)n, &request) < 0)
        _exit(0);
    struct remote_reply reply = {.serial = request.serial};
    fill(h, &request, h->memory + (size_t)slot * REMOTE_SLOT_SIZE, &reply);
    size_t size = remote_protocol_put_reply(message, &reply);
    if (is(h, "reply-short"))
        size = 3;
    if (is(h, "reply-empty"))
        size = 0;
    if (is(h, "reply-long"))
        size = sizeof message;
    if (is(h, "reply-garbage"))
        memset(message, 0xff, size);
    if (is(h, "on-control"))
        remote_protocol_send(0, message, size, NULL, 0);
    if (!is(h, "on-control"))
        remote_protocol_send(fd, message, size, h->fds, is(h, "descriptors") ? 3 : 0);
    if (is(h, "reply-twice"))
        remote_protocol_send(fd, message, size, NULL, 0);
}

/* Far more lines than anyone wants, with what drives a terminal in them. */
static void chatter(void)
{
    static const char line[] = "\033[2J\033]0;title\007 no line\nisrfs: error: \r\033[A line\n";
    for (int i = 0; i < 100000; i++) {
        struct pollfd room = {2, POLLOUT, 0};
        if (poll(&room, 1, 1000) < 1 || (room.revents & (POLLERR | POLLHUP)) ||
            send(2, line, sizeof line - 1, MSG_NOSIGNAL) < 0)
            return;
    }
}

int main(void)
{
    static struct hostile h;
    uint8_t message[REMOTE_MESSAGE_MAX];
    size_t count = 0;
    ssize_t n =
        remote_protocol_receive(0, message, sizeof message, 0, h.fds, REMOTE_FDS_MAX, &count);
    if (n <= 0 || remote_protocol_get_hello(message, (size_t)n, &h.hello) < 0)
        return 1;
    h.mode = strrchr(h.hello.path, '/') + 1;
    h.memory = mmap(NULL, (size_t)h.hello.slots * REMOTE_SLOT_SIZE, PROT_READ | PROT_WRITE,
                    MAP_SHARED, h.fds[0], 0);
    /* a reader of memory that has been cut is ended by SIGBUS */
    if (h.memory == MAP_FAILED || is(&h, "exits") || ftruncate(h.fds[0], 0) == 0)
        return 1;
    if (is(&h, "says-nothing"))
        pause();
    say_ready(&h);
    if (is(&h, "chatters"))
        chatter();
    for (;;) {
        struct pollfd fds[REMOTE_SLOTS_MAX + 1] = {{0, POLLIN, 0}};
        for (unsigned i = 0; i < h.hello.slots; i++)
            fds[i + 1] = (struct pollfd){h.fds[i + 1], POLLIN, 0};
        poll(fds, h.hello.slots + 1, -1);
        if (fds[0].revents)
            _exit(0);
        for (unsigned i = 0; i < h.hello.slots; i++)
            if (fds[i + 1].revents)
                answer(&h, i);
    }
}
