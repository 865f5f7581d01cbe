/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages to bytes and back; the layout of each stands in its put function. No state. */
#include "isrfs/store/remote_protocol.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "isrfs/base/hex.h"

#define MAGIC      0x43525349u /* "ISRC" */
#define ERRNO_MAX  4095
#define UUID_BYTES (STORE_UUID_HEX / 2)

#define READY_SIZE (4u + 4u + 4u + STORE_UUID_HEX)
#define REQUEST_SIZE                                                                               \
    (4u + 1u + 1u + 8u + 4u + sizeof(struct object_id) + STORE_RECORD_NAME_MAX + 1u)
#define REPLY_SIZE (4u + 8u + 4u + 4u + 4u)

static bool uuid_valid(const char *uuid)
{
    uint8_t bytes[UUID_BYTES];
    return hex_decode(bytes, sizeof bytes, uuid) == 0;
}

size_t remote_protocol_put_hello(uint8_t *out, const struct remote_hello *m)
{
    size_t length = strlen(m->path);
    put_u32(out, MAGIC);
    put_u32(out + 4, m->slots);
    put_u32(out + 8, m->read_only | (m->create ? 2u + 4u * (unsigned)m->fanout : 0));
    memset(out + 12, 0, STORE_UUID_HEX);
    memcpy(out + 12, m->uuid, strlen(m->uuid));
    memcpy(out + 12 + STORE_UUID_HEX, m->path, length);
    return 12 + STORE_UUID_HEX + length;
}

int remote_protocol_get_hello(const void *data, size_t size, struct remote_hello *ret)
{
    *ret = (struct remote_hello){0};
    struct reader in = reader_of(data, size);
    uint32_t magic = reader_u32(&in);
    ret->slots = reader_u32(&in);
    uint32_t flags = reader_u32(&in);
    ret->read_only = flags & 1;
    ret->create = flags & 2;
    ret->fanout = (enum folder_fanout)(flags >> 2);
    const uint8_t *uuid = reader_bytes(&in, STORE_UUID_HEX);
    size_t length = in.left;
    const uint8_t *path = reader_bytes(&in, length);
    if (in.bad || magic != MAGIC || flags >> 2 > FOLDER_FANOUT_2_2 || ret->slots == 0 ||
        ret->slots > REMOTE_SLOTS_MAX || length == 0 || length >= sizeof ret->path ||
        memchr(path, '\0', length))
        return -EPROTO;
    memcpy(ret->uuid, uuid, STORE_UUID_HEX);
    memcpy(ret->path, path, length);
    return ret->uuid[0] == '\0' || uuid_valid(ret->uuid) ? 0 : -EPROTO;
}

/* Called between fork and exec too: nothing but memory is touched. */
size_t remote_protocol_put_ready(uint8_t *out, const struct remote_ready *m)
{
    put_u32(out, MAGIC);
    put_u32(out + 4, m->ran);
    put_u32(out + 8, (uint32_t)m->result);
    memcpy(out + 12, m->uuid, STORE_UUID_HEX);
    return READY_SIZE;
}

int remote_protocol_get_ready(const void *data, size_t size, struct remote_ready *ret)
{
    *ret = (struct remote_ready){0};
    struct reader in = reader_of(data, size);
    uint32_t magic = reader_u32(&in);
    ret->ran = reader_u32(&in) == 1;
    ret->result = (int)reader_u32(&in);
    const uint8_t *uuid = reader_bytes(&in, STORE_UUID_HEX);
    if (in.bad || in.left || magic != MAGIC || ret->result > 0 || ret->result < -ERRNO_MAX)
        return -EPROTO;
    memcpy(ret->uuid, uuid, STORE_UUID_HEX);
    return ret->result < 0 || (ret->ran && uuid_valid(ret->uuid)) ? 0 : -EPROTO;
}

size_t remote_protocol_put_request(uint8_t *out, const struct remote_request *m)
{
    put_u32(out, MAGIC);
    out[4] = (uint8_t)m->op;
    out[5] = m->anew;
    put_u64(out + 6, m->serial);
    put_u32(out + 14, m->size);
    memcpy(out + 18, &m->id, sizeof m->id);
    memcpy(out + 18 + sizeof m->id, m->name, sizeof m->name);
    return REQUEST_SIZE;
}

