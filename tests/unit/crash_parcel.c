/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/crash_parcel.h"

#include <errno.h>
#include <fcntl.h>

#include "isrfs/base/cleanup.h"
#include "tests/unit/log_fixture.h"

void crash_parcel_init(struct crash_parcel *c)
{
    struct codec_settings settings = {.method = CODEC_ZSTD};
    *c = (struct crash_parcel){.codec = codec_new(&settings), .secret = {{3}}, .dirfd = -1};
    catalog_init_json();
}

void crash_parcel_free(struct crash_parcel *c)
{
    crash_parcel_close(c);
    codec_free(c->codec);
}

static int put_first_root(struct crash_parcel *c, struct site_root *root)
{
    *root = (struct site_root){.base_version = 1};
    int r = log_fixture_put_empty(c->codec, &c->secret, site_log_store(c->log), &root->current);
    r = r < 0 ? r : site_log_put_root(c->log, root);
    return r < 0 ? r : site_log_flush(c->log);
}

int crash_parcel_open(struct crash_parcel *c, const char *folder, bool make)
{
    struct site_root root;
    c->dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = log_fixture_open(c->dirfd, c->codec, &c->log);
    if (r < 0)
        return r;
    r = site_log_newest_root(c->log, &root);
    if (r == -ENOENT && make)
        r = put_first_root(c, &root);
    if (r < 0)
        return r;
    struct parcel_config config = {.codec = c->codec,
                                   .store = site_log_store(c->log),
                                   .log = c->log,
                                   .secret = &c->secret,
                                   .cache_bytes = 4 << 20,
                                   .dirty_bytes = 4 * CHUNK_SIZE_DEFAULT};
    return parcel_open(&config, &root.current, &c->parcel);
}

void crash_parcel_close(struct crash_parcel *c)
{
    parcel_close(steal_ptr(c->parcel));
    site_log_close(steal_ptr(c->log));
    cleanup_close(&c->dirfd);
    c->dirfd = -1;
}

int crash_parcel_keep(struct crash_parcel *c)
{
    int r = parcel_journal(c->parcel, false);
    return r < 0 ? r : site_log_flush(c->log);
}

int crash_parcel_commit(struct crash_parcel *c, bool wait)
{
    struct site_root root = {.base_version = 1};
    parcel_freeze(c->parcel);
    int r = parcel_flush(c->parcel, wait, &root);
    r = r < 0 ? r : site_log_put_root(c->log, &root);
    if (r == 0)
        parcel_committed(c->parcel);
    parcel_thaw(c->parcel);
    return r < 0 ? r : site_log_flush(c->log);
}
