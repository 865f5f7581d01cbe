/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isrfs-store-child: the process that works on a remote store's folder. It is told what to do on
 * descriptor 0 and by nothing else (remote_protocol.h).
 *
 * The first thread waits for the end of the control socket and then ends the process, whatever the
 * others do. The second opens the folder, says so, and becomes one of the workers: one for each
 * slot, which serves the requests that come on the slot's socket, one after another. A worker that
 * hangs in the kernel holds up nobody else here, and the daemon knows the time. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "isrfs/base/log.h"
#include "isrfs/base/pool.h"
#include "isrfs/store/remote_protocol.h"

#define CONTROL       0
#define FLUSH_THREADS 8u
#define FLUSH_QUEUE   64u

struct child {
    struct remote_hello hello;
    int sockets[REMOTE_SLOTS_MAX];
    uint8_t *memory;
    struct codec *codec;
    struct pool *pool;
    struct counters counters;
    struct store *store;
};

struct worker {
    struct child *child;
    unsigned slot;
};

/* Names, each with its NUL, in a slot. */
struct listing {
    uint8_t *at;
    size_t size;
};

static int list_name(void *ctx, const char *name)
{
    struct listing *l = ctx;
    size_t length = strlen(name) + 1;
    if (length > REMOTE_SLOT_SIZE - l->size)
        return -EFBIG;
    memcpy(l->at + l->size, name, length);
    l->size += length;
    return 0;
}

/* A buffer that is the slot. What is read into it (an object, a record) is always smaller, so it
 * never grows, which would release the slot. */
static struct buffer slot_buffer(uint8_t *slot)
{
    return (struct buffer){.data = slot, .room = REMOTE_SLOT_SIZE};
}

static int put(struct child *c, const struct remote_request *request, const uint8_t *slot)
{
    if (request->anew && request->size > 0 && request->size <= OBJECT_SIZE_MAX)
        return folder_put_anew(c->store, &request->id, slot, request->size);
    return store_put(c->store, &request->id, slot, request->size);
}

static int serve(struct child *c, const struct remote_request *request, uint8_t *slot,
                 size_t *ret_size)
{
    struct buffer out = slot_buffer(slot);
    struct listing names = {.at = slot};
    int r;
    switch (request->op) {
    case REMOTE_GET: /* the daemon checks it, so it need not be checked here too */
        r = c->store->ops->get(c->store, &request->id, &out);
        break;
    case REMOTE_PUT:
        return put(c, request, slot);
    case REMOTE_HAS:
        return store_has(c->store, &request->id);
    case REMOTE_BARRIER:
        return store_barrier(c->store);
    case REMOTE_REMOVE:
        return store_remove(c->store, &request->id);
    case REMOTE_PUT_RECORD:
        return store_put_record(c->store, request->name, slot, request->size);
    case REMOTE_GET_RECORD:
        r = store_get_record(c->store, request->name, &out);
        break;
    case REMOTE_REMOVE_RECORD:
        return store_remove_record(c->store, request->name);
    default:
        r = store_each_record(c->store, request->name, list_name, &names);
        out.size = names.size;
        break;
    }
    *ret_size = r < 0 ? 0 : out.size;
    return r;
}

static void *work(void *arg)
{
    const struct worker *w = arg;
    struct child *c = w->child;
    int fd = c->sockets[w->slot];
    uint8_t *slot = c->memory + (size_t)w->slot * REMOTE_SLOT_SIZE;
    uint8_t message[REMOTE_MESSAGE_MAX];
    for (;;) {
        struct remote_request request;
        ssize_t n = remote_protocol_receive(fd, message, sizeof message, 0, NULL, 0, NULL);
        if (n <= 0 || remote_protocol_get_request(message, (size_t)n, &request) < 0)
            return NULL;
        size_t size = 0;
        struct remote_reply reply = {.serial = request.serial};
        reply.result = serve(c, &request, slot, &size);
        reply.size = (uint32_t)size;
        reply.damaged = (uint32_t)atomic_exchange(&c->counters.objects_damaged, 0);
        n = (ssize_t)remote_protocol_put_reply(message, &reply);
        if (remote_protocol_send(fd, message, (size_t)n, NULL, 0) < 0)
            return NULL;
    }
}

