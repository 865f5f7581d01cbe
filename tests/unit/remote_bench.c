/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "isrfs/base/io.h"
#include "tests/unit/remote_bench.h"

struct remote_config remote_config_of(struct fixture *f)
{
    return (struct remote_config){
        .path = f->path,
        .uuid = f->uuid,
        .codec = f->codec,
        .counters = &f->counters,
        .limit_ms = 20000,
        .barrier_limit_ms = 20000,
        .probe_ms = PROBE_MS,
    };
}

struct store *open_remote(const struct remote_config *config)
{
    struct store *s = NULL;
    assert_int_equal(remote_open(config, &s), 0);
    return s;
}

/* Not one that has ended and that nobody waits for any more. (One that hangs with SIGKILL has lost
 * its first thread, but not the last.) */
static bool is_child_of_store(int id)
{
    char path[64], name[32] = "", state = 'Z';
    long threads = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", id);
    FILE *in = fopen(path, "re");
    bool known = in && fscanf(in,
                              "%*d (%31[^)]) %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                              "%*s %*s %*s %*s %ld",
                              name, &state, &threads) == 3;
    if (in)
        fclose(in);
    return known && (state != 'Z' || threads > 1) &&
           (strncmp(name, "isrfs-store-chi", 15) == 0 || strncmp(name, "hostile_store_c", 15) == 0);
}

struct ids {
    pid_t *ids;
    unsigned room, count;
};

/* Those that a thread of this process has started. */
static int add_children(void *ctx, const char *thread)
{
    struct ids *to = ctx;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%.20s/children", thread);
    FILE *in = fopen(path, "re");
    for (int id; in && to->count < to->room && fscanf(in, "%d", &id) == 1;)
        if (is_child_of_store(id))
            to->ids[to->count++] = id;
    if (in)
        fclose(in);
    return 0;
}

unsigned children(pid_t *ids, unsigned room)
{
    struct ids to = {ids, room, 0};
    assert_int_equal(io_each_name(AT_FDCWD, "/proc/self/task", add_children, &to), 0);
    return to.count;
}

pid_t only_child(void)
{
    pid_t ids[8];
    assert_int_equal(children(ids, 8), 1);
    return ids[0];
}

void wait_until_back(struct store *s, const struct sample *sample)
{
    int r;
    while ((r = get(s, sample)) == -EHOSTDOWN)
        sched_yield(); /* each is refused at once, or tries */
    assert_int_equal(r, 0);
}

void wait_until_none_hangs(struct store *s)
{
    while (remote_hanging(s) > 0) {
        pid_t ids[32];
        struct pollfd ends[32];
        unsigned count = children(ids, 32);
        for (unsigned i = 0; i < count; i++)
            ends[i] = (struct pollfd){pidfd_open(ids[i], 0), POLLIN, 0};
        poll(ends, count, 100); /* those that hung may be gone already, and one stays */
        for (unsigned i = 0; i < count; i++)
            close(ends[i].fd);
    }
}
