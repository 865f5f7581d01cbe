/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/log_fixture.h"

static const uint8_t session[32] = {9};

struct site_log_config log_fixture_config(int dirfd, struct codec *codec)
{
    return (struct site_log_config){
        .dirfd = dirfd,
        .folder = "log",
        .session_key = session,
        .identity = "uuid nonce",
        .codec = codec,
    };
}

int log_fixture_open(int dirfd, struct codec *codec, struct site_log **ret)
{
    struct site_log_config config = log_fixture_config(dirfd, codec);
    return site_log_open(&config, ret, NULL);
}

int log_fixture_put_empty(struct codec *codec, const struct object_secret *secret,
                          struct store *store, struct object_ref *ret)
{
    CLEANUP_CATALOG struct catalog *empty = catalog_new();
    CLEANUP_BUFFER struct buffer object = {0};
    empty->next_file_id = 2;
    int r = catalog_encode(codec, secret, empty, &object, ret);
    return r < 0 ? r : store_put(store, &ret->id, object.data, object.size);
}
