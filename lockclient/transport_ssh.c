/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands of another machine over ssh; the only file that knows libssh.
 *
 * One connection is made when it is first needed and kept for the commands to come, a channel for
 * each. `busy` is a token: who set it owns the connection until it is cleared; `lock` guards the
 * token only and is never held while the network is waited for.
 *
 * libssh runs without blocking: each of its steps is called again and again (until), with a poll
 * between, until it is done or `deadline` has passed. So nothing that a server does or leaves
 * undone holds a caller for longer. A person's time at a prompt does not count.
 *
 * A connection that turns out to be gone before the command was sent is made anew, once. After that
 * the command may have run, and only the caller knows how to ask again. After any failure the
 * connection is given up.
 *
 * Whether a host's key is known is decided here, from the files that libssh names, because the
 * answer has to name a line, and revoked keys have to be seen. */
#include <fcntl.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "lockclient/dial.h"
#include "lockclient/terminal.h"
#include "lockclient/transport.h"

#define CONNECT_MS    20000
#define COMMAND_MS    120000
#define PROBE_MS      5000 /* for a connection that was used before, and for the agent */
#define SLICE_MS      100  /* libssh may hold data that the socket does not show */
#define ERROR_LIMIT   4096
#define SECRET_SIZE   256
#define PASSWORD_TRIES 3
#define QUESTION_ROUNDS 8

struct ssh {
    struct transport base; /* first: a transport is cast to its ssh */
    struct location where;
    char *folder; /* NULL: ~/.ssh */
    unsigned connect_ms, command_ms;
    atomic_bool asked; /* a password or passphrase, at the terminal */
    pthread_mutex_t lock;
    pthread_cond_t idle;
    bool busy; /* lock */
    /* The rest is of whoever made it busy. */
    ssh_session session; /* NULL: not connected */
    struct ssh_callbacks_struct callbacks;
    pid_t proxy; /* 0: none */
    int64_t deadline;
    bool passphrase_wanted; /* but there was no terminal */
    ssh_channel channel;
    const char *command;
    char *reason; /* the reply's */
};

/* --- small things --- */

