# Objects and stores.
STORE_TESTS = \
	tests/unit/test_codec \
	tests/unit/test_hostile_objects \
	tests/unit/test_io \
	tests/unit/test_store \
	tests/unit/test_store_barrier \
	tests/unit/test_store_records
check_PROGRAMS += $(STORE_TESTS)
UNIT_TESTS += $(STORE_TESTS)

codec_test_bench = tests/unit/codec_bench.c tests/unit/codec_bench.h
store_test_bench = tests/unit/store_bench.c tests/unit/store_bench.h
store_test_libs = libstore.a libcodec.a libbase.a $(ZSTD_LIBS) $(ZLIB_LIBS) $(CRYPTO_LIBS) \
	$(CMOCKA_LIBS)
# The disk is made to fail where the store asks it to write.
store_test_flags = $(AM_LDFLAGS) -Wl,--wrap=io_write -Wl,--wrap=io_fsync \
	-Wl,--wrap=io_fsync_dir -Wl,--wrap=io_syncfs

tests_unit_test_codec_SOURCES = tests/unit/test_codec.c $(codec_test_bench)
tests_unit_test_codec_LDADD = $(store_test_libs)
tests_unit_test_hostile_objects_SOURCES = tests/unit/test_hostile_objects.c $(codec_test_bench)
tests_unit_test_hostile_objects_LDADD = $(store_test_libs)
# The system does only half of what it is asked for.
tests_unit_test_io_SOURCES = tests/unit/test_io.c
tests_unit_test_io_LDADD = libbase.a $(CMOCKA_LIBS)
tests_unit_test_io_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=write -Wl,--wrap=pwrite64 \
	-Wl,--wrap=pread64
tests_unit_test_store_SOURCES = tests/unit/test_store.c $(store_test_bench)
tests_unit_test_store_LDFLAGS = $(store_test_flags)
tests_unit_test_store_LDADD = $(store_test_libs)
tests_unit_test_store_barrier_SOURCES = tests/unit/test_store_barrier.c $(store_test_bench)
tests_unit_test_store_barrier_LDFLAGS = $(store_test_flags)
tests_unit_test_store_barrier_LDADD = $(store_test_libs)
tests_unit_test_store_records_SOURCES = tests/unit/test_store_records.c $(store_test_bench)
tests_unit_test_store_records_LDFLAGS = $(store_test_flags)
tests_unit_test_store_records_LDADD = $(store_test_libs)
