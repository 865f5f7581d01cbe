/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Private to the remote store: what it and its child process say to each other, over sockets of
 * type SOCK_SEQPACKET.
 *
 *   control   daemon -> child  hello, with descriptors: the shared memory, one socket for each slot
 *             child -> daemon  ready: the folder is open, or why not
 *             end of file      the other side has gone: the child exits
 *   slot i    daemon -> child  request     one at a time;
 *             child -> daemon  reply       bytes of both lie in slot i of the shared memory
 *
 * All messages are of fixed size (hello but for its end) and all integers little-endian. Both sides
 * are always of one build, so there is a magic number and no version. Nobody vouches for what the
 * child says; the shared memory may change at any time, so it is copied first and then looked at.
 */
#ifndef ISRFS_STORE_REMOTE_PROTOCOL_H
#define ISRFS_STORE_REMOTE_PROTOCOL_H

#include <linux/limits.h>
#include <sys/types.h>

#include "isrfs/store/folder.h"

#define REMOTE_SLOTS_MAX 64u
/* Room for any object, and then whole pages. */
#define REMOTE_SLOT_SIZE   (OBJECT_SIZE_MAX + 4096u)
#define REMOTE_FDS_MAX     (REMOTE_SLOTS_MAX + 1u)
#define REMOTE_MESSAGE_MAX (PATH_MAX + 64u)

enum remote_op {
    REMOTE_GET = 1,
    REMOTE_PUT,
    REMOTE_HAS,
    REMOTE_BARRIER,
    REMOTE_REMOVE,
    REMOTE_PUT_RECORD,
    REMOTE_GET_RECORD,
    REMOTE_REMOVE_RECORD,
    REMOTE_EACH_RECORD, /* the names, each with its NUL */
    REMOTE_OPS,
};

struct remote_hello {
    unsigned slots;
    bool read_only;
    bool create;                   /* make a store there first, if there is nothing, */
    enum folder_fanout fanout;     /* with this; its uuid comes with ready */
    char uuid[STORE_UUID_HEX + 1]; /* empty: any */
    char path[PATH_MAX];
};

struct remote_ready {
    bool ran;   /* false: the program could not even be run */
    int result; /* 0 or negative errno */
    char uuid[STORE_UUID_HEX + 1];
};

struct remote_request {
    uint64_t serial;
    enum remote_op op;
    bool anew;     /* put: write it, however good what lies there looks */
    uint32_t size; /* put: bytes in the slot */
    struct object_id id;
    char name[STORE_RECORD_NAME_MAX + 1];
};

struct remote_reply {
    uint64_t serial;  /* the request's */
    int result;       /* 0 (has: or 1), or negative errno */
    uint32_t size;    /* bytes in the slot */
    uint32_t damaged; /* objects found damaged, and replaced, since the last reply */
};

/* Each writes a message to OUT, REMOTE_MESSAGE_MAX bytes, and gives its size. */
size_t remote_protocol_put_hello(uint8_t *out, const struct remote_hello *m);
size_t remote_protocol_put_ready(uint8_t *out, const struct remote_ready *m);
size_t remote_protocol_put_request(uint8_t *out, const struct remote_request *m);
size_t remote_protocol_put_reply(uint8_t *out, const struct remote_reply *m);

/* Each reads one: 0 or -EPROTO for anything that the other side never says. A reply is also held
 * against the REQUEST that it must answer. */
int remote_protocol_get_hello(const void *data, size_t size, struct remote_hello *ret);
int remote_protocol_get_ready(const void *data, size_t size, struct remote_ready *ret);
int remote_protocol_get_request(const void *data, size_t size, struct remote_request *ret);
int remote_protocol_get_reply(const void *data, size_t size, const struct remote_request *request,
                              struct remote_reply *ret);

/* Sends one message, with COUNT descriptors, without blocking and without SIGPIPE. 0 or negative
 * errno. */
int remote_protocol_send(int fd, const void *data, size_t size, const int *fds, size_t count);

/* Receives one, and up to ROOM_FDS descriptors (close-on-exec) into FDS, which are the caller's
 * even on error; COUNT says how many. FLAGS as of recvmsg. The size, 0 at the end of file, or
 * negative errno; -EPROTO for a message that is larger or has more descriptors. */
ssize_t remote_protocol_receive(int fd, void *data, size_t room, int flags, int *fds,
                                size_t room_fds, size_t *ret_count);

#endif
