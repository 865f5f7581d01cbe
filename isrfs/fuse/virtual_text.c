/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JSON is made by jansson, so that any name is quoted rightly. No key and nothing of the files'
 * contents is in any of these texts. */
#include "isrfs/fuse/virtual_text.h"

#include <inttypes.h>
#include <jansson.h>

#include "isrfs/base/secret.h"

/* A map of this many bytes is cut, with a last line that says so: it is for looking at. */
#define MAP_MAX (16u << 20)

static int dump(json_t *object, struct buffer *out)
{
    CLEANUP_FREE char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
    json_decref(object);
    int r = text ? buffer_append_text(out, text) : -ENOMEM;
    return r < 0 ? r : buffer_append_text(out, "\n");
}

/* Has this site committed anything that is not published? */
static bool is_changed(struct site_log *log)
{
    struct site_root root;
    bool changed = log && site_log_newest_root(log, &root) == 0 &&
                   !object_id_equal(&root.current.id, &root.base.id);
    secret_wipe(&root, sizeof root);
    return changed;
}

/* In seconds; null: without limit. */
static json_t *home_wait(const struct checkout *c)
{
    return c->home_wait_ms == PARCEL_WAIT_FOR_EVER ? json_null()
                                                   : json_integer(c->home_wait_ms / 1000);
}

/* null: it is there, or there is none. */
static json_t *home_away(const struct checkout *c)
{
    struct home_watch_state state = {0};
    char since[32] = "";
    struct tm tm;
    if (c->watch)
        home_watch_state(c->watch, &state);
    if (!state.away)
        return json_null();
    if (localtime_r(&state.since, &tm))
        strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%S%z", &tm);
    return json_pack("{s:s, s:i}", "since", since, "reads_waiting", (int)state.waiting);
}

int virtual_text_status(struct mount *m, struct buffer *out)
{
    const struct mount_config *config = &m->config;
    const struct checkout *c = config->checkout;
    struct parcel_usage usage;
    parcel_usage(config->parcel, &usage);
    uint64_t log_bytes = 0, log_objects = 0;
    if (c->log)
        site_log_usage(c->log, &log_bytes, &log_objects);
    json_t *object = json_pack(
        "{s:s, s:s, s:s?, s:s?, s:s?, s:s, s:s?, s:I, s:s?, s:s, s:i, s:b, s:b, s:I, s:I, "
        "s:I, s:I, s:I, s:I, s:o, s:o}",
        "state", "mounted", "source", config->source, "server", c->source.server, "user",
        c->source.user, "parcel", c->source.parcel, "uuid", c->uuid, "src", c->src, "base_version",
        (json_int_t)c->base_version, "state_path", c->state_path, "mountpoint", config->mountpoint,
        "pid", (int)getpid(), "read_only", parcel_is_read_only(config->parcel), "changed",
        is_changed(c->log), "files", (json_int_t)usage.files, "bytes", (json_int_t)usage.bytes,
        "dirty_bytes", (json_int_t)usage.dirty_bytes, "cached_bytes",
        (json_int_t)usage.cached_bytes, "log_bytes", (json_int_t)log_bytes, "log_objects",
        (json_int_t)log_objects, "home_away", home_away(c), "home_wait", home_wait(c));
    return dump(object, out);
}

int virtual_text_stats(struct mount *m, struct buffer *out)
{
    const struct counters *counters = &m->config.checkout->counters;
    json_t *object = json_object();
    for (size_t i = 0; object && counters_name(i); i++)
        json_object_set_new(object, counters_name(i),
                            json_integer((json_int_t)counters_value(counters, i)));
    return dump(object, out);
}

static int put_run(struct buffer *out, uint64_t first, uint64_t end, enum parcel_place place)
{
    static const char *const names[] = {[PARCEL_HOLE] = "hole",
                                        [PARCEL_HOME] = "home",
                                        [PARCEL_SITE] = "site",
                                        [PARCEL_MEMORY] = "memory"};
    return buffer_printf(out, "%" PRIu64 "-%" PRIu64 " %s\n", first, end - 1, names[place]);
}

int virtual_text_chunks(struct mount *m, uint64_t file_id, struct buffer *out)
{
    uint64_t first = 0, at = 0;
    enum parcel_place run = PARCEL_HOLE;
    for (;;) {
        enum parcel_place place;
        uint64_t end;
        int r = parcel_place(m->config.parcel, file_id, at, &place, &end);
        bool over = r == -ENXIO;
        if (r < 0 && !over)
            return r;
        if (at > first && (over || place != run)) {
            r = put_run(out, first, at, run);
            first = at;
        }
        if (over || r < 0)
            return over ? 0 : r;
        if (out->size > MAP_MAX)
            return buffer_printf(out, "# cut here\n");
        run = place;
        at = end;
    }
}