__attribute__((format(printf, 3, 4))) static int explain(struct ssh *s, int r, const char *format,
                                                         ...)
{
    char text[TRANSPORT_REASON_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    log_clean(s->reason, TRANSPORT_REASON_SIZE, text);
    return r;
}

static const char *libssh_says(const struct ssh *s)
{
    const char *text = ssh_get_error(s->session);
    return text && *text ? text : "the connection was closed";
}

/* Calls STEP until it gives other than AGAIN, which is then *RET. -ETIMEDOUT. */
static int until(struct ssh *s, int (*step)(struct ssh *s), int again, int *ret)
{
    while ((*ret = step(s)) == again) {
        int64_t left = s->deadline - dial_now();
        if (left <= 0)
            return -ETIMEDOUT;
        bool writes = ssh_get_poll_flags(s->session) & SSH_WRITE_PENDING;
        struct pollfd wait = {ssh_get_fd(s->session), (short)(POLLIN | (writes ? POLLOUT : 0)), 0};
        poll(&wait, 1, left < SLICE_MS ? (int)left : SLICE_MS);
    }
    return 0;
}

static void hang_up(struct ssh *s)
{
    if (s->session) {
        ssh_disconnect(s->session);
        ssh_free(s->session);
    }
    s->session = NULL;
    if (s->proxy > 0)
        dial_end(s->proxy);
    s->proxy = 0;
}

/* Asks the person; the time this takes is added to the deadline. */
static int ask(struct ssh *s, const char *text, bool echo, char *out, size_t room)
{
    char clean[256];
    int64_t begun = dial_now();
    int r = terminal_ask(log_clean(clean, sizeof clean, text), echo, out, room);
    s->deadline += dial_now() - begun;
    return r;
}

/* --- the host's key --- */

struct known {
    bool same, revoked;
    const char *other_file; /* where the host has another key; NULL: nowhere */
    unsigned other_line;
};

static void look_at_line(const char *name, char *line, ssh_key key, const char *file,
                         unsigned number, struct known *known)
{
    static const char revoked[] = "@revoked ";
    line += strspn(line, " \t");
    line[strcspn(line, "\r\n")] = '\0';
    bool marked = strncmp(line, revoked, sizeof revoked - 1) == 0;
    if (marked)
        line += sizeof revoked - 1;
    else if (*line == '@' || *line == '#' || !*line)
        return;
    struct ssh_knownhosts_entry *entry = NULL;
    if (ssh_known_hosts_parse_line(name, line, &entry) != SSH_OK)
        return;
    if (ssh_key_cmp(entry->publickey, key, SSH_KEY_CMP_PUBLIC) == 0) {
        known->same = true;
        known->revoked |= marked;
    } else if (!marked && !known->other_file) {
        known->other_file = file;
        known->other_line = number;
    }
    ssh_knownhosts_entry_free(entry);
}

static int look_in(const char *file, const char *name, ssh_key key, struct known *known)
{
    if (!file)
        return 0;
    CLEANUP_FCLOSE FILE *f = fopen(file, "re");
    if (!f)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    CLEANUP_FREE char *line = NULL;
    size_t room = 0;
    for (unsigned number = 1; getline(&line, &room, f) >= 0; number++)
        look_at_line(name, line, key, file, number, known);
    return ferror(f) ? -EIO : 0;
}

static int remember(struct ssh *s, const char *file)
{
    char *entry = NULL;
    if (!file || ssh_session_export_known_hosts_entry(s->session, &entry) != SSH_OK)
        return -EIO;
    CLEANUP_FREE char *folder = strdup(file);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    if (slash && slash > folder) {
        *slash = '\0';
        io_mkdir_parents(AT_FDCWD, folder, 0700);
    }
    CLEANUP_CLOSE int fd = open(file, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    char last = '\n';
    off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    if (size > 0)
        io_pread(fd, &last, 1, size - 1);
    int r = fd < 0 ? -errno : last == '\n' ? 0 : io_write(fd, "\n", 1);
    r = r < 0 ? r : io_write(fd, entry, strlen(entry));
    r = r < 0 ? r : io_fsync(fd);
    ssh_string_free_char(entry);
    return r;
}

/* An unknown key is for a person to decide. */
static int ask_about_key(struct ssh *s, const char *name, ssh_key key, const char *file)
{
    unsigned char *hash = NULL;
    size_t size = 0;
    if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &size) < 0)
        return -ENOMEM;
    char *print = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size);
    ssh_clean_pubkey_hash(&hash);
    const char *type = ssh_key_type_to_char(ssh_key_type(key));
    char text[256], answer[8] = "";
    snprintf(text, sizeof text, "The lock server %.100s is not known yet. Its key is %s %s: is that right (yes/no)? ",
             name, type, print ? print : "?");
    int r = ask(s, text, true, answer, sizeof answer);
    if (r == -ENXIO)
        r = explain(s, -EKEYREJECTED,
                    "the host key of %.100s is not known (%s %s): say yes to it on a terminal first",
                    name, type, print ? print : "?");
    else if (r < 0 || strcmp(answer, "yes") != 0)
        r = explain(s, -EKEYREJECTED, "the host key of %.100s was not accepted", name);
    else if (remember(s, file) < 0)
        log_warning("cannot write the host key to %s", file ? file : "known_hosts");
    ssh_string_free_char(print);
    return r;
}

static int judge_key(struct ssh *s, const char *name, ssh_key key, char *user_file, char *all_file)
{
    struct known known = {0};
    int r = look_in(user_file, name, key, &known);
    const char *bad = r < 0 ? user_file : all_file;
    r = r < 0 ? r : look_in(all_file, name, key, &known);
    if (r < 0)
        return explain(s, r, "cannot read %s: %s", bad, strerror(-r));
    if (known.revoked)
        return explain(s, -EKEYREJECTED, "the host key of %.100s is revoked", name);
    if (known.same)
        return 0;
    if (known.other_file)
        return explain(s, -EKEYREJECTED,
                       "the host key of %.100s has CHANGED: it is not the one at %s line %u. "
                       "Somebody may be listening in; nothing was sent",
                       name, known.other_file, known.other_line);
    return ask_about_key(s, name, key, user_file);
}

