/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr status: what this site has checked out. A running daemon is asked; otherwise the state folder
 * itself is looked at, without lock server and keys, so only the size of the site log says whether
 * there are changes. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/cmd/commands.h"
#include "isrfs/cmd/daemon.h"
#include "isrfs/sync/recover.h"

#define CFG_LIMIT 65536

struct list {
    const struct cmd *c;
    const char *server, *user, *parcel; /* NULL: any */
    json_t *array;
};

struct folder_size {
    int dirfd;
    uint64_t bytes;
};

/* Segments are allocated ahead: what was not written yet is a hole. */
static int add_size(void *ctx, const char *name)
{
    struct folder_size *f = ctx;
    CLEANUP_CLOSE int fd = io_open_read(f->dirfd, name);
    for (off_t end = 0; fd >= 0;) {
        off_t start = lseek(fd, end, SEEK_DATA);
        end = start < 0 ? -1 : lseek(fd, start, SEEK_HOLE);
        if (end <= start)
            break;
        f->bytes += (uint64_t)(end - start);
    }
    return 0;
}

/* Bytes in the site log's segments. */
static uint64_t log_bytes(int state_fd)
{
    CLEANUP_CLOSE int fd = openat(state_fd, "log", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct folder_size f = {.dirfd = fd};
    if (fd >= 0)
        io_each_name(fd, ".", add_size, &f);
    return f.bytes;
}

/* VERSION of the folder's parcel.cfg; 0 if that is not known. */
static uint64_t base_version(int state_fd)
{
    static const char *const keys[] = {"PARCEL", "USER", "LOCKSRV", "UUID", "SRC", "VERSION", NULL};
    CLEANUP_BUFFER struct buffer text = {0};
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    uint64_t version = 0;
    if (io_read_file(state_fd, "parcel.cfg", CFG_LIMIT, &text) < 0 ||
        keyvalue_parse(text.data, text.size, keys, &kv, NULL) < 0)
        return 0;
    keyvalue_get_u64(kv, "VERSION", &version);
    return version;
}

static bool is_locked(int state_fd)
{
    CLEANUP_CLOSE int fd = openat(state_fd, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static void add_found(json_t *object, const struct recover_state *state)
{
    if (state->recovered)
        json_object_set_new(
            object, "recovered",
            json_pack("{s:I, s:I, s:I, s:I}", "changes", (json_int_t)state->found.changes, "files",
                      (json_int_t)state->found.files, "bytes", (json_int_t)state->found.bytes,
                      "until", (json_int_t)state->found_until));
}

/* NULL: not checked out here, or no memory. */
static json_t *look(const char *path, const struct source *source)
{
    json_t *daemon = NULL;
    struct recover_state state = {0};
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        recover_look(fd, &state);
    if (daemon_status(path, &daemon) == 0) {
        json_object_set_new(daemon, "path", json_string(path));
        add_found(daemon, &state);
        return daemon;
    }
    if (fd < 0 || faccessat(fd, "nonce", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return NULL;
    bool used = is_locked(fd);
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:b, s:I}", "state", used ? "in use" : "checked out",
        "parcel", source->parcel, "server", source->server, "user", source->user, "base_version",
        (json_int_t)base_version(fd), "log_bytes", (json_int_t)log_bytes(fd), "path", path,
        "crashed", state.crashed && !used, "last_written", (json_int_t)state.until);
    if (object)
        add_found(object, &state);
    return object;
}

static bool wanted(const struct list *list, const struct source *source)
{
    return (!list->parcel || strcmp(list->parcel, source->parcel) == 0) &&
           (!list->server || strcmp(list->server, source->server) == 0) &&
           (!list->user || strcmp(list->user, source->user) == 0);
}

static int add_parcel(void *ctx, const struct source *source)
{
    struct list *list = ctx;
    if (!wanted(list, source))
        return 0;
    CLEANUP_FREE char *path = site_parcel_path(list->c->site, source);
    json_t *found = path ? look(path, source) : NULL;
    if (!path)
        return -ENOMEM;
    return found && json_array_append_new(list->array, found) < 0 ? -ENOMEM : 0;
}

static const char *text_of(const json_t *object, const char *key, char *out, size_t room)
{
    const char *text = json_string_value(json_object_get(object, key));
    return log_clean(out, room, text ? text : "?");
}

/* The home is away: since when, and how many reads wait for it. */
static void print_away(const json_t *away)
{
    char since[64];
    if (json_is_object(away))
        printf("; its home is away since %s, %" JSON_INTEGER_FORMAT " reads wait",
               text_of(away, "since", since, sizeof since),
               json_integer_value(json_object_get(away, "reads_waiting")));
}

static void print_crash(const json_t *p)
{
    char when[CMD_TEXT_SIZE];
    json_int_t until = json_integer_value(json_object_get(p, "last_written"));
    printf(
        "; the last mount ended without a commit%s%s (isr mount or isr ci reads what it kept, and "
        "says so if that is damaged)\n",
        until ? ", last written at " : "", until ? cmd_time((uint64_t)until, when) : "");
}

static void print_recovered(const char *parcel, const json_t *found)
{
    char size[CMD_TEXT_SIZE], when[CMD_TEXT_SIZE];
    printf("%s: recovered after a mount that ended without a commit: %" JSON_INTEGER_FORMAT
           " changes in %" JSON_INTEGER_FORMAT " files (%s) up to %s\n",
           parcel, json_integer_value(json_object_get(found, "changes")),
           json_integer_value(json_object_get(found, "files")),
           cmd_size((uint64_t)json_integer_value(json_object_get(found, "bytes")), size),
           cmd_time((uint64_t)json_integer_value(json_object_get(found, "until")), when));
}

static void print_parcel(const json_t *p)
{
    char name[80], state[32], dir[512], size[CMD_TEXT_SIZE];
    json_int_t version = json_integer_value(json_object_get(p, "base_version"));
    json_int_t kept = json_integer_value(json_object_get(p, "log_bytes")) +
                      json_integer_value(json_object_get(p, "dirty_bytes"));
    text_of(p, "state", state, sizeof state);
    printf("%s: checked out", text_of(p, "parcel", name, sizeof name));
    if (version > 0)
        printf(" at version %" JSON_INTEGER_FORMAT, version);
    if (strcmp(state, "checked out") != 0)
        printf(", %s", state);
    if (json_is_string(json_object_get(p, "mountpoint")))
        printf(" at %s", text_of(p, "mountpoint", dir, sizeof dir));
    if (json_is_integer(json_object_get(p, "pid")))
        printf(" (process %" JSON_INTEGER_FORMAT ")",
               json_integer_value(json_object_get(p, "pid")));
    const json_t *changed = json_object_get(p, "changed");
    if (changed ? json_is_true(changed) || kept > 0 : kept > 0)
        printf("; %s at this site not yet checked in", cmd_size((uint64_t)kept, size));
    else
        printf("; no changes");
    print_away(json_object_get(p, "home_away"));
    if (json_is_true(json_object_get(p, "crashed")))
        print_crash(p);
    else
        puts(strcmp(state, "checked out") == 0 ? " (isr ci gives it back)" : "");
    const json_t *recovered = json_object_get(p, "recovered");
    if (recovered)
        print_recovered(name, recovered);
}

static int print_all(const struct cmd *c, json_t *array)
{
    if (c->json)
        return cmd_print_json(c, json_incref(array));
    size_t i;
    json_t *p;
    json_array_foreach(array, i, p)
    {
        print_parcel(p);
    }
    if (json_array_size(array) == 0)
        puts(c->parcel ? "not checked out at this site" : "nothing is checked out at this site");
    return OUTCOME_DONE;
}

static int run(struct cmd *c)
{
    CLEANUP_SOURCE struct source source = {0};
    CLEANUP_JSON json_t *array = json_array();
    struct list list = {.c = c, .array = array};
    if (c->parcel || c->locksrv || c->user) {
        int status = cmd_source(c, &source);
        if (status)
            return status;
        list.server = c->parcel || c->locksrv ? source.server : NULL;
        list.user = c->parcel || c->user ? source.user : NULL;
        list.parcel = source.parcel;
    }
    int r = array ? site_each_parcel(c->site, add_parcel, &list) : -ENOMEM;
    if (r < 0) {
        cmd_say(c, "cannot look at the parcels of this site: %s", strerror(-r));
        return OUTCOME_FAILED;
    }
    return print_all(c, array);
}

const struct command cmd_status = {
    .name = "status",
    .synopsis = "[PARCEL]",
    .summary = "say what is checked out at this site, and what is not yet checked in",
    .parcel = CMD_MAY_PARCEL,
    .json = true,
    .run = run,
};
