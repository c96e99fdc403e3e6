#include "vestress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared *run;
static unsigned long state = 1;

void fail(const char *format, ...)
{
	char text[600];
	int error = errno, length = snprintf(text, sizeof(text), "vestress: FAILED in %d: ", (int)getpid());
	va_list list;

	va_start(list, format);
	length += vsnprintf(text + length, sizeof(text) - length - 60, format, list);
	va_end(list);
	if (length > 540)
		length = 540;
	length += snprintf(text + length, sizeof(text) - length, " (last errno %d, %s)\n", error, strerror(error));
	/* One write, as others may speak, too. */
	if (write(2, text, length) < 0)
		_exit(3);
	run->failed = 1;
	run->stop = 1;
	_exit(1);
}

void seed_random(unsigned long seed)
{
	state = seed * 0x9e3779b97f4a7c15 + 0x1234567;
}

unsigned long random_below(unsigned long limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % limit;
}

int must_open(const char *path, int flags, int expected)
{
	int fd = open(path, flags | O_CLOEXEC), error = fd < 0 ? errno : 0;

	if (error != expected)
		fail("open %s: errno %d, expected %d", path, error, expected);
	return fd;
}

int put(const char *path, const char *format, ...)
{
	char text[64];
	va_list list;
	int fd, length, error = 0;

	va_start(list, format);
	length = vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (write(fd, text, length) != length)
		error = errno;
	close(fd);
	return error;
}

void must_put(int expected, const char *path, const char *text)
{
	int error = put(path, "%s", text);

	if (error != expected)
		fail("write \"%s\" to %s: errno %d, expected %d", text, path, error, expected);
}

int read_text(int fd, char *text, size_t piece)
{
	size_t length = 0;

	for (;;) {
		size_t room = TEXT_MAX - 1 - length;
		ssize_t got = read(fd, text + length, piece && piece < room ? piece : room);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno;
		if (!got)
			break;
		length += got;
		if (length >= TEXT_MAX - 1)
			fail("a file does not end");
	}
	text[length] = 0;
	if (strlen(text) != length)
		fail("a text with a zero byte: %.60s", text);
	atomic_fetch_add(&run->reads, 1);
	return 0;
}

void read_file(const char *path, char *text)
{
	int fd = must_open(path, O_RDONLY, 0), error = read_text(fd, text, 0);

	if (error)
		fail("read %s: errno %d", path, error);
	close(fd);
}

int count_lines(const char *text)
{
	int lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

void reap(pid_t pid, const char *who)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fail("wait for %s", who);
	if (status)
		fail("%s ended with status %#x", who, status);
}
