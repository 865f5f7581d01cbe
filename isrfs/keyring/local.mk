noinst_LIBRARIES += libkeyring.a
libkeyring_a_SOURCES = \
	isrfs/keyring/keyring.c isrfs/keyring/keyring.h \
	isrfs/keyring/node.c isrfs/keyring/node.h \
	isrfs/keyring/tree.c isrfs/keyring/tree.h \
	isrfs/keyring/walk.c isrfs/keyring/walk.h
