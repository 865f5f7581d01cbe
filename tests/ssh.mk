# The lock server over ssh: a real sshd on a loopback port.
check_PROGRAMS += tests/unit/test_location
UNIT_TESTS += tests/unit/test_location
tests_unit_test_location_SOURCES = tests/unit/test_location.c
tests_unit_test_location_LDADD = liblockclient.a libbase.a $(CMOCKA_LIBS) $(SSH_LIBS) \
	$(CRYPTO_LIBS)

SHELL_TESTS += \
	tests/ssh-admin-keeps-users-keys-and-locks.sh \
	tests/ssh-changed-host-key-is-refused-by-line.sh \
	tests/ssh-connection-that-broke-is-made-anew.sh \
	tests/ssh-cut-while-objects-go-home-loses-nothing.sh \
	tests/ssh-hostile-replies-are-refused.sh \
	tests/ssh-hundred-users-share-a-server.sh \
	tests/ssh-killed-or-hanging-anywhere-is-made-up-for.sh \
	tests/ssh-many-checkouts-at-once-one-wins.sh \
	tests/ssh-parcel-goes-from-site-to-site.sh \
	tests/ssh-passphrase-is-announced-at-check-out.sh \
	tests/ssh-runs-nothing-but-the-commands.sh \
	tests/ssh-server-that-hangs-is-given-up.sh \
	tests/ssh-server-with-a-full-disk-keeps-its-state.sh \
	tests/ssh-settings-and-agent-are-honoured.sh \
	tests/ssh-unknown-host-is-asked-about-or-refused.sh

EXTRA_DIST += tests/ssh-functions.sh
