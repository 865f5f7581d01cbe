/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A request goes from its caller straight to the worker thread of its slot in the child, and the
 * reply straight back: each slot has a socket and room in the shared memory of its own, so that no
 * request waits for another. Objects are read and written by the child in that memory itself; here
 * they are copied once, and from then on nothing that the child does can change them. Whether they
 * are what their ids name is for store_get to find out, as for every store.
 *
 * Which child, and what becomes of one that does not answer: remote_state.c. */
#include "isrfs/store/remote.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "isrfs/base/clock.h"
#include "isrfs/base/log.h"
#include "isrfs/base/process.h"
#include "isrfs/store/remote_state.h"

#define LIMIT_MS         30000u
#define BARRIER_LIMIT_MS 300000u
#define PROBE_MS         2000u
#define WORKERS          16u
#define PROGRAM          "isrfs-store-child"

struct remote {
    struct store base;
    char name[256];
    int64_t limit_ms, barrier_limit_ms;
    struct remote_keeper keeper;
};

static struct remote *remote_of(struct store *s)
{
    return (struct remote *)s;
}

/* What goes along with a request, and room for what comes back. */
struct cargo {
    const void *data;
    struct buffer *out; /* NULL if nothing comes back */
};

/* Waits for the reply on the slot's socket. */
static enum remote_end wait_reply(int fd, int64_t deadline, const struct remote_request *request,
                                  struct remote_reply *ret)
{
    uint8_t message[REMOTE_MESSAGE_MAX];
    ssize_t n;
    do {
        int64_t left = deadline - clock_ms();
        struct pollfd wait = {fd, POLLIN, 0};
        if (left <= 0)
            return REMOTE_LATE;
        poll(&wait, 1, left < INT32_MAX ? (int)left : INT32_MAX);
        n = remote_protocol_receive(fd, message, sizeof message, MSG_DONTWAIT, NULL, 0, NULL);
    } while (n == -EAGAIN);
    if (n <= 0)
        return REMOTE_LOST;
    if (remote_protocol_get_reply(message, (size_t)n, request, ret) == 0)
        return REMOTE_ANSWERED;
    log_error("a store's child process does not keep to the protocol");
    return REMOTE_LOST;
}

static enum remote_end converse(const struct remote_seat *seat, int64_t deadline,
                                const struct remote_request *request, const struct cargo *cargo,
                                struct remote_reply *ret)
{
    uint8_t *memory = seat->child->memory + (size_t)seat->slot * REMOTE_SLOT_SIZE;
    int fd = seat->child->sockets[seat->slot];
    if (request->size > 0)
        memcpy(memory, cargo->data, request->size);
    uint8_t message[REMOTE_MESSAGE_MAX];
    size_t size = remote_protocol_put_request(message, request);
    if (remote_protocol_send(fd, message, size, NULL, 0) < 0)
        return REMOTE_UNSENT;
    enum remote_end end = wait_reply(fd, deadline, request, ret);
    if (end != REMOTE_ANSWERED || !cargo->out || ret->result < 0)
        return end;
    int r = buffer_resize(cargo->out, ret->size);
    if (r < 0)
        ret->result = r;
    else if (ret->size > 0)
        memcpy(cargo->out->data, memory, ret->size);
    return end;
}

static int call(struct store *s, struct remote_request *request, const struct cargo *cargo)
{
    struct remote *r = remote_of(s);
    bool barrier = request->op == REMOTE_BARRIER;
    int64_t deadline = clock_ms() + (barrier ? r->barrier_limit_ms : r->limit_ms);
    for (int tries = 0;; tries++) {
        struct remote_seat seat;
        struct remote_reply reply = {0};
        int result = remote_keeper_enter(&r->keeper, deadline, request, &seat);
        if (result < 0)
            return result;
        enum remote_end end = converse(&seat, deadline, request, cargo, &reply);
        result = remote_keeper_leave(&r->keeper, &seat, end, request, &reply);
        COUNT(s->counters, objects_damaged, reply.damaged);
        if (end != REMOTE_UNSENT || tries > 0)
            return result;
    }
}

static int remote_get(struct store *s, const struct object_id *id, struct buffer *out)
{
    struct remote_request request = {.op = REMOTE_GET, .id = *id};
    return call(s, &request, &(struct cargo){.out = out});
}

static int remote_has(struct store *s, const struct object_id *id)
{
    struct remote_request request = {.op = REMOTE_HAS, .id = *id};
    return call(s, &request, &(struct cargo){0});
}

static int remote_barrier(struct store *s)
{
    struct remote_request request = {.op = REMOTE_BARRIER};
    return call(s, &request, &(struct cargo){0});
}

static void remote_put_again(struct store *s)
{
    remote_keeper_put_again(&remote_of(s)->keeper);
}

/* A put, and now and then a barrier so that what is not durable stays within bounds. If that fails,
 * the barrier that the caller asks for later says so. */
static int put(struct store *s, struct remote_request *request, const void *data)
{
    int r = call(s, request, &(struct cargo){.data = data});
    if (r == 0 && remote_keeper_full(&remote_of(s)->keeper))
        (void)remote_barrier(s);
    return r;
}

