# The lock server's commands and the lock client.
check_PROGRAMS += tests/unit/test_message tests/unit/test_lockclient
UNIT_TESTS += tests/unit/test_message tests/unit/test_lockclient

tests_unit_test_message_SOURCES = tests/unit/test_message.c
tests_unit_test_message_LDADD = liblockclient.a libbase.a $(CMOCKA_LIBS) $(SSH_LIBS) \
	$(CRYPTO_LIBS)
tests_unit_test_lockclient_SOURCES = tests/unit/test_lockclient.c
tests_unit_test_lockclient_LDADD = liblockclient.a libbase.a $(CMOCKA_LIBS) $(SSH_LIBS) \
	$(CRYPTO_LIBS)

SHELL_TESTS += \
	tests/lock-audit-shows-a-changed-line.sh \
	tests/lock-broken-nonce-never-publishes.sh \
	tests/lock-server-refuses-bad-words.sh \
	tests/lock-server-repeats-answer-the-same.sh \
	tests/lock-server-survives-a-kill-anywhere.sh \
	tests/lock-rekey-and-recover-are-done-once.sh \
	tests/lock-session-key-is-the-agreed-one.sh \
	tests/lock-two-checkouts-one-wins.sh

EXTRA_DIST += tests/lock-functions.sh
