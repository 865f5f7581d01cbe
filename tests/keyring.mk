# Keyrings and catalogs.
KEYRING_TESTS = \
	tests/unit/test_keyring \
	tests/unit/test_keyring_threads \
	tests/unit/test_walk \
	tests/unit/test_hostile_nodes \
	tests/unit/test_hostile_catalogs \
	tests/unit/test_catalog
check_PROGRAMS += $(KEYRING_TESTS)
UNIT_TESTS += $(KEYRING_TESTS)

keyring_test_store = tests/unit/memory_store.c tests/unit/memory_store.h
keyring_test_bench = $(keyring_test_store) tests/unit/keyring_bench.c tests/unit/keyring_bench.h
keyring_test_libs = libparcel.a libkeyring.a libstore.a libcodec.a libbase.a \
	$(JANSSON_LIBS) $(ZSTD_LIBS) $(ZLIB_LIBS) $(CRYPTO_LIBS) $(CMOCKA_LIBS)

tests_unit_test_keyring_SOURCES = tests/unit/test_keyring.c $(keyring_test_bench)
tests_unit_test_keyring_LDADD = $(keyring_test_libs)
tests_unit_test_keyring_threads_SOURCES = tests/unit/test_keyring_threads.c $(keyring_test_bench)
tests_unit_test_keyring_threads_LDADD = $(keyring_test_libs)
tests_unit_test_walk_SOURCES = tests/unit/test_walk.c $(keyring_test_bench)
tests_unit_test_walk_LDADD = $(keyring_test_libs)
tests_unit_test_hostile_nodes_SOURCES = tests/unit/test_hostile_nodes.c $(keyring_test_store)
tests_unit_test_hostile_nodes_LDADD = $(keyring_test_libs)
tests_unit_test_hostile_catalogs_SOURCES = tests/unit/test_hostile_catalogs.c
tests_unit_test_hostile_catalogs_LDADD = $(keyring_test_libs)
tests_unit_test_catalog_SOURCES = tests/unit/test_catalog.c
tests_unit_test_catalog_LDADD = $(keyring_test_libs)
