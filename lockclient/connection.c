/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libssh runs without blocking: each of its steps is called again and again (until), with a poll
 * between, until it is done or `deadline` has passed. So nothing that a server does or leaves
 * undone holds a caller for longer. A person's time at a prompt does not count.
 *
 * States: no session; a session that is logged in. connection_open goes from the first to the
 * second, connection_close and every failure of the two others lead back (by connection_close). */
#define LIBSSH_LEGACY_0_4 /* none of its old names, which are ours too */
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include "isrfs/base/clock.h"
#include "isrfs/base/log.h"
#include "lockclient/connection.h"
#include "lockclient/dial.h"
#include "lockclient/known_hosts.h"
#include "lockclient/terminal.h"

#define PROBE_MS        5000 /* for the agent */
#define SLICE_MS        100  /* libssh may hold data that the socket does not show */
#define ERROR_LIMIT     4096
#define SECRET_SIZE     256
#define PASSWORD_TRIES  3
#define QUESTION_ROUNDS 8

struct connection {
    struct location where;
    char *folder;      /* NULL: ~/.ssh */
    atomic_bool asked; /* a password or passphrase, at the terminal */
    ssh_session session;
    struct ssh_callbacks_struct callbacks;
    pid_t proxy; /* 0: none */
    int64_t deadline;
    char *reason; /* where to say why */
    /* What the step under way is about. */
    ssh_channel channel;
    const char *command, *password;
    bool passphrase_wanted; /* but there was no terminal */
};

/* --- small things --- */

__attribute__((format(printf, 3, 4))) static int explain(struct connection *s, int r,
                                                         const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_clean_format(s->reason, TRANSPORT_REASON_SIZE, format, args);
    va_end(args);
    return r;
}

static const char *libssh_says(const struct connection *s)
{
    const char *text = ssh_get_error(s->session);
    return text && *text ? text : "the connection was closed";
}

static int wait_a_little(struct connection *s)
{
    int64_t left = s->deadline - clock_ms();
    if (left <= 0)
        return -ETIMEDOUT;
    bool writes = ssh_get_poll_flags(s->session) & SSH_WRITE_PENDING;
    struct pollfd wait = {ssh_get_fd(s->session), (short)(POLLIN | (writes ? POLLOUT : 0)), 0};
    poll(&wait, 1, left < SLICE_MS ? (int)left : SLICE_MS);
    return 0;
}

/* Calls STEP until it gives other than AGAIN, which is then *RET. -ETIMEDOUT. */
static int until(struct connection *s, int (*step)(struct connection *s), int again, int *ret)
{
    int r = 0;
    while (r == 0 && (*ret = step(s)) == again)
        r = wait_a_little(s);
    return r;
}

void connection_close(struct connection *s)
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
static int ask(struct connection *s, const char *text, bool echo, char *out, size_t room)
{
    char clean[300];
    int64_t begun = clock_ms();
    int r = terminal_ask(log_clean(clean, sizeof clean, text), echo, out, room);
    s->deadline += clock_ms() - begun;
    return r;
}

/* --- the host's key --- */

static int read_host_key(struct connection *s, struct known_hosts_key *k)
{
    char *host = NULL;
    unsigned port = 22;
    ssh_key key = NULL;
    unsigned char *hash = NULL;
    size_t size = 0;
    int r = -ENOMEM;
    ssh_options_get_port(s->session, &port);
    ssh_options_get(s->session, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, &k->all_file);
    if (ssh_options_get(s->session, SSH_OPTIONS_KNOWNHOSTS, &k->file) == SSH_OK &&
        ssh_options_get(s->session, SSH_OPTIONS_HOST, &host) == SSH_OK &&
        ssh_get_server_publickey(s->session, &key) == SSH_OK &&
        ssh_pki_export_pubkey_base64(key, &k->text) == SSH_OK &&
        ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &size) == 0) {
        known_hosts_name(host, port, k->name, sizeof k->name);
        enum ssh_keytypes_e type = ssh_key_type(key);
        k->type = ssh_key_type_to_char(type);
        const char *curve = type == SSH_KEYTYPE_ECDSA_P256 || type == SSH_KEYTYPE_ECDSA_P384 ||
                                    type == SSH_KEYTYPE_ECDSA_P521
                                ? ssh_pki_key_ecdsa_name(key)
                                : NULL;
        k->type = curve ? curve : k->type;
        k->fingerprint = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size);
        r = k->type && k->fingerprint ? 0 : -ENOMEM;
    }
    ssh_clean_pubkey_hash(&hash);
    ssh_key_free(key);
    ssh_string_free_char(host);
    return r;
}

