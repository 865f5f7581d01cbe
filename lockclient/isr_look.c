/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr-look: how the lock server's commands take the lock, and read; it changes nothing.
 *
 *   isr-look message               standard input as far as anybody needs it, NULs made into \1
 *   isr-look take [FOLDER [NONCE]] waits for the lock, on descriptor 9, then does as look
 *   isr-look look [FOLDER [NONCE]] the parcel in FOLDER:
 *                                  NOW:=seconds
 *                                  LAST:=the last line of versions
 *                                  ENDED:=the last line of nonces about NONCE, or the holder
 *   isr-look request FOLDER NONCE  message, then take; answers with what take does, a line of two
 *                                  dashes, the message and a full stop
 *   isr-look list USER FOLDER      waits for the lock; a line for each parcel of the user in FOLDER
 *                                  (isr_list_parcel), then gives the lock back; status 3, and
 *                                  nothing, if the state of any is to be repaired, or damaged
 *   isr-look marked USER FOLDER    with the lock: the same with `? name` for those
 *
 * Exit status 1: the lock could not be had in time. What there is not, or cannot be read, is left
 * out: the commands have a word for that. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "isrfs/base/io.h"
#include "isrfs/base/secret.h"
#include "lockclient/state_file.h"

#define LOCK_FD       9
#define MARKS         3
#define LOCK_SECONDS  60
#define MESSAGE_MAX   65537u /* one more than is allowed, which is how that shows */
#define FIELDS        10u    /* of a line of versions; of a rekeying: */
#define REKEY_FIELDS  12u
#define KEYROOT       128u
#define NAME_MAX_SIZE 64u
#define LETTERS       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* What is read of one parcel. */
struct state {
    struct buffer last;   /* line of versions */
    struct buffer holder; /* the file */
    struct buffer nonces; /* the file */
    struct buffer cfg;    /* the file parcel.cfg */
};

static void state_free(struct state *s)
{
    buffer_free_secret(&s->last);
    buffer_free_secret(&s->cfg);
    buffer_free(&s->holder);
    buffer_free(&s->nonces);
}

static void too_late(int signal)
{
    (void)signal;
}

static int take_lock(void)
{
    struct sigaction action = {.sa_handler = too_late}; /* no SA_RESTART */
    sigaction(SIGALRM, &action, NULL);
    alarm(LOCK_SECONDS);
    int r = flock(LOCK_FD, LOCK_EX) < 0 ? -errno : 0;
    alarm(0);
    return r;
}

/* Empties OUT first; a NUL ends it. */
static int read_text(int dirfd, const char *name, struct buffer *out)
{
    out->size = 0;
    int r = io_read_file(dirfd, name, STATE_FILE_MAX, out);
    return r < 0 ? r : buffer_terminate(out);
}

static int read_last(int dirfd, const char *name, struct buffer *out)
{
    out->size = 0;
    int r = state_file_last_line(dirfd, name, out, NULL, NULL);
    return r < 0 ? r : buffer_terminate(out);
}

/* --- text --- */

/* The value of KEY (which ends with :=) in a file, and its size; NULL if there is none. */
static const char *value_of(const struct buffer *file, const char *key, size_t *ret_size)
{
    const char *text = file->data ? (const char *)file->data : "";
    for (; *text; text += strcspn(text, "\n"), text += *text != '\0') {
        size_t size = strlen(key);
        if (strncmp(text, key, size) != 0)
            continue;
        *ret_size = strcspn(text + size, "\n");
        return text + size;
    }
    return NULL;
}

/* The last line of nonces that is about NONCE, with its size; NULL. */
static const char *ended_line(const struct buffer *nonces, const char *nonce, size_t size,
                              size_t *ret_size)
{
    const char *begin = nonces->data ? (const char *)nonces->data : "", *end = begin + nonces->size;
    while (end > begin) {
        const char *before = memrchr(begin, '\n', (size_t)(end - begin));
        const char *line = before ? before + 1 : begin;
        if ((size_t)(end - line) > size && memcmp(line, nonce, size) == 0 && line[size] == ' ') {
            *ret_size = (size_t)(end - line);
            return line;
        }
        end = before ? before : begin;
    }
    return NULL;
}

/* --- look --- */

static void print_ended(const struct buffer *nonces, const char *nonce, size_t size)
{
    size_t length;
    const char *line = size ? ended_line(nonces, nonce, size, &length) : NULL;
    if (line)
        printf("ENDED:=%.*s\n", (int)length, line);
}