int remote_protocol_get_request(const void *data, size_t size, struct remote_request *ret)
{
    *ret = (struct remote_request){0};
    struct reader in = reader_of(data, size);
    uint32_t magic = reader_u32(&in);
    unsigned op = reader_u8(&in);
    ret->anew = reader_u8(&in) != 0;
    ret->serial = reader_u64(&in);
    ret->size = reader_u32(&in);
    const uint8_t *id = reader_bytes(&in, sizeof ret->id);
    const uint8_t *name = reader_bytes(&in, sizeof ret->name);
    if (in.bad || in.left || magic != MAGIC || op < REMOTE_GET || op >= REMOTE_OPS ||
        ret->size > REMOTE_SLOT_SIZE || name[sizeof ret->name - 1] != '\0')
        return -EPROTO;
    ret->op = (enum remote_op)op;
    memcpy(&ret->id, id, sizeof ret->id);
    memcpy(ret->name, name, sizeof ret->name);
    return 0;
}

size_t remote_protocol_put_reply(uint8_t *out, const struct remote_reply *m)
{
    put_u32(out, MAGIC);
    put_u64(out + 4, m->serial);
    put_u32(out + 12, (uint32_t)m->result);
    put_u32(out + 16, m->size);
    put_u32(out + 20, m->damaged);
    return REPLY_SIZE;
}

/* The most bytes that a good reply to OP comes with. */
static uint32_t size_limit(enum remote_op op)
{
    switch (op) {
    case REMOTE_GET:
        return OBJECT_SIZE_MAX;
    case REMOTE_GET_RECORD:
        return STORE_RECORD_MAX;
    case REMOTE_EACH_RECORD:
        return REMOTE_SLOT_SIZE;
    default:
        return 0;
    }
}

int remote_protocol_get_reply(const void *data, size_t size, const struct remote_request *request,
                              struct remote_reply *ret)
{
    *ret = (struct remote_reply){0};
    struct reader in = reader_of(data, size);
    uint32_t magic = reader_u32(&in);
    ret->serial = reader_u64(&in);
    ret->result = (int)reader_u32(&in);
    ret->size = reader_u32(&in);
    ret->damaged = reader_u32(&in);
    int best = request->op == REMOTE_HAS ? 1 : 0;
    if (in.bad || in.left || magic != MAGIC || ret->serial != request->serial ||
        ret->result > best || ret->result < -ERRNO_MAX ||
        ret->size > (ret->result < 0 ? 0 : size_limit(request->op)))
        return -EPROTO;
    return 0;
}

int remote_protocol_send(int fd, const void *data, size_t size, const int *fds, size_t count)
{
    union {
        char bytes[CMSG_SPACE(REMOTE_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control = {.bytes = {0}};
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > REMOTE_FDS_MAX)
        return -EINVAL;
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(head), fds, count * sizeof(int));
    }
    ssize_t n;
    do {
        n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == size ? 0 : -EPROTO;
}

static size_t take_fds(struct msghdr *message, int *fds, size_t room)
{
    size_t taken = 0;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
            if (taken < room)
                fds[taken++] = fd;
            else
                close(fd);
        }
    }
    return taken;
}

ssize_t remote_protocol_receive(int fd, void *data, size_t room, int flags, int *fds,
                                size_t room_fds, size_t *ret_count)
{
    union {
        char bytes[CMSG_SPACE(REMOTE_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = data, .iov_len = room};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (room_fds > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
    }
    ssize_t n;
    bool reset = false; /* the other side has gone without hearing all; its last words come after */
    do {
        n = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
    } while (n < 0 && (errno == EINTR || (errno == ECONNRESET && !reset && (reset = true))));
    if (n < 0)
        return -errno;
    if (room_fds > 0)
        *ret_count = take_fds(&message, fds, room_fds);
    return message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? -EPROTO : n;
}
