# The lock server's commands and the lock client.
check_PROGRAMS += tests/unit/test_message tests/unit/test_lockclient
UNIT_TESTS += tests/unit/test_message tests/unit/test_lockclient

tests_unit_test_message_SOURCES = tests/unit/test_message.c tests/unit/lock_samples.h
tests_unit_test_message_LDADD = liblockclient.a libbase.a $(CMOCKA_LIBS) $(SSH_LIBS) \
	$(CRYPTO_LIBS)
tests_unit_test_lockclient_SOURCES = tests/unit/test_lockclient.c tests/unit/lock_samples.h
tests_unit_test_lockclient_LDADD = liblockclient.a libbase.a $(CMOCKA_LIBS) $(SSH_LIBS) \
	$(CRYPTO_LIBS)

# isr-keep, killed with its command before a step that the test chooses.
check_PROGRAMS += tests/isr_keep_killed
tests_isr_keep_killed_SOURCES = tests/isr_keep_killed.c lockclient/isr_keep.c lockclient/state_file.c \
	lockclient/state_file.h
tests_isr_keep_killed_LDADD = $(lockclient_isr_keep_LDADD)
tests_isr_keep_killed_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=openat64 -Wl,--wrap=write \
	-Wl,--wrap=fsync -Wl,--wrap=renameat -Wl,--wrap=unlinkat

SHELL_TESTS += \
	tests/lock-audit-goes-on-over-its-rotation.sh \
	tests/lock-audit-shows-a-changed-line.sh \
	tests/lock-broken-nonce-never-publishes.sh \
	tests/lock-server-refuses-bad-words.sh \
	tests/lock-server-repeats-answer-the-same.sh \
	tests/lock-server-survives-a-kill-anywhere.sh \
	tests/lock-server-with-a-full-disk-loses-nothing.sh \
	tests/lock-events-are-bounded-and-nameless.sh \
	tests/lock-list-says-who-holds-what.sh \
	tests/lock-protocol-model-has-no-error.sh \
	tests/lock-rekey-and-recover-are-done-once.sh \
	tests/lock-session-key-is-the-agreed-one.sh \
	tests/lock-two-checkouts-one-wins.sh

EXTRA_DIST += tests/lock-functions.sh tests/lock-scenarios.sh tests/model/lock.pml

# Numbers of the lock server over ssh; see tests/bench/lock.
EXTRA_DIST += tests/bench/lock
EXTRA_PROGRAMS += tests/bench/lock_rounds
tests_bench_lock_rounds_SOURCES = tests/bench/lock_rounds.c
tests_bench_lock_rounds_LDADD = liblockclient.a libbase.a $(SSH_LIBS) $(CRYPTO_LIBS)
CLEANFILES += tests/bench/lock_rounds
bench-lock: all tests/bench/lock_rounds
	$(AM_TESTS_ENVIRONMENT) /bin/sh '$(srcdir)/tests/bench/lock'
.PHONY: bench-lock