static int look(const char *folder, const char *nonce)
{
    CLEANUP(state_free) struct state s = {0};
    printf("NOW:=%lld\n", (long long)time(NULL));
    CLEANUP_CLOSE int fd = *folder ? open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0)
        return 0;
    if (read_last(fd, "versions", &s.last) == 0 && s.last.size > 0)
        printf("LAST:=%s\n", (const char *)s.last.data);
    if (read_text(fd, "nonces", &s.nonces) < 0)
        return 0;
    print_ended(&s.nonces, nonce, strlen(nonce));
    size_t size;
    const char *holder =
        read_text(fd, "holder", &s.holder) < 0 ? NULL : value_of(&s.holder, "NONCE:=", &size);
    if (holder && (size != strlen(nonce) || memcmp(holder, nonce, size) != 0))
        print_ended(&s.nonces, holder, size);
    return 0;
}

/* --- list --- */

struct version {
    const char *number, *time, *size, *nonce, *release, *uuid, *secret;
};

static bool is_number(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 15 && text[digits] == '\0' && (text[0] != '0' || digits == 1);
}

/* Cuts the line into its fields. */
static bool split(struct buffer *line, struct version *ret)
{
    char *fields[REKEY_FIELDS] = {NULL}, *rest = (char *)line->data;
    size_t count = 0;
    while (rest && count < REKEY_FIELDS)
        fields[count++] = strsep(&rest, " ");
    if (rest || (count != FIELDS && count != REKEY_FIELDS))
        return false;
    *ret = (struct version){.number = fields[0],
                            .time = fields[1],
                            .size = fields[3],
                            .nonce = fields[7],
                            .release = fields[9],
                            .uuid = fields[10],
                            .secret = fields[11]};
    return is_number(ret->number) && is_number(ret->time) && is_number(ret->size) &&
           strlen(fields[8]) == KEYROOT && strspn(fields[8], "0123456789abcdef") == KEYROOT;
}

static bool has_value(const struct buffer *file, const char *key, const char *value)
{
    size_t size;
    const char *found = value_of(file, key, &size);
    return found && size == strlen(value) && memcmp(found, value, size) == 0;
}

struct list {
    const char *user, *epoch;
    int parcels;        /* the folder */
    struct state state; /* of the parcel under way */
    const char *name;   /* its own */
    char path[NAME_MAX_SIZE + 16];
    char **names;
    size_t count, room;
    FILE *out; /* in memory */
    size_t marks;
};

/* A file of the parcel under way. Its folder is not opened, for there may be thousands. */
static const char *path_of(struct list *l, const char *file)
{
    snprintf(l->path, sizeof l->path, "%s/%s", l->name, file);
    return l->path;
}

static int read_of(struct list *l, const char *file, struct buffer *out)
{
    return read_text(l->parcels, path_of(l, file), out);
}

/* What a rekeying has changed has come into parcel.cfg. */
static bool is_carried_over(struct list *l, const struct version *v)
{
    struct buffer *cfg = &l->state.cfg;
    return !v->uuid || (read_of(l, "parcel.cfg", cfg) == 0 && has_value(cfg, "UUID:=", v->uuid) &&
                        has_value(cfg, "SECRET:=", v->secret));
}

/* time-base-epoch-random, of this epoch. The shell looks closer at what is not. */
static bool is_of_epoch(const char *nonce, size_t size, const char *epoch)
{
    const char *dash = memchr(nonce, '-', size);
    dash = dash ? memchr(dash + 1, '-', size - (size_t)(dash + 1 - nonce)) : NULL;
    size_t length = strlen(epoch), left = dash ? size - (size_t)(dash + 1 - nonce) : 0;
    return left == length + 33 && memcmp(dash + 1, epoch, length) == 0 && dash[1 + length] == '-';
}

/* Sets the bytes of the host's name in the file holder: 0 if nobody holds the lock. False if that
 * cannot be said without a repair. */
static bool find_holder(struct list *l, const struct version *v, const char **ret_host,
                        size_t *ret_size)
{
    struct state *s = &l->state;
    *ret_size = 0;
    int r = read_of(l, "holder", &s->holder);
    if (r < 0)
        return r == -ENOENT;
    size_t size = 0, site_size = 0, length;
    const char *nonce = value_of(&s->holder, "NONCE:=", &size);
    const char *site = value_of(&s->holder, "SITE:=", &site_size);
    if (!nonce || !site || !is_of_epoch(nonce, size, l->epoch) ||
        read_of(l, "nonces", &s->nonces) < 0 || ended_line(&s->nonces, nonce, size, &length))
        return false;
    if (strlen(v->nonce) == size && memcmp(v->nonce, nonce, size) == 0 &&
        strcmp(v->release, "release") == 0)
        return false;
    const char *colon = memchr(site, ':', site_size);
    *ret_host = site;
    *ret_size = colon ? (size_t)(colon - site) : site_size;
    return *ret_size > 0;
}

