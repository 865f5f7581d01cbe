/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A home on a real FUSE mount that can be made to hang, and a remote store on it. */
#ifndef TESTS_UNIT_REMOTE_HOME_H
#define TESTS_UNIT_REMOTE_HOME_H

#include "tests/unit/remote_bench.h"

struct home {
    struct fixture *f;
    char mount[128];
    pid_t server;
    int orders, said; /* to and from the server */
    struct remote_config config;
    struct store *store;
    struct sample a, b;     /* both are at home */
    uint32_t put, put_from; /* numbers of what was put, and of the first since the last barrier */
};

/* For cmocka: *STATE is a struct home. */
int set_up_home(void **state);
int tear_down_home(void **state);
#define HOME_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_home, tear_down_home)

/* Reads what the server says (hanging_fs.c) until it says WHAT. */
void hear(struct home *h, char what);

/* Requests for paths with TEXT in them are taken and not answered, until it thaws. */
void freeze(struct home *h, const char *text);
void thaw(struct home *h);

/* The server is stopped, as by SIGSTOP, and goes on. */
void stop(struct home *h);
void go_on(struct home *h);

/* The server will be stopped when it has taken the Nth request from now; whoever made it is then
 * beyond SIGKILL. was_stopped: no more; it goes on, if it was. */
void stop_at(struct home *h, unsigned n);
bool was_stopped(struct home *h);

#endif
