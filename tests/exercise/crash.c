/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One thread writes, another kills: when the writer has come to an op of the seed's choice, it is
 * woken and waits for up to 5 ms more. Whatever op that hits fails; the writer then writes down
 * which one that was and which fsync was the last to return, and ends. The check makes the same ops
 * again on a shadow. */
#include "tests/exercise/crash.h"

#include <fcntl.h>
#include <inttypes.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>

#include "isrfs/base/io.h"
#include "tests/exercise/target.h"
#include "tests/random.h"

#define STATE_MAX 256
#define BASE_NAME 4096

static op_weights weights = {
    [OP_DIRECT_WRITE] = 70, [OP_TRUNCATE] = 3,  [OP_PUNCH] = 8,
    [OP_ZERO] = 4,          [OP_ZERO_GROW] = 4, [OP_FSYNC] = 4,
};

struct state {
    uint64_t seed, max;
    uint64_t durable;   /* the op before the last fsync that returned */
    uint64_t attempted; /* the last op that was begun */
};

struct killer {
    pthread_t thread;
    sem_t begin;
    pid_t pid;
    long wait_ns;
};

static int complain(const char *what, const char *path, int r)
{
    fprintf(stderr, "exercise: %s %s: %s\n", what, path, strerror(-r));
    return r;
}

static void base_name(const char *state, char out[BASE_NAME])
{
    snprintf(out, BASE_NAME, "%s.base", state);
}

static int save_state(const char *path, const struct state *s)
{
    CLEANUP_BUFFER struct buffer text = {0};
    int r = buffer_printf(&text, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", s->seed,
                          s->max, s->durable, s->attempted);
    return r < 0 ? r : io_replace(AT_FDCWD, path, text.data, text.size, 0600, false);
}

static int load_state(const char *path, struct state *s)
{
    CLEANUP_BUFFER struct buffer text = {0};
    int r = io_read_file(AT_FDCWD, path, STATE_MAX, &text);
    r = r < 0 ? r : buffer_terminate(&text);
    if (r < 0)
        return r;
    return sscanf((char *)text.data, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &s->seed,
                  &s->max, &s->durable, &s->attempted) == 4
               ? 0
               : -EINVAL;
}

static int load(const char *path, uint64_t max, struct shadow **ret)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    *ret = shadow_new(max);
    return fd < 0 ? -errno : !*ret ? -ENOMEM : shadow_load(*ret, fd);
}

static void *kill_later(void *arg)
{
    struct killer *k = arg;
    while (sem_wait(&k->begin) < 0)
        ;
    struct timespec wait = {.tv_nsec = k->wait_ns};
    nanosleep(&wait, NULL);
    kill(k->pid, SIGKILL);
    return NULL;
}

/* What the kernel says for a process that is gone, or (EIO) dies while it takes the request. */
static bool is_end(int r)
{
    return r == -ENOTCONN || r == -ECONNABORTED || r == -EIO;
}

/* Ops until one fails, which it must do before LIMIT; the killer is woken at op AT. */
static int work(struct target *t, struct shadow *s, struct state *state, struct killer *k,
                uint64_t at, uint64_t limit)
{
    uint64_t random = op_random_seed(state->seed);
    for (uint64_t number = 1; number < limit; number++) {
        struct op op = op_next(&random, weights, number, s->size, s->max);
        uint64_t differs, found;
        state->attempted = number;
        if (number == at)
            sem_post(&k->begin);
        int r = target_do(t, &op, s, &differs, &found);
        if (number >= at && is_end(r))
            return 0;
        if (r < 0) {
            op_print(stderr, &op);
            return r;
        }
        if (differs != SHADOW_SAME)
            return -EBADMSG;
        shadow_do(s, &op);
        if (op.kind == OP_FSYNC)
            state->durable = number;
    }
    return -ETIMEDOUT;
}

static int run(const struct crash_config *config, struct target *t, struct shadow *s)
{
    uint64_t random = op_random_seed(config->seed ^ UINT64_C(0x6b696c6c));
    struct killer killer = {.pid = config->pid, .wait_ns = (long)(test_random(&random) % 5000000)};
    struct state state = {.seed = config->seed, .max = config->max};
    uint64_t at = 1 + test_random(&random) % (config->ops / 4);
    sem_init(&killer.begin, 0, 0);
    int r = -pthread_create(&killer.thread, NULL, kill_later, &killer);
    if (r < 0)
        return complain("cannot start a thread for", config->path, r);
    r = work(t, s, &state, &killer, at, config->ops);
    sem_post(&killer.begin); /* also if it never came to that */
    pthread_join(killer.thread, NULL);
    sem_destroy(&killer.begin);
    if (r < 0)
        return complain("the file does not behave before anybody was killed:", config->path, r);
    printf("killed at op %" PRIu64 ", which fsync %" PRIu64 " came before\n", state.attempted,
           state.durable);
    r = save_state(config->state, &state);
    return r < 0 ? complain("cannot write", config->state, r) : 0;
}

int crash_run(const struct crash_config *config)
{
    CLEANUP_SHADOW struct shadow *s = shadow_new(config->max);
    CLEANUP_TARGET struct target *t = NULL;
    char base[BASE_NAME];
    base_name(config->state, base);
    int r = s ? target_open(config->path, &t) : -ENOMEM;
    r = r < 0 ? r : shadow_load(s, target_fd(t));
    r = r < 0 ? r : shadow_save(s, base);
    if (r < 0)
        return complain("cannot begin with", config->path, r);
    return run(config, t, s);
}

/* Goes through the ops to find one after which the file was as it is. The
 * last such is *RET. */
static bool find_moment(const struct state *state, struct shadow *s, const struct shadow *file,
                        uint64_t *ret)
{
    uint64_t random = op_random_seed(state->seed);
    bool found = false;
    for (uint64_t number = 0; number <= state->attempted; number++) {
        if (number > 0) {
            struct op op = op_next(&random, weights, number, s->size, s->max);
            shadow_do(s, &op);
        }
        if (s->size == file->size && memcmp(s->data, file->data, s->size) == 0) {
            *ret = number;
            found = true;
        }
    }
    return found;
}

/* What a file that is as after op MOMENT (if FOUND) says of the promise. */
static int judge(const struct state *state, const char *path, bool found, uint64_t moment)
{
    if (found && moment >= state->durable) {
        printf("as after op %" PRIu64 ", fsync was %" PRIu64 ", killed at %" PRIu64 "\n", moment,
               state->durable, state->attempted);
        return 0;
    }
    if (found)
        fprintf(stderr, "exercise: %s is as after op %" PRIu64 ", older than fsync %" PRIu64 "\n",
                path, moment, state->durable);
    else
        fprintf(stderr,
                "exercise: %s is as after none of the %" PRIu64 " ops, %" PRIu64
                " being the last fsync\n",
                path, state->attempted, state->durable);
    fprintf(stderr, "exercise: seed %" PRIu64 "\n", state->seed);
    return 1;
}

int crash_check(const char *state_path, const char *path)
{
    struct state state;
    int r = load_state(state_path, &state);
    if (r < 0)
        return complain("cannot read", state_path, r);
    CLEANUP_SHADOW struct shadow *s = NULL;
    CLEANUP_SHADOW struct shadow *file = NULL;
    char base[BASE_NAME];
    base_name(state_path, base);
    r = load(base, state.max, &s);
    if (r < 0)
        return complain("cannot read", base, r);
    r = load(path, state.max, &file);
    if (r < 0)
        return complain("cannot read", path, r);
    uint64_t moment = 0;
    bool found = find_moment(&state, s, file, &moment);
    return judge(&state, path, found, moment);
}
