/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every path is made absolute here: QEMU is started elsewhere, and a name that is looked up in the
 * parcel's own folder could make the parcel a program. */
#include "vmm-hooks/qemu_site.h"

#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "isrfs/base/hex.h"
#include "isrfs/base/log.h"
#include "vmm-hooks/qemu_kvm.h"

#define QEMU_PROGRAM     "qemu-system-x86_64"
#define POWEROFF_SECONDS 60
#define SOCKET_NAME_ROOM 16 /* for "/serial.sock" */

/* The variable's value, or NULL if it is not set or empty. */
static const char *setting(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* 0 with *RET the absolute path or NULL, or -ENOMEM. Relative folders in PATH are passed over. */
static int find_program(const char *name, char **ret)
{
    if (strchr(name, '/')) {
        CLEANUP_FREE char *path = realpath(name, NULL);
        if (!path && errno == ENOMEM)
            return -ENOMEM;
        if (path && is_program(path))
            *ret = steal_ptr(path);
        return 0;
    }
    const char *folders = setting("PATH");
    for (const char *at = folders; at && *at && !*ret;) {
        size_t length = strcspn(at, ":");
        CLEANUP_FREE char *path = NULL;
        if (asprintf(&path, "%.*s/%s", (int)length, at, name) < 0)
            return -ENOMEM;
        if (*at == '/' && is_program(path))
            *ret = steal_ptr(path);
        at += length + (at[length] == ':');
    }
    return 0;
}

static int split_args(const char *text, struct qemu_site *site)
{
    site->args_text = strdup(text);
    site->args = calloc(strlen(text) / 2 + 2, sizeof *site->args);
    if (!site->args_text || !site->args)
        return -ENOMEM;
    char *rest = NULL;
    size_t count = 0;
    for (char *word = strtok_r(site->args_text, " \t\n", &rest); word;
         word = strtok_r(NULL, " \t\n", &rest))
        site->args[count++] = word;
    return 0;
}

/* The place for what must lie outside DIR: one folder for each DIR, told apart by a hash. */
static int default_rundir(const char *folder, char **ret)
{
    unsigned char digest[32];
    char name[17];
    if (EVP_Digest(folder, strlen(folder), digest, NULL, EVP_sha256(), NULL) != 1)
        return -EIO;
    hex_encode(name, digest, 8);
    const char *base = setting("XDG_RUNTIME_DIR");
    int n = base && *base == '/' ? asprintf(ret, "%s/isr-%s", base, name)
                                 : asprintf(ret, "/tmp/isr-%u-%s", (unsigned)geteuid(), name);
    return n < 0 ? -ENOMEM : 0;
}

static int choose_rundir(struct qemu_site *site)
{
    const char *asked = setting("ISR_VMM_RUNDIR");
    if (asked)
        site->rundir = strdup(asked);
    int r = asked ? 0 : default_rundir(site->folder, &site->rundir);
    if (r < 0 || !site->rundir)
        return r < 0 ? r : -ENOMEM;
    size_t length = strlen(site->folder);
    if (*site->rundir != '/') {
        log_error("ISR_VMM_RUNDIR must be an absolute path");
        return -EINVAL;
    }
    if (strncmp(site->rundir, site->folder, length) == 0 &&
        (site->rundir[length] == '/' || site->rundir[length] == '\0')) {
        log_error("ISR_VMM_RUNDIR must lie outside the guest's folder");
        return -EINVAL;
    }
    if (strlen(site->rundir) + SOCKET_NAME_ROOM > sizeof((struct sockaddr_un *)NULL)->sun_path) {
        log_error("ISR_VMM_RUNDIR is too long for a socket; set it to a shorter path");
        return -ENAMETOOLONG;
    }
    return 0;
}

static int choose_accel(struct qemu_site *site)
{
    site->accel = setting("ISR_QEMU_ACCEL");
    if (!site->accel || site->accel[strspn(site->accel, "abcdefghijklmnopqrstuvwxyz")] == '\0')
        return 0;
    log_error("ISR_QEMU_ACCEL must be one word such as kvm or tcg");
    return -EINVAL;
}

static int choose_net(struct qemu_site *site)
{
    const char *net = setting("ISR_QEMU_NET");
    site->net_restricted = net && strcmp(net, "restricted") == 0;
    if (!net || site->net_restricted || strcmp(net, "user") == 0)
        return 0;
    log_error("ISR_QEMU_NET must be user or restricted");
    return -EINVAL;
}

static int choose_poweroff(struct qemu_site *site)
{
    const char *text = setting("ISR_QEMU_POWEROFF");
    site->poweroff_seconds = POWEROFF_SECONDS;
    if (!text)
        return 0;
    if (strlen(text) > 5 || text[strspn(text, "0123456789")] != '\0') {
        log_error("ISR_QEMU_POWEROFF must be a number of seconds");
        return -EINVAL;
    }
    site->poweroff_seconds = (unsigned)strtoul(text, NULL, 10);
    return 0;
}

int qemu_site_read(const char *dir, struct qemu_site **ret)
{
    CLEANUP_QEMU_SITE struct qemu_site *site = calloc(1, sizeof *site);
    if (!site)
        return -ENOMEM;
    site->folder = realpath(dir, NULL);
    if (!site->folder) {
        int r = -errno;
        char name[256];
        log_error("%s: %s", log_clean(name, sizeof name, dir), strerror(-r));
        return r;
    }
    const char *program = setting("ISR_QEMU");
    const char *args = setting("ISR_QEMU_ARGS");
    int r = find_program(program ? program : QEMU_PROGRAM, &site->program);
    r = r < 0 ? r : split_args(args ? args : "", site);
    if (r < 0) {
        log_error("out of memory");
        return r;
    }
    r = choose_rundir(site);
    r = r < 0 ? r : choose_accel(site);
    r = r < 0 ? r : choose_net(site);
    r = r < 0 ? r : choose_poweroff(site);
    if (r == 0)
        *ret = steal_ptr(site);
    return r;
}

void qemu_site_free(struct qemu_site *site)
{
    if (!site)
        return;
    free(site->folder);
    free(site->program);
    free(site->rundir);
    free(site->args);
    free(site->args_text);
    free(site);
}

/* QEMU takes both -name and --name. */
bool qemu_site_has(const struct qemu_site *site, const char *name)
{
    for (char **arg = site->args; *arg; arg++)
        if (strcmp(*arg, name) == 0 || (**arg == '-' && strcmp(*arg + 1, name) == 0))
            return true;
    return false;
}

const char *qemu_site_accel(const struct qemu_site *site)
{
    if (site->accel)
        return site->accel;
    return qemu_kvm_works() ? "kvm" : "tcg";
}
