/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hook's output is the user's to see, so it has our standard output and error; it has no standard
 * input. What isr.conf says goes before what is in the environment: a site's settings are in one
 * place. */
#include "isrfs/cmd/vmm.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "isrfs/base/log.h"
#include "isrfs/base/process.h"

struct vmm {
    const struct cmd *c;
    char *program;
    char *dir;
};

static bool name_valid(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return length > 0 && length <= 32 && name[length] == '\0' && name[0] != '-';
}

static int export_settings(const struct site *site)
{
    static const char *const settings[][2] = {
        {"QEMU", "ISR_QEMU"},
        {"QEMU_ACCEL", "ISR_QEMU_ACCEL"},
        {"QEMU_ARGS", "ISR_QEMU_ARGS"},
        {"QEMU_NET", "ISR_QEMU_NET"},
        {"QEMU_POWEROFF", "ISR_QEMU_POWEROFF"},
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const char *value = site_setting(site, settings[i][0], NULL);
        if (value && setenv(settings[i][1], value, 1) < 0)
            return -errno;
    }
    return 0;
}

struct vmm *vmm_open(const struct cmd *c, const char *name, const char *dir)
{
    char clean[64], helper[64];
    if (!name)
        name = site_setting(c->site, "VMM", "qemu");
    log_clean(clean, sizeof clean, name);
    if (!name_valid(name)) {
        cmd_say(c, "'%s' is not the name of a virtual machine monitor", clean);
        return NULL;
    }
    CLEANUP_VMM struct vmm *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->c = c;
    v->dir = strdup(dir);
    snprintf(helper, sizeof helper, "vmm-hooks/%s", name);
    v->program = process_helper(helper);
    if (!v->dir || !v->program || export_settings(c->site) < 0) {
        cmd_say(c, "out of memory");
        return NULL;
    }
    if (access(v->program, X_OK) < 0) {
        cmd_say(c, "there is no hook for the virtual machine monitor %s", clean);
        return NULL;
    }
    return steal_ptr(v);
}

void vmm_close(struct vmm *v)
{
    if (!v)
        return;
    free(v->program);
    free(v->dir);
    free(v);
}

_Noreturn static void become(const struct vmm *v, const char *verb)
{
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0 && dup2(null, STDIN_FILENO) >= 0)
        execl(v->program, v->program, verb, v->dir, (char *)NULL);
    _exit(127);
}

pid_t vmm_start(struct vmm *v, const char *verb)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        become(v, verb);
    if (child < 0)
        cmd_say(v->c, "cannot start the hook: %s", strerror(errno));
    return child < 0 ? -errno : child;
}

int vmm_wait(pid_t child)
{
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return 127;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int vmm_run(struct vmm *v, const char *verb)
{
    pid_t child = vmm_start(v, verb);
    return child < 0 ? 127 : vmm_wait(child);
}