static int check_host(struct ssh *s)
{
    char *host = NULL, *user_file = NULL, *all_file = NULL;
    unsigned port = 22;
    char name[300];
    ssh_key key = NULL;
    ssh_options_get_port(s->session, &port);
    ssh_options_get(s->session, SSH_OPTIONS_KNOWNHOSTS, &user_file);
    ssh_options_get(s->session, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, &all_file);
    int r = -ENOMEM;
    if (ssh_options_get(s->session, SSH_OPTIONS_HOST, &host) == SSH_OK &&
        ssh_get_server_publickey(s->session, &key) == SSH_OK) {
        snprintf(name, sizeof name, port == 22 ? "%s" : "[%s]:%u", host, port);
        r = judge_key(s, name, key, user_file, all_file);
    }
    ssh_key_free(key);
    ssh_string_free_char(host);
    ssh_string_free_char(user_file);
    ssh_string_free_char(all_file);
    return r;
}

/* --- who we are --- */

static int step_none(struct ssh *s)
{
    return ssh_userauth_none(s->session, NULL);
}

static int step_keys(struct ssh *s)
{
    return ssh_userauth_publickey_auto(s->session, NULL, NULL);
}

static int step_questions(struct ssh *s)
{
    return ssh_userauth_kbdint(s->session, NULL, NULL);
}

static int step_password(struct ssh *s)
{
    return ssh_userauth_password(s->session, NULL, s->command);
}

/* libssh wants a key file's passphrase. */
static int passphrase(const char *prompt, char *out, size_t room, int echo, int verify, void *ctx)
{
    struct ssh *s = ctx;
    char text[256];
    (void)prompt;
    (void)verify;
    snprintf(text, sizeof text, "Passphrase of the ssh key for %s: ", s->where.host);
    int r = ask(s, text, echo, out, room);
    s->passphrase_wanted |= r == -ENXIO;
    s->asked |= r == 0;
    return r < 0 ? -1 : 0;
}

static int answer_questions(struct ssh *s, int *rc)
{
    int r = until(s, step_questions, SSH_AUTH_AGAIN, rc);
    for (unsigned round = 0; r == 0 && *rc == SSH_AUTH_INFO && round < QUESTION_ROUNDS; round++) {
        int count = ssh_userauth_kbdint_getnprompts(s->session);
        for (int i = 0; r == 0 && i < count; i++) {
            char echo = 0, text[300], answer[SECRET_SIZE];
            const char *prompt = ssh_userauth_kbdint_getprompt(s->session, (unsigned)i, &echo);
            snprintf(text, sizeof text, "%s: %.200s", s->where.host, prompt ? prompt : "");
            r = ask(s, text, echo, answer, sizeof answer);
            s->asked |= r == 0;
            if (r == 0 && ssh_userauth_kbdint_setanswer(s->session, (unsigned)i, answer) < 0)
                r = -ENOMEM;
            explicit_bzero(answer, sizeof answer);
        }
        r = r < 0 ? r : until(s, step_questions, SSH_AUTH_AGAIN, rc);
    }
    return r;
}

static int give_password(struct ssh *s, int *rc)
{
    char text[300], password[SECRET_SIZE];
    snprintf(text, sizeof text, "Password at %s: ", s->where.host);
    int r = 0;
    for (unsigned i = 0; r == 0 && i < PASSWORD_TRIES && *rc != SSH_AUTH_SUCCESS; i++) {
        r = ask(s, text, false, password, sizeof password);
        s->asked |= r == 0;
        s->command = password;
        r = r < 0 ? r : until(s, step_password, SSH_AUTH_AGAIN, rc);
    }
    s->command = NULL;
    explicit_bzero(password, sizeof password);
    return r;
}

