SHELL_TESTS += \
	tests/a-bad-client-does-not-disturb-the-daemon.sh \
	tests/a-killed-daemon-loses-at-most-five-seconds.sh \
	tests/holes-are-right-while-a-file-is-written.sh \
	tests/plain-user-mounts-without-root.sh \
	tests/sigterm-takes-over-what-open-files-hold.sh \
	tests/who-has-closed-a-file-can-unmount.sh
