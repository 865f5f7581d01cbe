/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Exercises one file with random operations, by seed, and compares all that it reads with a shadow
 * copy in memory (in the manner of Apple's fsx). A second mode checks what a file system keeps when
 * its process is killed; see crash.h. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>

#include "tests/exercise/crash.h"
#include "tests/exercise/target.h"

#define HISTORY 40u

struct options {
    struct crash_config crash; /* path, seed, max and ops are for both modes */
    const char *check;         /* the state file of a crash */
    const char *save;          /* the shadow goes here at the end */
    const char *meanwhile;     /* a shell command */
    uint64_t every;            /* ops between two of them */
};

struct run {
    const struct options *options;
    struct target *target;
    struct shadow *shadow;
    struct op history[HISTORY];
    uint64_t done;
    pid_t meanwhile; /* 0: none is running */
};

static op_weights weights = {
    [OP_READ] = 12,    [OP_WRITE] = 20,    [OP_DIRECT_READ] = 8, [OP_DIRECT_WRITE] = 10,
    [OP_MAP_READ] = 8, [OP_MAP_WRITE] = 8, [OP_TRUNCATE] = 4,    [OP_PUNCH] = 5,
    [OP_ZERO] = 3,     [OP_ZERO_GROW] = 3, [OP_COPY_RANGE] = 4,  [OP_COPY] = 4,
    [OP_SEEK] = 4,     [OP_FSYNC] = 1,     [OP_REOPEN] = 1,      [OP_DROP] = 1,
};

static void usage(void)
{
    fputs("usage: exercise [--seed N] [--ops N] [--max BYTES] [--save COPY]\n"
          "                [--meanwhile COMMAND --every N] FILE\n"
          "       exercise --kill PID --state STATE [--seed N] [--ops N] [--max BYTES] FILE\n"
          "       exercise --check STATE FILE\n",
          stderr);
}

/* Says what went wrong and how it came to that. */
static int report(const struct run *run, const char *what, uint64_t at, uint64_t found)
{
    fprintf(stderr, "exercise: %s\nexercise: seed %" PRIu64 ", the last operations:\n", what,
            run->options->crash.seed);
    uint64_t first = run->done > HISTORY ? run->done - HISTORY : 0;
    for (uint64_t i = first; i < run->done; i++)
        op_print(stderr, &run->history[i % HISTORY]);
    if (at == SHADOW_SAME)
        return 1;
    const struct shadow *s = run->shadow;
    fprintf(stderr,
            "exercise: first difference at 0x%" PRIx64 " (size 0x%" PRIx64 "): op %" PRIu64
            " wrote there last, read was %016" PRIx64 "\n",
            at, s->size, op_stamp(s->data, at), found);
    return 1;
}

/* Waits for the command; it must have gone well. */
static int end_meanwhile(struct run *run)
{
    if (run->meanwhile == 0)
        return 0;
    int status;
    while (waitpid(run->meanwhile, &status, 0) < 0)
        if (errno != EINTR)
            return report(run, "waitpid fails", SHADOW_SAME, 0);
    run->meanwhile = 0;
    return status == 0 ? 0 : report(run, run->options->meanwhile, SHADOW_SAME, 0);
}

/* It runs beside the ops; the next one begins when it has ended. */
static int begin_meanwhile(struct run *run)
{
    int r = end_meanwhile(run);
    if (r != 0)
        return r;
    run->meanwhile = fork();
    if (run->meanwhile == 0) {
        execl("/bin/sh", "sh", "-c", run->options->meanwhile, (char *)NULL);
        _exit(127);
    }
    return run->meanwhile < 0 ? report(run, "fork fails", SHADOW_SAME, 0) : 0;
}

static int step(struct run *run, uint64_t *random)
{
    struct op *op = &run->history[run->done % HISTORY];
    *op = op_next(random, weights, run->done + 1, run->shadow->size, run->shadow->max);
    run->done++;
    uint64_t at, found;
    int r = target_do(run->target, op, run->shadow, &at, &found);
    if (r < 0)
        return report(run, strerror(-r), SHADOW_SAME, 0);
    if (at != SHADOW_SAME)
        return report(run, "what was read is not what was written", at, found);
    shadow_do(run->shadow, op);
    const char *meanwhile = run->options->meanwhile;
    return meanwhile && run->done % run->options->every == 0 ? begin_meanwhile(run) : 0;
}

static int finish(struct run *run)
{
    int r = end_meanwhile(run);
    if (r != 0)
        return r;
    uint64_t at = SHADOW_SAME;
    r = shadow_compare(run->shadow, target_fd(run->target), &at);
    if (r < 0)
        return report(run, strerror(-r), SHADOW_SAME, 0);
    if (at != SHADOW_SAME)
        return report(run, "at the end the file is not what was written", at, 0);
    const char *save = run->options->save;
    r = save ? shadow_save(run->shadow, save) : 0;
    return r < 0 ? report(run, strerror(-r), SHADOW_SAME, 0) : 0;
}

static int exercise(const struct options *o)
{
    CLEANUP_TARGET struct target *target = NULL;
    CLEANUP_SHADOW struct shadow *shadow = shadow_new(o->crash.max);
    struct run run = {.options = o, .shadow = shadow};
    int r = shadow ? target_open(o->crash.path, &target) : -ENOMEM;
    r = r < 0 ? r : shadow_load(shadow, target_fd(target));
    if (r < 0) {
        fprintf(stderr, "exercise: %s: %s\n", o->crash.path, strerror(-r));
        return 1;
    }
    run.target = target;
    uint64_t random = op_random_seed(o->crash.seed);
    r = 0;
    for (uint64_t i = 0; r == 0 && i < o->crash.ops; i++)
        r = step(&run, &random);
    int ended = r == 0 ? finish(&run) : end_meanwhile(&run);
    return r ? r : ended;
}

static int number(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno || end == text || *end ? -EINVAL : 0;
}

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        {"seed", required_argument, NULL, 's'},      {"ops", required_argument, NULL, 'n'},
        {"max", required_argument, NULL, 'm'},       {"save", required_argument, NULL, 'o'},
        {"meanwhile", required_argument, NULL, 'w'}, {"every", required_argument, NULL, 'e'},
        {"kill", required_argument, NULL, 'k'},      {"state", required_argument, NULL, 't'},
        {"check", required_argument, NULL, 'c'},     {0},
    };
    int code, r = 0;
    uint64_t pid = 0;
    while (r == 0 && (code = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (code) {
        case 's':
            r = number(optarg, &o->crash.seed);
            break;
        case 'n':
            r = number(optarg, &o->crash.ops);
            break;
        case 'm':
            r = number(optarg, &o->crash.max);
            break;
        case 'e':
            r = number(optarg, &o->every);
            break;
        case 'k':
            r = number(optarg, &pid);
            break;
        case 'o':
            o->save = optarg;
            break;
        case 'w':
            o->meanwhile = optarg;
            break;
        case 't':
            o->crash.state = optarg;
            break;
        case 'c':
            o->check = optarg;
            break;
        default:
            r = -EINVAL;
        }
    }
    o->crash.pid = (pid_t)pid;
    o->crash.path = argv[optind];
    if (r < 0 || argc != optind + 1 || o->crash.max == 0 || o->every == 0 || o->crash.ops < 4 ||
        (o->crash.pid > 0) != (o->crash.state != NULL))
        return -EINVAL;
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = {.crash = {.ops = 100000, .max = 16 << 20}, .every = 10000};
    if (getrandom(&o.crash.seed, sizeof o.crash.seed, 0) < 0 || parse(argc, argv, &o) < 0) {
        usage();
        return 2;
    }
    if (o.check)
        return crash_check(o.check, o.crash.path) == 0 ? 0 : 1;
    printf("seed %" PRIu64 "\n", o.crash.seed);
    fflush(stdout);
    if (o.crash.pid > 0)
        return crash_run(&o.crash) == 0 ? 0 : 1;
    return exercise(&o);
}