static int open_store(struct child *c)
{
    c->codec = codec_new(&(struct codec_settings){CODEC_STORED, 0, CODEC_PAD_NONE});
    c->pool = pool_new(FLUSH_THREADS, FLUSH_QUEUE);
    if (!c->codec || !c->pool)
        return -errno;
    char made[STORE_UUID_HEX + 1];
    int r = c->hello.create ? folder_create(c->hello.path, c->hello.fanout, made) : 0;
    if (r < 0 && r != -EEXIST)
        return r;
    struct folder_config config = {
        .path = c->hello.path,
        .uuid = c->hello.create    ? made
                : c->hello.uuid[0] ? c->hello.uuid
                                   : NULL,
        .read_only = c->hello.read_only,
        .codec = c->codec,
        .counters = &c->counters,
        .pool = c->pool,
    };
    return folder_open(&config, &c->store);
}

static int start_workers(struct child *c)
{
    for (unsigned i = 1; i < c->hello.slots; i++) {
        pthread_t thread;
        struct worker *w = malloc(sizeof *w);
        if (!w)
            return -ENOMEM;
        *w = (struct worker){c, i};
        int r = pthread_create(&thread, NULL, work, w);
        if (r != 0) {
            free(w);
            return -r;
        }
        pthread_detach(thread);
    }
    return 0;
}

static void *open_and_work(void *arg)
{
    struct child *c = arg;
    struct remote_ready ready = {.ran = true, .result = open_store(c)};
    if (ready.result == 0)
        ready.result = start_workers(c);
    if (ready.result == 0)
        memcpy(ready.uuid, folder_uuid(c->store), sizeof ready.uuid);
    uint8_t message[REMOTE_MESSAGE_MAX];
    size_t size = remote_protocol_put_ready(message, &ready);
    if (remote_protocol_send(CONTROL, message, size, NULL, 0) == 0 && ready.result == 0)
        work(&(struct worker){c, 0});
    return NULL; /* the daemon closes the control socket */
}

/* Takes the memory and the sockets that came with hello. */
static int take(struct child *c, const int *fds, size_t count)
{
    struct stat st;
    size_t size = (size_t)c->hello.slots * REMOTE_SLOT_SIZE;
    if (count != c->hello.slots + 1u || fstat(fds[0], &st) < 0 || (size_t)st.st_size != size)
        return -EPROTO;
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    if (map == MAP_FAILED)
        return -errno;
    close(fds[0]);
    c->memory = map;
    memcpy(c->sockets, fds + 1, c->hello.slots * sizeof *fds);
    return 0;
}

int main(void)
{
    static struct child child; /* as long as the process */
    uint8_t message[REMOTE_MESSAGE_MAX];
    int fds[REMOTE_FDS_MAX];
    size_t count = 0;
    ssize_t n =
        remote_protocol_receive(CONTROL, message, sizeof message, 0, fds, REMOTE_FDS_MAX, &count);
    int r = n < 0 ? (int)n : remote_protocol_get_hello(message, (size_t)n, &child.hello);
    r = r < 0 ? r : take(&child, fds, count);
    if (r < 0) {
        log_error("this program is started by isrfs (%s)", strerror(-r));
        return 1;
    }
    pthread_t opener;
    r = pthread_create(&opener, NULL, open_and_work, &child);
    if (r != 0) {
        log_error("no thread can be had: %s", strerror(r));
        return 1;
    }
    pthread_detach(opener);
    do {
        n = remote_protocol_receive(CONTROL, message, sizeof message, 0, NULL, 0, NULL);
    } while (n > 0);
    _exit(0);
}