static int check_host(struct connection *s)
{
    struct known_hosts_key k = {.name = ""};
    int64_t begun = clock_ms();
    int r = read_host_key(s, &k);
    r = r < 0 ? r : known_hosts_check(&k, s->reason, TRANSPORT_REASON_SIZE);
    s->deadline += clock_ms() - begun; /* a person may have been asked */
    ssh_string_free_char(k.file);
    ssh_string_free_char(k.all_file);
    ssh_string_free_char(k.text);
    ssh_string_free_char(k.fingerprint);
    return r;
}

/* --- who we are --- */

static int step_none(struct connection *s)
{
    return ssh_userauth_none(s->session, NULL);
}

static int step_keys(struct connection *s)
{
    return ssh_userauth_publickey_auto(s->session, NULL, NULL);
}

static int step_questions(struct connection *s)
{
    return ssh_userauth_kbdint(s->session, NULL, NULL);
}

static int step_password(struct connection *s)
{
    return ssh_userauth_password(s->session, NULL, s->password);
}

/* libssh wants a key file's passphrase. */
static int passphrase(const char *prompt, char *out, size_t room, int echo, int verify, void *ctx)
{
    struct connection *s = ctx;
    char text[256];
    (void)prompt;
    (void)verify;
    snprintf(text, sizeof text, "Passphrase of the ssh key for %.100s: ", s->where.host);
    int r = ask(s, text, echo, out, room);
    s->passphrase_wanted |= r == -ENXIO;
    s->asked |= r == 0;
    return r < 0 ? -1 : 0;
}