static int authenticate(struct ssh *s)
{
    int rc;
    int r = until(s, step_none, SSH_AUTH_AGAIN, &rc);
    int methods = r < 0 || rc == SSH_AUTH_ERROR ? 0 : ssh_userauth_list(s->session, NULL);
    if (r == 0 && rc != SSH_AUTH_SUCCESS && methods & SSH_AUTH_METHOD_PUBLICKEY) {
        r = until(s, step_keys, SSH_AUTH_AGAIN, &rc);
        if (r == 0 && rc == SSH_AUTH_PARTIAL)
            methods = ssh_userauth_list(s->session, NULL);
    }
    bool terminal = terminal_available();
    if (r == 0 && rc > 0 && methods & SSH_AUTH_METHOD_INTERACTIVE && terminal)
        r = answer_questions(s, &rc);
    if (r == 0 && rc > 0 && methods & SSH_AUTH_METHOD_PASSWORD && terminal)
        r = give_password(s, &rc);
    if (r == -ECANCELED)
        return explain(s, r, "not logged in to %s: interrupted", s->where.host);
    if (r < 0 || rc == SSH_AUTH_SUCCESS)
        return r;
    if (rc == SSH_AUTH_ERROR)
        return explain(s, -ECONNRESET, "%s does not let us log in: %s", s->where.host,
                       libssh_says(s));
    return explain(s, -EACCES, "%s accepts none of our ssh keys%s", s->where.host,
                   s->passphrase_wanted ? "; one needs a passphrase, and there is no terminal to "
                                          "ask at (ssh-add keeps it)"
                   : terminal           ? ""
                                        : ", and there is no terminal to ask for a password at");
}

/* --- connecting --- */

/* The config file must not change what the location says, so that is set again after it. */
static int set_options(struct ssh *s)
{
    ssh_session session = s->session;
    bool no = false;
    const struct location *w = &s->where;
    if (ssh_options_set(session, SSH_OPTIONS_HOST, w->host) < 0 ||
        (s->folder && ssh_options_set(session, SSH_OPTIONS_SSH_DIR, s->folder) < 0) ||
        ssh_options_parse_config(session, NULL) < 0 ||
        ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &no) < 0 ||
        (*w->user && ssh_options_set(session, SSH_OPTIONS_USER, w->user) < 0) ||
        (*w->port && ssh_options_set(session, SSH_OPTIONS_PORT_STR, w->port) < 0))
        return explain(s, -EINVAL, "cannot use the ssh settings for %s: %s", w->host,
                       libssh_says(s));
    ssh_callbacks_init(&s->callbacks);
    ssh_set_callbacks(session, &s->callbacks);
    ssh_set_blocking(session, 0);
    if (getenv("SSH_AUTH_SOCK") && !dial_agent_answers(dial_now() + PROBE_MS) &&
        ssh_options_set(session, SSH_OPTIONS_IDENTITY_AGENT, "/nonexistent") < 0)
        return -ENOMEM;
    return 0;
}

static int open_socket(struct ssh *s)
{
    char *host = NULL, *user = NULL, *proxy = NULL, port[8];
    unsigned number = 22;
    const char *reason = NULL;
    ssh_options_get_port(s->session, &number);
    snprintf(port, sizeof port, "%u", number);
    ssh_options_get(s->session, SSH_OPTIONS_USER, &user);
    ssh_options_get(s->session, SSH_OPTIONS_PROXYCOMMAND, &proxy);
    int fd = -ENOMEM;
    if (ssh_options_get(s->session, SSH_OPTIONS_HOST, &host) == SSH_OK) {
        if (proxy)
            fd = dial_command(proxy, host, port, user ? user : "", s->where.host, &s->proxy);
        else
            fd = dial_tcp(host, port, s->deadline, &reason);
        if (fd < 0)
            fd = explain(s, fd, "cannot reach the lock server %.100s port %s: %s", host, port,
                         reason ? reason : strerror(-fd));
    }
    ssh_string_free_char(host);
    ssh_string_free_char(user);
    ssh_string_free_char(proxy);
    return fd;
}

static int step_connect(struct ssh *s)
{
    return ssh_connect(s->session);
}

