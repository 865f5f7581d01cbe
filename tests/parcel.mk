# The site log and open parcels.
check_PROGRAMS += tests/unit/test_site_log tests/unit/test_parcel
UNIT_TESTS += tests/unit/test_site_log tests/unit/test_parcel

parcel_test_libs = libparcel.a libkeyring.a libstore.a libcodec.a libbase.a $(JANSSON_LIBS) \
	$(ZSTD_LIBS) $(ZLIB_LIBS) $(CRYPTO_LIBS) $(CMOCKA_LIBS)
tests_unit_test_site_log_SOURCES = tests/unit/test_site_log.c
tests_unit_test_site_log_LDADD = $(parcel_test_libs)
tests_unit_test_parcel_SOURCES = tests/unit/test_parcel.c
tests_unit_test_parcel_LDADD = $(parcel_test_libs)
