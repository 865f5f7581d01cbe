/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of the remote store share. */
#ifndef TESTS_UNIT_REMOTE_BENCH_H
#define TESTS_UNIT_REMOTE_BENCH_H

#include <sys/types.h>

#include "isrfs/store/remote.h"
#include "tests/unit/store_bench.h"

#define LIMIT_MS 400u
#define PROBE_MS 50u
/* What a call may take beyond its limit on a busy machine, and far less than any hang. */
#define SLACK_MS 3000u

struct remote_config remote_config_of(struct fixture *f);

/* Opens a remote store on the fixture's folder (or CONFIG's). */
struct store *open_remote(const struct remote_config *config);

/* The ids of the processes that work on stores for this one; at most ROOM. */
unsigned children(pid_t *ids, unsigned room);
/* The only child. */
pid_t only_child(void);

/* Calls get until it gives 0; the test's alarm is the limit. */
void wait_until_back(struct store *s, const struct sample *sample);
/* Likewise until no child hangs any more. */
void wait_until_none_hangs(struct store *s);

#endif