static int connect_anew(struct ssh *s)
{
    s->deadline = dial_now() + s->connect_ms;
    s->passphrase_wanted = false;
    s->session = ssh_new();
    if (!s->session)
        return -ENOMEM;
    int r = set_options(s);
    int fd = r < 0 ? r : open_socket(s);
    if (fd < 0)
        return fd;
    if (ssh_options_set(s->session, SSH_OPTIONS_FD, &fd) < 0) {
        close(fd);
        return -ENOMEM;
    }
    int rc;
    r = until(s, step_connect, SSH_AGAIN, &rc);
    if (r == 0 && rc != SSH_OK)
        r = explain(s, -ECONNRESET, "%s does not speak ssh with us: %s", s->where.host,
                    libssh_says(s));
    r = r < 0 ? r : check_host(s);
    r = r < 0 ? r : authenticate(s);
    if (r == -ETIMEDOUT && !*s->reason)
        explain(s, r, "the lock server %s did not answer in time", s->where.host);
    return r;
}

/* --- a command --- */

static int step_open(struct ssh *s)
{
    return ssh_channel_open_session(s->channel);
}

static int step_exec(struct ssh *s)
{
    return ssh_channel_request_exec(s->channel, s->command);
}

/* Moves what has come of one stream. Bytes, 0 for none yet or no more, or negative errno. */
static int receive(struct ssh *s, bool error, size_t limit, struct buffer *out)
{
    char part[16384];
    int n = ssh_channel_read_nonblocking(s->channel, part, sizeof part, error);
    if (n == SSH_ERROR)
        return -ECONNRESET;
    if (n <= 0)
        return 0;
    size_t room = limit - out->size;
    if ((size_t)n > room && !error)
        return -EFBIG;
    int r = buffer_append(out, part, (size_t)n < room ? (size_t)n : room);
    explicit_bzero(part, (size_t)n);
    return r < 0 ? r : n;
}

/* What is left of the input, as much as fits; then its end. */
static int send_input(struct ssh *s, const struct transport_call *call, size_t *done)
{
    while (*done < call->input_size) {
        int n = ssh_channel_write(s->channel, (const char *)call->input + *done,
                                  (uint32_t)(call->input_size - *done));
        if (n == SSH_AGAIN || n == 0)
            return 0;
        if (n < 0) /* it may have ended without reading it all; its end will say */
            break;
        *done += (size_t)n;
    }
    *done = SIZE_MAX;
    ssh_channel_send_eof(s->channel);
    return 0;
}

struct exchange {
    const struct transport_call *call;
    struct transport_reply *reply;
    size_t done; /* bytes of input; SIZE_MAX: and its end */
    int error;
};

/* One round: 0 when the command has ended and all it said is here. SSH_AGAIN to go on. */
static int converse(struct ssh *s, struct exchange *e)
{
    for (;;) {
        if (e->done != SIZE_MAX)
            send_input(s, e->call, &e->done);
        int status = ssh_channel_get_exit_status(s->channel);
        bool over = ssh_channel_is_closed(s->channel) ||
                    (status >= 0 && ssh_channel_is_eof(s->channel));
        int out = receive(s, false, e->call->output_limit, &e->reply->out);
        int err = receive(s, true, ERROR_LIMIT, &e->reply->err);
        if (out < 0 || err < 0)
            return out < 0 ? out : err;
        if (out > 0 || err > 0)
            continue;
        e->reply->status = status;
        return over ? 0 : SSH_AGAIN;
    }
}

static int exchange(struct ssh *s, const struct transport_call *call, struct transport_reply *reply)
{
    struct exchange e = {.call = call, .reply = reply};
    for (;;) {
        int r = converse(s, &e);
        if (r != SSH_AGAIN)
            return r < 0 ? r : reply->status < 0 ? -ECONNRESET : 0;
        int64_t left = s->deadline - dial_now();
        if (left <= 0)
            return -ETIMEDOUT;
        bool writes = ssh_get_poll_flags(s->session) & SSH_WRITE_PENDING;
        struct pollfd wait = {ssh_get_fd(s->session), (short)(POLLIN | (writes ? POLLOUT : 0)), 0};
        poll(&wait, 1, left < SLICE_MS ? (int)left : SLICE_MS);
    }
}
