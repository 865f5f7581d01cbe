# Stores behind a child process, and homes that hang.
REMOTE_TESTS = \
	tests/unit/test_home_watch \
	tests/unit/test_remote \
	tests/unit/test_remote_hang \
	tests/unit/test_remote_hostile \
	tests/unit/test_remote_mounts
check_PROGRAMS += $(REMOTE_TESTS)
UNIT_TESTS += $(REMOTE_TESTS)

# A child that lies.
check_PROGRAMS += tests/unit/hostile_store_child
tests_unit_hostile_store_child_SOURCES = tests/unit/hostile_store_child.c
tests_unit_hostile_store_child_LDADD = libstore.a libcodec.a libbase.a $(CRYPTO_LIBS)

# The FUSE server that stops answering.
check_PROGRAMS += tests/unit/hanging_fs
tests_unit_hanging_fs_SOURCES = tests/unit/hanging_fs.c
tests_unit_hanging_fs_LDADD = $(FUSE_LIBS)

remote_test_bench = tests/unit/remote_bench.c tests/unit/remote_bench.h $(store_test_bench)

tests_unit_test_home_watch_SOURCES = tests/unit/test_home_watch.c
tests_unit_test_home_watch_LDADD = $(store_test_libs)
tests_unit_test_remote_SOURCES = tests/unit/test_remote.c $(remote_test_bench)
tests_unit_test_remote_LDFLAGS = $(store_test_flags)
tests_unit_test_remote_LDADD = $(store_test_libs)
tests_unit_test_remote_hang_SOURCES = tests/unit/test_remote_hang.c \
	tests/unit/remote_home.c tests/unit/remote_home.h $(remote_test_bench)
tests_unit_test_remote_hang_LDFLAGS = $(store_test_flags)
tests_unit_test_remote_hang_LDADD = $(store_test_libs)
tests_unit_test_remote_hostile_SOURCES = tests/unit/test_remote_hostile.c $(remote_test_bench)
tests_unit_test_remote_hostile_LDFLAGS = $(store_test_flags)
tests_unit_test_remote_hostile_LDADD = $(store_test_libs)
tests_unit_test_remote_mounts_SOURCES = tests/unit/test_remote_mounts.c $(remote_test_bench)
tests_unit_test_remote_mounts_LDFLAGS = $(store_test_flags)
tests_unit_test_remote_mounts_LDADD = $(store_test_libs)

# What the child costs; `make tests/bench/store_gets`.
EXTRA_PROGRAMS += tests/bench/store_gets
CLEANFILES += tests/bench/store_gets
tests_bench_store_gets_SOURCES = tests/bench/store_gets.c
tests_bench_store_gets_LDADD = libstore.a libcodec.a libbase.a $(ZSTD_LIBS) $(ZLIB_LIBS) \
	$(CRYPTO_LIBS)

SHELL_TESTS += tests/home-that-hangs-holds-nobody.sh
