# Sites, sources, and what isr does with them.
check_PROGRAMS += tests/unit/test_site
UNIT_TESTS += tests/unit/test_site
tests_unit_test_site_SOURCES = tests/unit/test_site.c
tests_unit_test_site_LDADD = libsync.a libparcel.a libkeyring.a libstore.a liblockclient.a \
	libcodec.a libbase.a $(JANSSON_LIBS) $(NBD_LIBS) $(SSH_LIBS) $(ZSTD_LIBS) $(ZLIB_LIBS) \
	$(CRYPTO_LIBS) \
	$(CMOCKA_LIBS)

SHELL_TESTS += \
	tests/accept-loss-can-be-killed-anywhere.sh \
	tests/ci-as-can-be-killed-anywhere.sh \
	tests/damage-at-home-under-a-partly-written-chunk.sh \
	tests/damage-in-the-log-costs-only-what-it-hits.sh \
	tests/discard-keeps-all-while-the-lock-server-is-away.sh \
	tests/discard-throws-away-and-gives-the-lock-back.sh \
	tests/long-log-of-an-earlier-mount-is-not-lost.sh \
	tests/lost-lock-work-becomes-a-parcel-of-its-own.sh \
	tests/recovery-is-said-in-one-line.sh \
	tests/import-checks-every-image-format.sh \
	tests/run-suspends-at-sigint-and-goes-on-later.sh \
	tests/status-after-a-crash-says-what-is-left.sh \
	tests/umount-8-waits-through-its-helper.sh

EXTRA_DIST += tests/damage-functions.sh tests/kill-functions.sh

# Recovery keys.
check_PROGRAMS += tests/unit/test_words
UNIT_TESTS += tests/unit/test_words
tests_unit_test_words_SOURCES = tests/unit/test_words.c
tests_unit_test_words_LDADD = libbase.a $(CRYPTO_LIBS) $(CMOCKA_LIBS)
