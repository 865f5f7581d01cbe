/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The stream goes through a descriptor passed over the QMP socket: QEMU runs no helper (its sandbox
 * forbids it), no path has to be quoted for a shell, and QEMU sees every failed write itself. As
 * the descriptor's position is shared, it shows progress even while QEMU is too busy loading to
 * answer. */
#include "vmm-hooks/qemu_memory.h"

#include <string.h>
#include <unistd.h>

#define FD_NAME   "memory"
#define BANDWIDTH ((json_int_t)1 << 40) /* bytes a second: no limit */
#define LOOK_MS   1000
#define STALL_MS  120000

static int enable_events(struct qmp *q)
{
    json_t *events =
        json_pack("{s:[{s:s, s:b}]}", "capabilities", "capability", "events", "state", 1);
    return qmp_execute(q, "migrate-set-capabilities", events, -1, QEMU_MEMORY_SOON, NULL);
}

int qemu_memory_begin(struct qmp *q, const char *command, int fd)
{
    int r = enable_events(q);
    if (r < 0)
        return r;
    json_t *speed = json_pack("{s:I}", "max-bandwidth", BANDWIDTH);
    r = qmp_execute(q, "migrate-set-parameters", speed, -1, QEMU_MEMORY_SOON, NULL);
    if (r < 0)
        return r;
    json_t *name = json_pack("{s:s}", "fdname", FD_NAME);
    r = qmp_execute(q, "getfd", name, fd, QEMU_MEMORY_SOON, NULL);
    if (r < 0)
        return r;
    json_t *uri = json_pack("{s:s}", "uri", "fd:" FD_NAME);
    return qmp_execute(q, command, uri, -1, QEMU_MEMORY_SOON, NULL);
}

/* 1 complete, 0 still on its way, -EIO failed; -ETIMEDOUT: QEMU is busy. */
static int ask(struct qmp *q)
{
    CLEANUP_JSON json_t *info = NULL;
    int r = qmp_execute(q, "query-migrate", NULL, -1, LOOK_MS, &info);
    if (r < 0)
        return r;
    const char *status = json_string_value(json_object_get(info, "status"));
    if (!status)
        return 0;
    if (strcmp(status, "completed") == 0)
        return 1;
    return strcmp(status, "failed") == 0 || strcmp(status, "cancelled") == 0 ? -EIO : 0;
}

/* An event only says that it is time to ask: it may belong to an earlier transfer. */
int qemu_memory_wait(struct qmp *q, int fd)
{
    off_t last = lseek(fd, 0, SEEK_CUR);
    unsigned still_ms = 0;
    for (;;) {
        CLEANUP_JSON json_t *event = NULL;
        int quiet = qmp_wait_event(q, "MIGRATION", LOOK_MS, &event);
        int r = quiet == 0 || quiet == -ETIMEDOUT ? ask(q) : quiet;
        if (r == 1)
            return 0;
        if (r < 0 && r != -ETIMEDOUT)
            return r;
        off_t now = lseek(fd, 0, SEEK_CUR);
        still_ms = now != last ? 0 : quiet < 0 ? still_ms + LOOK_MS : still_ms;
        last = now;
        if (still_ms >= STALL_MS)
            return -ESTALE;
    }
}