static int remote_put(struct store *s, const struct object_id *id, const void *object, size_t size)
{
    struct remote_request request = {.op = REMOTE_PUT, .id = *id, .size = (uint32_t)size};
    return put(s, &request, object);
}

static int remote_remove(struct store *s, const struct object_id *id)
{
    struct remote_request request = {.op = REMOTE_REMOVE, .id = *id};
    return call(s, &request, &(struct cargo){0});
}

/* store.c has checked the name's length. */
static struct remote_request request_for(enum remote_op op, const char *name)
{
    struct remote_request request = {.op = op};
    snprintf(request.name, sizeof request.name, "%s", name);
    return request;
}

static int remote_put_record(struct store *s, const char *name, const void *data, size_t size)
{
    struct remote_request request = request_for(REMOTE_PUT_RECORD, name);
    request.size = (uint32_t)size;
    return put(s, &request, data);
}

static int remote_get_record(struct store *s, const char *name, struct buffer *out)
{
    struct remote_request request = request_for(REMOTE_GET_RECORD, name);
    return call(s, &request, &(struct cargo){.out = out});
}

static int remote_remove_record(struct store *s, const char *name)
{
    struct remote_request request = request_for(REMOTE_REMOVE_RECORD, name);
    return call(s, &request, &(struct cargo){0});
}

static int remote_each_record(struct store *s, const char *folder,
                              int (*fn)(void *ctx, const char *name), void *ctx)
{
    CLEANUP_BUFFER struct buffer names = {0};
    struct remote_request request = request_for(REMOTE_EACH_RECORD, folder);
    int r = call(s, &request, &(struct cargo){.out = &names});
    for (size_t at = 0; r == 0 && at < names.size;) {
        const char *name = (const char *)names.data + at;
        const char *end = memchr(name, '\0', names.size - at);
        if (!end || end - name > NAME_MAX || !store_record_part_valid(name, (size_t)(end - name))) {
            log_error("store %s: the list of %s is not one of records", s->name, folder);
            return -EBADMSG;
        }
        at += (size_t)(end - name) + 1;
        r = fn(ctx, name);
    }
    return r;
}

static void remote_free(struct store *s)
{
    struct remote *r = remote_of(s);
    remote_keeper_end(&r->keeper);
    remote_puts_free(r->keeper.puts);
    free(r->keeper.program);
    free(r);
}

static const struct store_ops read_write = {
    .get = remote_get,
    .put = remote_put,
    .has = remote_has,
    .barrier = remote_barrier,
    .put_again = remote_put_again,
    .remove = remote_remove,
    .put_record = remote_put_record,
    .get_record = remote_get_record,
    .remove_record = remote_remove_record,
    .each_record = remote_each_record,
    .free = remote_free,
};

static const struct store_ops read_only = {
    .get = remote_get,
    .has = remote_has,
    .get_record = remote_get_record,
    .each_record = remote_each_record,
    .free = remote_free,
};

static char *find_program(const char *given)
{
    return given ? strdup(given) : process_helper(PROGRAM);
}

static unsigned or_default(unsigned value, unsigned otherwise)
{
    return value ? value : otherwise;
}

static int set_up(struct remote *r, const struct remote_config *config)
{
    struct remote_keeper *k = &r->keeper;
    k->hello.slots = or_default(config->workers, WORKERS);
    k->hello.read_only = config->read_only;
    k->hello.create = config->create;
    k->hello.fanout = config->create ? *config->create : FOLDER_FANOUT_2;
    if (config->path[0] != '/' || strlen(config->path) >= sizeof k->hello.path ||
        (config->uuid && strlen(config->uuid) != STORE_UUID_HEX) ||
        k->hello.slots > REMOTE_SLOTS_MAX)
        return -EINVAL;
    strcpy(k->hello.path, config->path);
    if (config->uuid)
        strcpy(k->hello.uuid, config->uuid);
    r->base = (struct store){
        .ops = config->read_only ? &read_only : &read_write,
        .name = r->name,
        .codec = config->codec,
        .counters = config->counters,
    };
    log_clean(r->name, sizeof r->name, config->path);
    r->limit_ms = k->limit_ms = or_default(config->limit_ms, LIMIT_MS);
    r->barrier_limit_ms = or_default(config->barrier_limit_ms, BARRIER_LIMIT_MS);
    k->probe_ms = or_default(config->probe_ms, PROBE_MS);
    k->name = r->name;
    k->program = find_program(config->program);
    k->puts = remote_puts_new();
    return k->program && k->puts ? 0 : -ENOMEM;
}

int remote_open(const struct remote_config *config, struct store **ret)
{
    struct remote *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    remote_keeper_init(&r->keeper);
    int result = set_up(r, config);
    if (result == 0)
        result = remote_keeper_begin(&r->keeper, config->later);
    if (result < 0) {
        remote_free(&r->base);
        return result;
    }
    *ret = &r->base;
    return 0;
}

bool remote_is(const struct store *s)
{
    return s->ops == &read_only || s->ops == &read_write;
}

const char *remote_uuid(struct store *s)
{
    return remote_of(s)->keeper.hello.uuid;
}

void remote_interrupt(struct store *s)
{
    remote_keeper_interrupt(&remote_of(s)->keeper);
}

unsigned remote_hanging(struct store *s)
{
    return remote_keeper_hanging(&remote_of(s)->keeper);
}
