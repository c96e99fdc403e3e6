/* What the host does meanwhile: reads, holds files of containers that vanish, sets limits, enters; and what even it may not. */
#define _GNU_SOURCE
#include "vestress.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELD 8

static int wait_in_pause(unsigned id)
{
	(void)id;
	while (!run->failed)
		pause();
	return 1;
}

static int hold_veinfo(unsigned id)
{
	/* By this number the other side finds it. */
	if (dup2(must_open("/proc/vz/veinfo", O_RDONLY, 0), 50) != 50)
		fail("dup2");
	close(51);
	return wait_in_pause(id);
}

/* A file that was opened in a container shows the container to everybody. */
static void passed_file(unsigned id)
{
	static char text[TEXT_MAX];
	int ready[2], pidfd, fd;
	pid_t pid;
	char end;

	if (pipe(ready) || dup2(ready[1], 51) != 51)
		fail("pipe");
	close(ready[1]);
	pid = start(id, BORN_INSIDE, hold_veinfo, "the holder");
	close(51);
	if (read(ready[0], &end, 1))
		fail("the holder speaks");
	close(ready[0]);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	fd = syscall(SYS_pidfd_getfd, pidfd, 50, 0);
	if (pidfd < 0 || fd < 0)
		fail("take a file of the container");
	if (read_text(fd, text, 0) || count_lines(text) != 1 || strtoul(text, NULL, 10) != id)
		fail("a file that was opened in the container says: %.200s", text);
	end_container(id, pid);
	/* It stays usable when the container is gone. */
	remove_cgroup(id);
	if (lseek(fd, 0, SEEK_SET) || read_text(fd, text, 0))
		fail("read a file whose container is gone");
	close(fd);
	close(pidfd);
}

/* Once, before anything else: what the host may not, with the reasons that the documentation gives. */
void forbidden(void)
{
	const unsigned id = FIRST_ID - 10, other = FIRST_ID - 9;
	const char *wrong[] = {"0", "-1", "x", "1x", "0x10", "", "2147483645", "4294967296", "99999999999999999999"};
	char path[128], sibling[128], name[32], text[TEXT_MAX];
	int fd;
	pid_t pid;

	make_cgroup(id);
	make_cgroup(other);
	cgroup_path(path, sizeof(path), id, "ve.id");
	cgroup_path(sibling, sizeof(sibling), other, "ve.id");
	read_file(path, text);
	if (strcmp(text, "0\n"))
		fail("a new cgroup's ve.id is %s", text);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		must_put(EINVAL, path, *wrong[i] ? wrong[i] : "\n");
	/* A user without privileges may not, even through a file that root has opened to him. */
	fd = must_open(path, O_WRONLY, 0);
	pid = fork();
	if (!pid) {
		if (setgid(65534) || setuid(65534))
			fail("setuid");
		if (write(fd, "7", 1) >= 0 || errno != EPERM)
			fail("a user makes a container");
		_exit(0);
	}
	reap(pid, "the user");
	close(fd);
	/* A cgroup with processes or children can't become one. */
	pid = fork();
	if (!pid)
		wait_in_pause(0);
	cgroup_path(path, sizeof(path), id, "cgroup.procs");
	if (put(path, "%d", (int)pid))
		fail("move a process to %s", path);
	cgroup_path(path, sizeof(path), id, "ve.id");
	must_put(EBUSY, path, "5");
	if (put(CGROUPS "/cgroup.procs", "%d", (int)pid))
		fail("a cgroup that is no container does not let a process go");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	must_put(EBUSY, PARENT "/ve.id", "5");
	/* Given once; to one. */
	snprintf(name, sizeof(name), "%u", id);
	must_put(0, path, name);
	must_put(EBUSY, path, name);
	must_put(EBUSY, path, "5");
	must_put(EEXIST, sibling, name);
	snprintf(name, sizeof(name), "%u", other);
	must_put(0, sibling, name);
	read_file(path, text);
	if (strtoul(text, NULL, 10) != id)
		fail("ve.id is %s", text);
	/* Nobody gets out, not even by the host, nor across. */
	pid = start(id, 0, wait_in_pause, "a process");
	snprintf(name, sizeof(name), "%d", (int)pid);
	must_put(EPERM, CGROUPS "/cgroup.procs", name);
	cgroup_path(sibling, sizeof(sibling), other, "cgroup.procs");
	must_put(EPERM, sibling, name);
	end_container(id, pid);
	passed_file(id);
	remove_cgroup(other);
	snprintf(name, sizeof(name), "/proc/bc/%u", other);
	if (!access(name, F_OK) || errno != ENOENT)
		fail("%s outlives its container", name);
}

static void check_host(const char *path, const char *text)
{
	if (!strcmp(path, "/proc/vz/veinfo") && strtoul(text, NULL, 10) != 0)
		fail("%s does not begin with the host: %.100s", path, text);
	if (!strcmp(path, "/proc/user_beancounters") && (count_lines(text) - 2) % 24)
		fail("%s has %d lines", path, count_lines(text));
	if (!*text || text[strlen(text) - 1] != '\n')
		fail("%s: %.100s", path, text);
}

