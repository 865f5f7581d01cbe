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
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/remote_home.h"

void hear(struct home *h, char what)
{
    char c;
    do {
        assert_int_equal(read(h->said, &c, 1), 1);
    } while (c != what);
}

static void serve(struct home *h)
{
    int orders[2], said[2];
    const char *build = getenv("abs_top_builddir");
    char program[400];
    snprintf(program, sizeof program, "%s/tests/unit/hanging_fs", build ? build : ".");
    assert_int_equal(pipe2(orders, O_CLOEXEC), 0);
    assert_int_equal(pipe2(said, O_CLOEXEC), 0);
    h->server = fork();
    assert_true(h->server >= 0);
    if (h->server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(orders[0], 0);
        dup2(said[1], 1);
        execl(program, program, h->f->path, h->mount, (char *)NULL);
        _exit(127);
    }
    close(orders[0]);
    close(said[1]);
    h->orders = orders[1];
    h->said = said[0];
    hear(h, 'r');
}

void freeze(struct home *h, const char *text)
{
    dprintf(h->orders, "f %s\n", text);
    hear(h, 'f');
}

void thaw(struct home *h)
{
    dprintf(h->orders, "t\n");
    hear(h, 't');
}

static void wait_until_stopped(struct home *h)
{
    int status;
    assert_int_equal(waitpid(h->server, &status, WUNTRACED), h->server);
    assert_true(WIFSTOPPED(status));
}

void stop(struct home *h)
{
    assert_int_equal(kill(h->server, SIGSTOP), 0);
    wait_until_stopped(h);
}

void go_on(struct home *h)
{
    assert_int_equal(kill(h->server, SIGCONT), 0);
}

void stop_at(struct home *h, unsigned n)
{
    dprintf(h->orders, "s %u\n", n);
    hear(h, 's');
}

bool was_stopped(struct home *h)
{
    char c;
    dprintf(h->orders, "t\n");
    assert_int_equal(read(h->said, &c, 1), 1);
    if (c == 't')
        return false;
    assert_int_equal(c, 'b');
    wait_until_stopped(h);
    go_on(h);
    hear(h, 't');
    return true;
}

int tear_down_home(void **state)
{
    struct home *h = *state;
    kill(h->server, SIGKILL); /* also ends whoever waits for it */
    waitpid(h->server, NULL, 0);
    store_free(h->store);
    umount2(h->mount, MNT_DETACH);
    close(h->orders);
    close(h->said);
    rmdir(h->mount);
    void *fixture = h->f;
    free(h);
    return tear_down(&fixture);
}

int set_up_home(void **state)
{
    struct home *h = calloc(1, sizeof *h);
    void *fixture;
    assert_int_equal(set_up(&fixture), 0);
    h->f = fixture;
    snprintf(h->mount, sizeof h->mount, "%s/mnt", h->f->root);
    assert_int_equal(mkdir(h->mount, 0700), 0);
    h->a = sample_of(h->f, 1);
    h->b = sample_of(h->f, 2);
    assert_int_equal(put(h->f->store, &h->a), 0);
    assert_int_equal(put(h->f->store, &h->b), 0);
    assert_int_equal(store_put_record(h->f->store, "holds/u/1", "x", 1), 0);
    assert_int_equal(store_barrier(h->f->store), 0);
    h->put = h->put_from = 1000;
    *state = h;
    serve(h);
    h->config = remote_config_of(h->f);
    h->config.path = h->mount;
    h->config.limit_ms = h->config.barrier_limit_ms = LIMIT_MS;
    if (remote_open(&h->config, &h->store) == 0)
        return 0;
    tear_down_home(state); /* nobody else does if this fails */
    return -1;
}
