/* Containers made of namespaces and a cgroup, without a runtime. */
#define _GNU_SOURCE
#include "vestress.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void cgroup_path(char *path, size_t size, unsigned id, const char *file)
{
	snprintf(path, size, "%s/%u%s%s", PARENT, id, file ? "/" : "", file ? file : "");
}

/* What an earlier run left goes; the controllers are there for all. */
void cgroup_parent(void)
{
	const char *names[] = {"+memory", "+pids", "+cpu", "+cpuset"};

	if (mkdir(PARENT, 0755) && errno != EEXIST)
		fail("mkdir %s", PARENT);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		must_put(0, CGROUPS "/cgroup.subtree_control", names[i]);
		must_put(0, PARENT "/cgroup.subtree_control", names[i]);
	}
}

void make_cgroup(unsigned id)
{
	char path[128];

	cgroup_path(path, sizeof(path), id, NULL);
	if (mkdir(path, 0755))
		fail("mkdir %s", path);
}

void remove_cgroup(unsigned id)
{
	char path[128];

	cgroup_path(path, sizeof(path), id, NULL);
	if (rmdir(path))
		fail("rmdir %s", path);
}

static int number(unsigned id, const char *file, const char *key)
{
	char path[128], text[TEXT_MAX], *found;

	cgroup_path(path, sizeof(path), id, file);
	read_file(path, text);
	found = strstr(text, key);
	if (!found)
		fail("no %s in %s", key, path);
	return atoi(found + strlen(key));
}

static pid_t born_in(unsigned id, unsigned long flags)
{
	char path[128];
	struct clone_args args = {.flags = flags | CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
	pid_t pid;

	cgroup_path(path, sizeof(path), id, NULL);
	args.cgroup = must_open(path, O_RDONLY | O_DIRECTORY, 0);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid)
		close(args.cgroup);
	return pid;
}

/* Root inside is this user outside. */
static void map_users(pid_t pid)
{
	char path[64];
	const char *files[] = {"uid_map", "gid_map"};

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, files[i]);
		must_put(0, path, "0 100000 65536");
	}
}

pid_t start(unsigned id, int how, int (*function)(unsigned id), const char *who)
{
	unsigned long flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC;
	char path[128], go = 0;
	int gate[2];
	pid_t pid;

	if (how & OWN_USERS)
		flags |= CLONE_NEWUSER;
	if (pipe2(gate, O_CLOEXEC))
		fail("pipe");
	pid = how & BORN_INSIDE ? born_in(id, flags) : syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		fail("clone %s", who);
	if (!pid) {
		close(gate[1]);
		if (read(gate[0], &go, 1) != 1)
			_exit(0);
		close(gate[0]);
		if (how & OWN_USERS && (setgid(0) || setuid(0)))
			fail("become root inside");
		_exit(function(id));
	}
	close(gate[0]);
	cgroup_path(path, sizeof(path), id, "cgroup.procs");
	if (!(how & BORN_INSIDE) && put(path, "%d", (int)pid))
		fail("move %s into container %u", who, id);
	if (how & OWN_USERS)
		map_users(pid);
	if (write(gate[1], &go, 1) != 1)
		fail("start %s", who);
	close(gate[1]);
	return pid;
}

void end_container(unsigned id, pid_t init)
{
	char path[128];
	int status, fd;
	struct pollfd events;

	/* Either way all of them die. */
	cgroup_path(path, sizeof(path), id, "cgroup.kill");
	if (random_below(2))
		must_put(0, path, "1");
	else if (kill(init, SIGKILL))
		fail("kill container %u", id);
	while (waitpid(init, &status, 0) < 0)
		if (errno != EINTR)
			fail("wait for container %u", id);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail("init of container %u ended by itself, status %#x", id, status);
	/* Others may just have entered it: they end by themselves, or were killed. */
	cgroup_path(path, sizeof(path), id, "cgroup.events");
	fd = must_open(path, O_RDONLY, 0);
	events = (struct pollfd){.fd = fd, .events = POLLPRI};
	while (number(id, "cgroup.events", "populated ")) {
		char text[TEXT_MAX];

		/* poll() tells of changes since this was read. */
		if (lseek(fd, 0, SEEK_SET) || read_text(fd, text, 0))
			fail("read %s", path);
		if (!strstr(text, "populated 1"))
			break;
		if (poll(&events, 1, 60000) == 0)
			fail("container %u is still populated after a minute", id);
	}
	close(fd);
}
