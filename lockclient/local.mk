noinst_LIBRARIES += liblockclient.a
liblockclient_a_SOURCES = \
	lockclient/lockclient.c lockclient/lockclient.h \
	lockclient/message.c lockclient/message.h \
	lockclient/message_list.c \
	lockclient/transport.h lockclient/transport_local.c \
	lockclient/types.h