/* A container's file at random; -1 if it vanished. */
static int open_resources(unsigned *id)
{
	DIR *folder = opendir("/proc/bc");
	struct dirent *entry;
	char path[300] = "";
	unsigned long seen = 0;
	int own, fd;

	if (!folder)
		fail("opendir /proc/bc");
	while ((entry = readdir(folder)))
		if (*entry->d_name != '.' && !random_below(++seen))
			snprintf(path, sizeof(path), "%s", entry->d_name);
	closedir(folder);
	if (!*path)
		fail("/proc/bc is empty");
	*id = strtoul(path, NULL, 10);
	snprintf(path, sizeof(path), "/proc/bc/%u", *id);
	own = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (own < 0) {
		if (errno != ENOENT)
			fail("open %s", path);
		return -1;
	}
	/* The directory is there for as long as it is open; what is in it is not. */
	if (!random_below(3))
		usleep(random_below(20000));
	fd = openat(own, "resources", O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		fail("open resources of %s", path);
	close(own);
	return fd;
}

/* What is held stays readable, when its container is gone and longer. */
static void read_held(int fd, unsigned id)
{
	static char text[TEXT_MAX];
	char some[200], path[40];
	int error;

	if (random_below(2) && pread(fd, some, 1 + random_below(199), random_below(4000)) < 0)
		fail("pread of a held file");
	error = lseek(fd, 0, SEEK_SET) ? errno : read_text(fd, text, random_below(2) ? 0 : 1 + random_below(100));
	if (error || count_lines(text) < 20 || !strstr(text, "  kmemsize "))
		fail("a held file: errno %d: %.100s", error, text);
	snprintf(path, sizeof(path), "/proc/bc/%u", id);
	if (access(path, F_OK))
		atomic_fetch_add(&run->vanished, 1);
}

void outside_reader(void)
{
	static const char *const files[] = {"/proc/vz/veinfo", "/proc/vz/vestat", "/proc/user_beancounters"};
	static char text[TEXT_MAX];
	unsigned ids[HELD];
	int held[HELD], error;

	memset(held, -1, sizeof(held));
	while (!run->stop) {
		int slot = random_below(HELD);
		const char *path = files[random_below(3)];
		int fd = must_open(path, O_RDONLY, 0);
		size_t piece = random_below(3) ? 0 : 1 + random_below(200);

		error = read_text(fd, text, piece);
		if (error)
			fail("read %s: errno %d", path, error);
		/* In pieces it may have changed between two of them. */
		if (!piece)
			check_host(path, text);
		close(fd);
		if (held[slot] < 0) {
			held[slot] = open_resources(&ids[slot]);
		} else {
			read_held(held[slot], ids[slot]);
			if (!random_below(8)) {
				close(held[slot]);
				held[slot] = -1;
			}
		}
	}
}

static unsigned some_container(void)
{
	return run->live[random_below(WORKERS_MAX)];
}

/* A container may be gone, or not have begun. */
static void put_there(unsigned id, const char *file, const char *text)
{
	char path[128];
	int error;

	cgroup_path(path, sizeof(path), id, file);
	error = put(path, "%s", text);
	if (error && error != ENOENT && error != ENODEV)
		fail("write \"%s\" to %s: errno %d", text, path, error);
}

/* No limit is so small that a process is killed or refused. */
void outside_writer(void)
{
	while (!run->stop) {
		unsigned id = some_container();
		char text[64];

		if (!id) {
			usleep(1000);
			continue;
		}
		snprintf(text, sizeof(text), "%lu", (48 + random_below(200)) << 20);
		put_there(id, "memory.max", random_below(4) ? text : "max");
		put_there(id, "memory.swap.max", random_below(2) ? "max" : text);
		snprintf(text, sizeof(text), "%lu", 64 + random_below(200));
		put_there(id, "pids.max", random_below(4) ? text : "max");
		snprintf(text, sizeof(text), "%lu 100000", 50000 + random_below(200000));
		put_there(id, "cpu.max", random_below(4) ? text : "max 100000");
		put_there(id, "cpuset.cpus", random_below(2) ? "0" : "\n");
		atomic_fetch_add(&run->limits, 1);
		usleep(random_below(2000));
	}
}

/* Processes of the host go into containers, look around, and don't get out again. */
void outside_enterer(void)
{
	while (!run->stop) {
		unsigned id = some_container();
		pid_t pid;
		int status;

		if (!id) {
			usleep(1000);
			continue;
		}
		pid = fork();
		if (pid < 0)
			fail("fork");
		if (!pid) {
			char path[128];
			int error;

			cgroup_path(path, sizeof(path), id, "cgroup.procs");
			error = put(path, "0");
			if (error == ENOENT || error == ENODEV)
				_exit(0);
			if (error)
				fail("enter container %u: errno %d", id, error);
			check_inside(id, 1);
			must_put(EPERM, CGROUPS "/cgroup.procs", "0");
			_exit(0);
		}
		while (waitpid(pid, &status, 0) < 0)
			if (errno != EINTR)
				fail("wait");
		/* Killed with the container, or through. */
		if (status && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
			fail("who entered container %u ended with status %#x", id, status);
		atomic_fetch_add(&run->entered, 1);
	}
}