static int answer_questions(struct connection *s, int *rc)
{
    int r = until(s, step_questions, SSH_AUTH_AGAIN, rc);
    for (unsigned round = 0; r == 0 && *rc == SSH_AUTH_INFO && round < QUESTION_ROUNDS; round++) {
        int count = ssh_userauth_kbdint_getnprompts(s->session);
        for (int i = 0; r == 0 && i < count; i++) {
            char echo = 0, text[300], answer[SECRET_SIZE];
            const char *prompt = ssh_userauth_kbdint_getprompt(s->session, (unsigned)i, &echo);
            snprintf(text, sizeof text, "%.80s: %.200s", s->where.host, prompt ? prompt : "");
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

static int give_password(struct connection *s, int *rc)
{
    char text[300], password[SECRET_SIZE];
    snprintf(text, sizeof text, "Password at %.100s: ", s->where.host);
    int r = 0;
    for (unsigned i = 0; r == 0 && i < PASSWORD_TRIES && *rc != SSH_AUTH_SUCCESS; i++) {
        r = ask(s, text, false, password, sizeof password);
        s->asked |= r == 0;
        s->password = password;
        r = r < 0 ? r : until(s, step_password, SSH_AUTH_AGAIN, rc);
    }
    s->password = NULL;
    explicit_bzero(password, sizeof password);
    return r;
}

static int authenticate(struct connection *s)
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
static int set_options(struct connection *s)
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
    if (getenv("SSH_AUTH_SOCK") && !dial_agent_answers(clock_ms() + PROBE_MS) &&
        ssh_options_set(session, SSH_OPTIONS_IDENTITY_AGENT, "/nonexistent") < 0)
        return -ENOMEM;
    return 0;
}

static int open_socket(struct connection *s)
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

static int step_connect(struct connection *s)
{
    return ssh_connect(s->session);
}

static int connect_by(struct connection *s)
{
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
    return r < 0 ? r : authenticate(s);
}

bool connection_is_open(const struct connection *s)
{
    return s->session != NULL;
}

int connection_open(struct connection *s, unsigned limit_ms, char *reason)
{
    s->reason = reason;
    s->deadline = clock_ms() + limit_ms;
    s->passphrase_wanted = false;
    int r = connect_by(s);
    if (r == -ETIMEDOUT && !*reason)
        explain(s, r, "the lock server %s did not answer in time", s->where.host);
    if (r < 0)
        connection_close(s);
    return r;
}

/* --- a command --- */

static int step_open(struct connection *s)
{
    return ssh_channel_open_session(s->channel);
}

static int step_exec(struct connection *s)
{
    return ssh_channel_request_exec(s->channel, s->command);
}

/* Moves what has come of one stream. Bytes, 0 for none yet or no more, or negative errno. */
static int receive(struct connection *s, bool error, size_t limit, struct buffer *out)
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
static void send_input(struct connection *s, const struct transport_call *call, size_t *done)
{
    while (*done < call->input_size) {
        int n = ssh_channel_write(s->channel, (const char *)call->input + *done,
                                  (uint32_t)(call->input_size - *done));
        if (n == SSH_AGAIN || n == 0)
            return;
        if (n < 0) /* it may have ended without reading it all; its end will say */
            break;
        *done += (size_t)n;
    }
    *done = SIZE_MAX;
    ssh_channel_send_eof(s->channel);
}

struct exchange {
    const struct transport_call *call;
    struct transport_reply *reply;
    size_t done; /* bytes of input; SIZE_MAX: and its end */
};

/* Has the command ended? Asking may read from the socket: what came before its end is there to be
 * received then. */
static bool has_ended(struct connection *s, int *ret_status)
{
    *ret_status = ssh_channel_get_exit_status(s->channel);
    return ssh_channel_is_closed(s->channel) ||
           (*ret_status >= 0 && ssh_channel_is_eof(s->channel));
}

/* Moves all that can be moved now. 1 to go on, 0 when the command has ended and all that it said is
 * here, or negative errno. */
static int converse(struct connection *s, struct exchange *e)
{
    for (;;) {
        if (e->done != SIZE_MAX)
            send_input(s, e->call, &e->done);
        int status;
        bool over = has_ended(s, &status);
        int out = receive(s, false, e->call->output_limit, &e->reply->out);
        int err = receive(s, true, ERROR_LIMIT, &e->reply->err);
        if (out < 0 || err < 0)
            return out < 0 ? out : err;
        if ((out > 0 || err > 0) && clock_ms() < s->deadline)
            continue;
        if (out > 0 || err > 0)
            return -ETIMEDOUT;
        if (!over && has_ended(s, &status))
            continue; /* receiving has read its end, too, and the socket will not show that */
        e->reply->status = status;
        return over ? 0 : 1;
    }
}

static int exchange(struct connection *s, const struct connection_command *c,
                    struct transport_reply *reply, bool *ret_sent)
{
    struct exchange e = {.call = c->call, .reply = reply};
    int rc;
    s->deadline = clock_ms() + c->begin_ms;
    int r = until(s, step_open, SSH_AGAIN, &rc);
    if (r == 0 && rc != SSH_OK)
        r = explain(s, -ECONNRESET, "%s runs no command: %s", s->where.host, libssh_says(s));
    if (r < 0)
        return r;
    *ret_sent = true;
    s->deadline = clock_ms() + c->limit_ms;
    r = until(s, step_exec, SSH_AGAIN, &rc);
    if (r == 0 && rc != SSH_OK)
        r = explain(s, -ECONNRESET, "%s does not run %s: %s", s->where.host, c->call->words[0],
                    libssh_says(s));
    int more = 1;
    while (r == 0 && (more = converse(s, &e)) > 0)
        r = wait_a_little(s);
    r = r < 0 ? r : more;
    if (r == 0 && reply->status < 0)
        r = -ECONNRESET;
    if (r == -ECONNRESET && !*s->reason)
        explain(s, r, "the connection to %s broke while %s ran there", s->where.host,
                c->call->words[0]);
    r = r < 0 ? r : buffer_terminate(&reply->out);
    return r < 0 ? r : buffer_terminate(&reply->err);
}

int connection_run(struct connection *s, const struct connection_command *c,
                   struct transport_reply *reply, bool *ret_sent)
{
    *ret_sent = false;
    s->reason = reply->reason;
    s->command = c->text;
    s->channel = ssh_channel_new(s->session);
    int r = s->channel ? exchange(s, c, reply, ret_sent) : -ENOMEM;
    ssh_channel_free(s->channel);
    s->channel = NULL;
    s->command = NULL;
    if (r < 0)
        connection_close(s);
    return r;
}

bool connection_asked(const struct connection *s)
{
    return s->asked;
}

struct connection *connection_new(const struct location *where, const char *folder)
{
    struct connection *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->where = *where;
    s->callbacks = (struct ssh_callbacks_struct){.userdata = s, .auth_function = passphrase};
    s->folder = folder ? strdup(folder) : NULL;
    if (!folder || s->folder)
        return s;
    connection_free(s);
    return NULL;
}

void connection_free(struct connection *s)
{
    if (!s)
        return;
    connection_close(s);
    free(s->folder);
    free(s);
}
