/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr_shell: what sshd runs at a lock server in place of a shell. It takes one command of the lock
 * server apart into words, checks each, and becomes the command; or says in one line why not, with
 * exit status 2. Nothing that a client sends is ever seen by a shell or kept in the environment.
 *
 * As a forced command (authorized_keys) the request is in SSH_ORIGINAL_COMMAND, and with --user the
 * word USER must be that. Under the name of a command (a link) its arguments are the words: for
 * an account of one's own, which needs no forced command. */
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "isrfs/base/io.h"
#include "lockclient/message.h"

#define WORDS_MAX   8u
#define REQUEST_MAX 1024u /* the longest valid request is shorter */
#define REFUSED     2
#define FAILED      1

/* What words a command takes: u user, p parcel, n nonce, v version; after a / they may be missing.
 * r is the word release, s stolen. */
static const struct {
    const char *name, *words;
} commands[] = {
    {"isr_acquire_lock", "upn"},  {"isr_break_lock", "up/s"},  {"isr_cat_keyroot", "up/v"},
    {"isr_cat_parcel_cfg", "up"}, {"isr_cat_user", "u"},       {"isr_check_lock", "up/n"},
    {"isr_clone_parcel", "upvp"}, {"isr_create_parcel", "up"}, {"isr_history", "up"},
    {"isr_list_forgotten", "u"},  {"isr_list_parcel", "u"},    {"isr_prune_versions", "up"},
    {"isr_publish", "upn/r"},     {"isr_put_event", "u"},      {"isr_recover_parcel", "up"},
    {"isr_rekey", "upn/r"},       {"isr_release_lock", "upn"}, {"isr_remove_parcel", "up"},
    {"isr_rollback", "upnv/r"},
};
#define COMMAND_COUNT (sizeof commands / sizeof *commands)

struct request {
    char *words[WORDS_MAX + 1];
    size_t count;
};

/* The text is always ours: what a client sent is never repeated to a terminal. */
_Noreturn static void end(int status, const char *text)
{
    fprintf(stderr, "isr_shell: %s\n", text);
    exit(status);
}

static bool is_version(const char *word)
{
    size_t digits = strspn(word, "0123456789");
    return digits > 0 && digits <= 15 && word[digits] == '\0' && word[0] != '0';
}

static bool word_valid(char kind, const char *word, const char *user)
{
    switch (kind) {
    case 'u':
        if (message_name_valid(word) && user && strcmp(word, user) != 0)
            end(REFUSED, "this key belongs to another user of the lock server");
        return message_name_valid(word);
    case 'p':
        return message_name_valid(word);
    case 'n':
        return message_nonce_valid(word);
    case 'v':
        return is_version(word);
    case 'r':
        return strcmp(word, "release") == 0;
    case 's':
        return strcmp(word, "stolen") == 0;
    default:
        return false;
    }
}

static const char *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].words;
    return NULL;
}

static void check(const struct request *request, const char *user)
{
    const char *kinds = request->count ? find_command(request->words[0]) : NULL;
    if (!kinds)
        end(REFUSED, "only the lock server's commands are run here");
    size_t i = 1;
    for (; *kinds; kinds++) {
        if (*kinds == '/' && i == request->count)
            break;
        if (*kinds == '/')
            continue;
        if (i == request->count || !word_valid(*kinds, request->words[i], user))
            end(REFUSED, "a word is missing or not of the right form");
        i++;
    }
    if (i != request->count)
        end(REFUSED, "there are too many words");
}

/* Words with exactly one space between them, of nothing but the bytes that a valid one may have. */
static void split(char *text, struct request *ret)
{
    size_t size = strlen(text);
    if (size > REQUEST_MAX)
        end(REFUSED, "the request is too long");
    if (strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._- ") != size)
        end(REFUSED, "the request is not of the right form");
    for (char *rest = text; rest;) {
        char *word = strsep(&rest, " ");
        if (!*word || ret->count == WORDS_MAX)
            end(REFUSED, "the request is not of the right form");
        ret->words[ret->count++] = word;
    }
}

struct options {
    const char *user; /* NULL: any */
    const char *root; /* NULL: ~/.isr/locksrv */
};

static void parse_options(int argc, char **argv, struct options *ret)
{
    for (int i = 1; i < argc; i++) {
        const char **value = strcmp(argv[i], "--user") == 0   ? &ret->user
                             : strcmp(argv[i], "--root") == 0 ? &ret->root
                                                              : NULL;
        if (!value || *value || ++i == argc)
            end(REFUSED, "usage: isr_shell [--user NAME] [--root FOLDER]");
        *value = argv[i];
    }
    if (ret->user && !message_name_valid(ret->user))
        end(REFUSED, "--user is not a user name");
    if (ret->root && ret->root[0] != '/')
        end(REFUSED, "--root is not an absolute path");
}

/* ISR_LOCKSRV_ROOT=... */
static char *root_setting(const char *root)
{
    char *text = NULL;
    const struct passwd *pw = root ? NULL : getpwuid(geteuid());
    if (!root && (!pw || pw->pw_dir[0] != '/'))
        end(FAILED, "this account has no home folder");
    int n = root ? asprintf(&text, "ISR_LOCKSRV_ROOT=%s", root)
                 : asprintf(&text, "ISR_LOCKSRV_ROOT=%s/.isr/locksrv", pw->pw_dir);
    if (n < 0)
        end(FAILED, "out of memory");
    if (!root) { /* of an account of one's own, it is made like ~/.isr by isr */
        CLEANUP_FREE char *parent = strndup(strchr(text, '=') + 1, strlen(pw->pw_dir) + 5);
        int r = parent ? io_mkdir(AT_FDCWD, parent, 0700) : -ENOMEM;
        if (r < 0 && r != -EEXIST)
            end(FAILED, "cannot make ~/.isr");
    }
    return text;
}

/* The commands lie beside this program. */
static char *command_path(const char *name)
{
    char self[4096];
    char *path = NULL;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        end(FAILED, "cannot find the lock server's commands");
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    if (asprintf(&path, "%s/lockserver/%s", self, name) < 0)
        end(FAILED, "out of memory");
    return path;
}

_Noreturn static void become(struct request *request, const char *root)
{
    char *const envp[] = {(char *)(uintptr_t) "PATH=/usr/bin:/bin", root_setting(root), NULL};
    char *path = command_path(request->words[0]);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    umask(077);
    close_range(3, ~0u, 0);
    if (chdir("/") == 0) {
        request->words[0] = path;
        execve(path, request->words, envp);
    }
    end(FAILED, "cannot run the lock server's command");
}

/* Descriptors 0 to 2 must be open, or a file that is opened later takes their place. */
static void check_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            exit(FAILED);
}

int main(int argc, char **argv)
{
    struct request request = {.count = 0};
    struct options options = {0};
    check_descriptors();
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";
    if (find_command(name)) {
        if ((size_t)argc > WORDS_MAX)
            end(REFUSED, "there are too many words");
        for (int i = 1; i < argc; i++)
            request.words[i] = argv[i];
        request.words[0] = (char *)(uintptr_t)name;
        request.count = (size_t)argc;
    } else {
        parse_options(argc, argv, &options);
        char *text = getenv("SSH_ORIGINAL_COMMAND");
        if (!text)
            end(REFUSED, "only the lock server's commands are run here");
        if (isatty(0) || isatty(1))
            end(REFUSED, "the lock server's commands need no terminal");
        split(text, &request);
    }
    check(&request, options.user);
    become(&request, options.root);
}
