/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a daemon answers to the other commands of its site, and what it asks another daemon. */
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "isrfs/cmd/isrfs_session_private.h"

/* While it checks in there is no mount any more that could say it. */
static int ending_status(const struct session *s, struct buffer *out)
{
    const struct checkout *c = s->checkout;
    if (!c)
        return -ENOTCONN;
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s?, s:I, s:s?, s:n, s:i}", "state",
                  "checking in", "source", s->options->source, "server", c->source.server, "user",
                  c->source.user, "parcel", c->source.parcel, "uuid", c->uuid, "src", c->src,
                  "base_version", (json_int_t)c->base_version, "state_path", c->state_path,
                  "mountpoint", "pid", (int)getpid());
    CLEANUP_FREE char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text ? buffer_append_text(out, text) : -ENOMEM;
}

static int status(void *ctx, struct buffer *out)
{
    struct session *s = ctx;
    LOCK_SCOPE(&s->status);
    return s->mount ? mount_status(s->mount, out) : ending_status(s, out);
}

static int checkpoint(void *ctx, const char *comment, bool disk_only,
                      const struct progress *progress, struct checkin_result *ret,
                      struct failure *failure)
{
    struct session *s = ctx;
    LOCK_SCOPE(&s->use);
    if (!s->mount)
        return failure_set(failure, OUTCOME_FAILED, "%s is being checked in", s->source.parcel);
    int r = mount_flush(s->mount);
    if (r == -ENOTCONN) /* unmounted by now: then nothing is held back either */
        r = 0;
    if (s->checkout->watch)
        home_watch_look(s->checkout->watch);
    r = r < 0 ? r : committer_commit(s->committer, !mount_in_use(s->mount));
    if (r < 0)
        return failure_set(failure, outcome_of(r), "%s: what was written cannot be committed: %s",
                           s->source.parcel, strerror(-r));
    s->checkout->disk_only = disk_only;
    r = checkin(s->checkout, false, comment, progress, ret, failure);
    s->checkout->disk_only = false;
    if (r == 0)
        failure_set(failure, OUTCOME_DONE,
                    ret->changed ? "%s: version %" PRIu64
                                   " is published; the parcel stays checked out"
                                 : "%s: nothing has changed since version %" PRIu64,
                    s->source.parcel, ret->version);
    return r;
}

static int no_checkin(void *ctx, bool wanted)
{
    struct session *s = ctx;
    LOCK_SCOPE(&s->status);
    if (wanted && s->ended)
        return -EALREADY;
    s->no_checkin += wanted ? 1 : -1u;
    return 0;
}

void isrfs_requests_handlers(struct session *s, struct control_handlers *ret)
{
    *ret = (struct control_handlers){
        .status = status, .checkpoint = checkpoint, .no_checkin = no_checkin, .ctx = s};
}

/* The mountpoint in a daemon's status, or NULL; the caller's. */
static char *ask_where(const char *state_path)
{
    CLEANUP_CLOSE int dirfd = open(state_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    CLEANUP_BUFFER struct buffer text = {0};
    struct control_client *client = NULL;
    struct failure failure = {0};
    if (dirfd < 0 || control_connect(dirfd, &client) < 0)
        return NULL;
    int r = control_request(client, "status", NULL, &text, &failure);
    control_disconnect(client);
    json_t *object = r < 0 ? NULL : json_loadb((char *)text.data, text.size, 0, NULL);
    const char *where = json_string_value(json_object_get(object, "mountpoint"));
    char *copy = where ? strdup(where) : NULL;
    json_decref(object);
    return copy;
}

void isrfs_requests_say_where(const struct site *site, const struct source *source,
                              struct failure *failure)
{
    CLEANUP_FREE char *state_path = site_parcel_path(site, source);
    CLEANUP_FREE char *where = state_path ? ask_where(state_path) : NULL;
    if (where)
        failure_set(failure, OUTCOME_LOCKED, "%s is already mounted at this site, on %s",
                    source->parcel, where);
}