static void list_parcel(struct list *l)
{
    struct version v;
    const char *host = NULL;
    size_t size = 0;
    int r = read_last(l->parcels, path_of(l, "versions"), &l->state.last);
    if (r == -ENOENT || r == -ENOTDIR || r == -EINVAL) /* no parcel */
        return;
    if (r < 0 || !split(&l->state.last, &v) || !is_carried_over(l, &v) ||
        !find_holder(l, &v, &host, &size))
        l->marks += fprintf(l->out, "? %s\n", l->name) > 0;
    else if (size > 0)
        fprintf(l->out, "%s %s %s %s@%.*s %s\n", l->name, v.number, v.time, l->user, (int)size,
                host, v.size);
    else
        fprintf(l->out, "%s %s %s - %s\n", l->name, v.number, v.time, v.size);
}

static bool is_name(const char *name)
{
    size_t size = strlen(name);
    return size > 0 && size <= NAME_MAX_SIZE && strspn(name, LETTERS "._-") == size &&
           strchr(LETTERS, name[0]);
}

static int add_name(void *ctx, const char *name)
{
    struct list *l = ctx;
    if (!is_name(name))
        return 0;
    if (l->count == l->room) {
        size_t room = l->room ? 2 * l->room : 256;
        char **grown = reallocarray(l->names, room, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        l->names = grown;
        l->room = room;
    }
    l->names[l->count] = strdup(name);
    return l->names[l->count++] ? 0 : -ENOMEM;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_free(struct list *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->names[i]);
    free(l->names);
    state_free(&l->state);
}

static int gather(struct list *l, const char *folder)
{
    CLEANUP_BUFFER struct buffer epoch = {0};
    CLEANUP_CLOSE int udir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    CLEANUP_CLOSE int fd =
        udir < 0 ? -1 : openat(udir, "parcels", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 ? -errno : io_each_name(fd, ".", add_name, l);
    if (r < 0)
        return r;
    if (read_text(udir, "epoch", &epoch) == 0)
        epoch.data[strcspn((const char *)epoch.data, "\n")] = '\0';
    l->epoch = epoch.data ? (const char *)epoch.data : "";
    if (l->count > 0)
        qsort(l->names, l->count, sizeof *l->names, compare);
    l->parcels = fd;
    for (size_t i = 0; i < l->count; i++) {
        l->name = l->names[i];
        list_parcel(l);
    }
    return fflush(l->out) == 0 ? 0 : -ENOMEM;
}

/* A reader that does not read must not hold the lock: it is given back first, where nothing is left
 * to be done with it. */
static int list(const char *user, const char *folder, bool marked)
{
    CLEANUP(list_free) struct list l = {.user = user};
    CLEANUP_FREE char *text = NULL;
    size_t size = 0;
    l.out = open_memstream(&text, &size);
    int r = l.out ? gather(&l, folder) : -ENOMEM;
    if (l.out)
        fclose(l.out);
    if (r < 0)
        return 2;
    if (l.marks > 0 && !marked)
        return MARKS;
    if (!marked)
        flock(LOCK_FD, LOCK_UN);
    return io_write(STDOUT_FILENO, text, size) < 0 ? 2 : 0;
}

/* --- */

static int read_message(struct buffer *out)
{
    int r = io_read_stream(STDIN_FILENO, MESSAGE_MAX, out);
    for (size_t i = 0; r == 0 && i < out->size; i++)
        out->data[i] = out->data[i] ? out->data[i] : 1; /* the shell would drop it silently */
    return r;
}

static int message(void)
{
    CLEANUP_SECRET_BUFFER struct buffer in = {0};
    return read_message(&in) == 0 && io_write(STDOUT_FILENO, in.data, in.size) == 0 ? 0 : 2;
}

/* Whoever does not end its message does not hold the lock. */
static int request(const char *folder, const char *nonce)
{
    CLEANUP_SECRET_BUFFER struct buffer in = {0};
    if (read_message(&in) < 0)
        return 2;
    if (take_lock() < 0)
        return 1;
    int status = look(folder, nonce);
    printf("--\n");
    fflush(stdout);
    int r = io_write(STDOUT_FILENO, in.data, in.size);
    return r < 0 || io_write(STDOUT_FILENO, ".", 1) < 0 ? 2 : status;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    bool take = strcmp(what, "take") == 0, listing = strcmp(what, "list") == 0 && argc == 4,
         marked = strcmp(what, "marked") == 0 && argc == 4;
    int status = 2;
    secret_protect_process();
    if ((take || listing) && take_lock() < 0)
        return 1;
    if (listing || marked)
        status = list(argv[2], argv[3], marked);
    else if (take || strcmp(what, "look") == 0)
        status = look(argc > 2 ? argv[2] : "", argc > 3 ? argv[3] : "");
    else if (strcmp(what, "message") == 0)
        status = message();
    else if (strcmp(what, "request") == 0 && argc == 4)
        status = request(argv[2], argv[3]);
    else
        fprintf(stderr, "isr-look is for the lock server's commands\n");
    return fflush(stdout) == 0 ? status : 2;
}
