# Tests of vmm-hooks/ with a real guest. Each takes 2 to 15 seconds.
SHELL_TESTS += tests/qemu-hook-refuses-hostile-settings.sh
SHELL_TESTS += tests/qemu-hook-suspends-and-resumes.sh
SHELL_TESTS += tests/qemu-hook-keeps-memory-that-it-cannot-load.sh
SHELL_TESTS += tests/qemu-hook-refuses-a-second-resume.sh
SHELL_TESTS += tests/qemu-hook-never-resumes-from-used-memory.sh
SHELL_TESTS += tests/qemu-hook-switches-a-guest-off.sh
SHELL_TESTS += tests/qemu-hook-lets-the-guest-go-on-if-memory-cannot-be-saved.sh
EXTRA_DIST += tests/vmm-functions.sh
