# Tests of C modules are in the fragments; this file knows the shell tests and how all are run.
include tests/lock.mk
include tests/ssh.mk
include tests/store.mk
include tests/keyring.mk
include tests/parcel.mk
include tests/crash.mk
include tests/remote.mk
include tests/sync.mk
include tests/vmm.mk
include tests/fuse.mk
include tests/versions.mk
include tests/exercise.mk

# What users get, end to end.
SHELL_TESTS += \
	tests/a-terabyte-costs-what-is-in-it.sh \
	tests/backup-is-sealed-and-restoring-it-breaks-locks.sh \
	tests/check-in-goes-on-when-the-home-comes-back.sh \
	tests/check-in-waits-for-home-and-lock-server.sh \
	tests/checkpoint-keeps-the-lock.sh \
	tests/commands-end-when-the-home-hangs.sh \
	tests/damaged-chunk-is-eio-for-its-range-only.sh \
	tests/disk-image-comes-back-at-second-site.sh \
	tests/events-are-sent-only-if-asked-for.sh \
	tests/every-kind-of-write-reads-back.sh \
	tests/export-equals-import.sh \
	tests/files-and-folders-travel.sh \
	tests/full-disk-at-this-site-is-worked-around.sh \
	tests/killed-on-a-full-disk-goes-on-and-checks-in.sh \
	tests/fusermount-returns-and-daemon-checks-in.sh \
	tests/full-disk-refuses-no-write-to-memory.sh \
	tests/guest-suspends-here-resumes-there.sh \
	tests/history-names-each-version.sh \
	tests/home-that-cannot-be-written-is-said-at-check-out.sh \
	tests/home-that-is-away-is-offline.sh \
	tests/import-converts-qcow2.sh \
	tests/import-makes-a-home-only-where-nothing-is.sh \
	tests/import-notices-a-file-that-shrinks.sh \
	tests/import-refuses-a-damaged-qcow2.sh \
	tests/import-takes-an-empty-file.sh \
	tests/kill-9-keeps-what-fsync-promised.sh \
	tests/late-release-loses-no-work.sh \
	tests/long-log-is-brought-home-while-mounted.sh \
	tests/many-small-commits-add-up.sh \
	tests/memory-and-disk-are-never-of-two-moments.sh \
	tests/mount-by-mount-8-and-fstab.sh \
	tests/mount-needs-the-lock.sh \
	tests/mountpoint-must-be-an-empty-folder.sh \
	tests/nothing-lies-on-disk-in-the-clear.sh \
	tests/odd-paths-are-only-paths.sh \
	tests/old-versions-can-be-read.sh \
	tests/older-version-is-noticed.sh \
	tests/own-folders-below-the-mountpoint-are-refused.sh \
	tests/rekeyed-parcel-shares-no-key.sh \
	tests/run-checks-in-when-the-guest-switches-off.sh \
	tests/reads-wait-while-the-home-is-away.sh \
	tests/second-mount-at-this-site-is-refused.sh \
	tests/seeds-names-are-links.sh \
	tests/sigterm-loses-nothing-written.sh \
	tests/status-shows-what-is-here.sh \
	tests/store-and-words-alone-bring-a-parcel-back.sh \
	tests/store-full-of-garbage-is-refused.sh \
	tests/two-sites-at-once-one-wins.sh \
	tests/umount-fails-if-anything-is-left-undone.sh \
	tests/umount-noci-keeps-all-at-this-site.sh \
	tests/umount-waits-for-check-in.sh \
	tests/unknown-parcel-is-said.sh \
	tests/verify-finds-damage.sh \
	tests/waiting-for-the-home-has-an-end.sh \
	tests/who-waits-for-the-home-can-be-killed.sh \
	tests/wrong-arguments-are-usage-errors.sh \
	tests/writes-go-on-while-the-home-hangs.sh \
	tests/wrong-secret-opens-nothing.sh \
	tests/words-are-shown-and-typed-at-a-terminal.sh \
	tests/wrong-word-is-named.sh

# Checks of the source tree itself: quick, and run again by scripts/check's distcheck.
TREE_TESTS = \
	tests/check-layers.sh \
	tests/docs-lint.sh

SHELL_TESTS += $(TREE_TESTS)

# `make check RUN_SHELL_TESTS=...` runs fewer of them.
RUN_SHELL_TESTS = $(SHELL_TESTS)
TESTS = $(UNIT_TESTS) $(RUN_SHELL_TESTS)
TEST_EXTENSIONS = .sh
SH_LOG_COMPILER = /bin/sh
AM_TESTS_ENVIRONMENT = \
	abs_top_srcdir='$(abs_top_srcdir)'; export abs_top_srcdir; \
	abs_top_builddir='$(abs_top_builddir)'; export abs_top_builddir; \
	ISR_LIBEXEC='$(abs_top_builddir)/libexec'; export ISR_LIBEXEC; \
	CC='$(CC)'; export CC;

EXTRA_DIST += $(SHELL_TESTS) tests/functions.sh tests/home-functions.sh tests/README tests/random.h

include tests/sanitizers.mk

# The helper programs in the shape that they are installed in, so that the programs run from here.
noinst_DATA = libexec/ready
libexec/ready: $(srcdir)/tests/local.mk
	@$(MKDIR_P) libexec
	$(AM_V_at)rm -f libexec/lockserver libexec/vmm-hooks libexec/isrfs-store-child \
		libexec/isrfs-handover-child \
		libexec/isr-send-event libexec/isr-look libexec/isr-keep
	$(AM_V_at)$(LN_S) '$(abs_top_srcdir)/scripts/lockserver' libexec/lockserver
	$(AM_V_at)$(LN_S) '$(abs_top_builddir)/vmm-hooks' libexec/vmm-hooks
	$(AM_V_at)$(LN_S) '$(abs_top_builddir)/isrfs/store/isrfs-store-child' libexec/isrfs-store-child
	$(AM_V_at)$(LN_S) '$(abs_top_builddir)/isrfs/fuse/isrfs-handover-child' \
		libexec/isrfs-handover-child
	$(AM_V_at)$(LN_S) '$(abs_top_builddir)/isrfs/cmd/isr-send-event' libexec/isr-send-event
	$(AM_V_at)$(LN_S) '$(abs_top_builddir)/lockclient/isr-look' libexec/isr-look
	$(AM_V_at)$(LN_S) '$(abs_top_builddir)/lockclient/isr-keep' libexec/isr-keep
	$(AM_V_GEN)touch $@
CLEANFILES += libexec/isr-send-event libexec/isr-look libexec/isr-keep
CLEANFILES += libexec/ready libexec/lockserver libexec/vmm-hooks libexec/isrfs-store-child
CLEANFILES += libexec/isrfs-handover-child

clean-local:
	rm -rf tests/work libexec sanitized-tsan sanitized-asan

# Numbers against a plain file and a bare passthrough; see tests/bench/run.
EXTRA_DIST += tests/bench/run
EXTRA_PROGRAMS += tests/bench/passthrough
tests_bench_passthrough_SOURCES = tests/bench/passthrough.c
tests_bench_passthrough_LDADD = $(FUSE_LIBS)
CLEANFILES += bench.json tests/bench/passthrough
bench: all tests/bench/passthrough
	$(AM_TESTS_ENVIRONMENT) /bin/sh '$(srcdir)/tests/bench/run'
.PHONY: bench
