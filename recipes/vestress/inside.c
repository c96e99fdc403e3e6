/* What a container's processes do: read all that is theirs in all ways, and try what they may not. */
#define _GNU_SOURCE
#include "vestress.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static void check_counters(const char *text, unsigned id)
{
	const char *colon, *digits;

	if (strncmp(text, "Version: 2.5\n", 13) || count_lines(text) != 26)
		fail("container %u: beancounters: %.100s", id, text);
	/* After the version's, the only colon is the one behind the container's number. */
	colon = digits = strchr(text + 13, ':');
	while (digits && isdigit((unsigned char)digits[-1]))
		digits--;
	if (!colon || strchr(colon + 1, ':') || strtoul(digits, NULL, 10) != id)
		fail("container %u: beancounters: %.300s", id, text);
}

static void check_veinfo(const char *text, unsigned id)
{
	if (count_lines(text) != 1 || strtoul(text, NULL, 10) != id)
		fail("container %u: veinfo: %.200s", id, text);
}

static void check_vestat(const char *text, unsigned id)
{
	const char *line = strchr(text, '\n');

	line = line ? strchr(line + 1, '\n') : NULL;
	if (strncmp(text, "Version: 2.2", 12) || count_lines(text) != 3 || !line || strtoul(line + 1, NULL, 10) != id)
		fail("container %u: vestat: %.200s", id, text);
}

static void check_uptime(const char *text, unsigned id)
{
	double up, idle;

	/* A container of this program never gets an hour old. */
	if (sscanf(text, "%lf %lf\n", &up, &idle) != 2 || up < 0 || up > 3600 || idle < 0)
		fail("container %u: uptime: %s", id, text);
}

static void check_loadavg(const char *text, unsigned id)
{
	double one, five, fifteen;
	unsigned running, all;
	int last;

	if (sscanf(text, "%lf %lf %lf %u/%u %d\n", &one, &five, &fifteen, &running, &all, &last) != 6 || all < 1 ||
	    all > 1000)
		fail("container %u: loadavg: %s", id, text);
}

static void check_status(const char *text, unsigned id)
{
	const char *line = strstr(text, "\nenvID:\t");

	if (!line || strtoul(line + 8, NULL, 10) != id)
		fail("container %u: envID: %.200s", id, text);
}

static void check_meminfo(const char *text, unsigned id)
{
	unsigned long total, free;

	if (sscanf(text, "MemTotal: %lu kB\nMemFree: %lu kB\n", &total, &free) != 2 || !total || free > total)
		fail("container %u: meminfo: %.100s", id, text);
}

static const struct file {
	const char *path, *begins;
	void (*check)(const char *text, unsigned id);
} files[] = {
	{"/proc/vz/version", "", NULL},
	{"/proc/vz/veinfo", "", check_veinfo},
	{"/proc/vz/vestat", "Version: 2.2", check_vestat},
	{"/proc/user_beancounters", "Version: 2.5\n", check_counters},
	{"/proc/meminfo", "MemTotal: ", check_meminfo},
	{"/proc/stat", "cpu  ", NULL},
	{"/proc/cpuinfo", "processor\t: ", NULL},
	{"/proc/uptime", "", check_uptime},
	{"/proc/loadavg", "", check_loadavg},
	{"/proc/swaps", "Filename\t", NULL},
	{"/proc/self/status", "Name:\t", check_status},
	{"/proc/self/stat", "", NULL},
	{"/sys/devices/system/cpu/online", "", NULL},
};

static void read_somehow(const struct file *file, unsigned id)
{
	static char text[TEXT_MAX];
	int fd = must_open(file->path, O_RDONLY, 0), error = 0;
	size_t piece = 0;

	switch (random_below(4)) {
	case 0:
		piece = 1 + random_below(37);
		break;
	case 1: /* at odd places, also beyond the end */
		for (int i = 0; i < 6; i++) {
			off_t at = random_below(i < 4 ? 3000 : 1UL << (i == 4 ? 20 : 40));

			if (pread(fd, text, 1 + random_below(500), at) < 0)
				fail("pread %s at %ld", file->path, (long)at);
		}
		break;
	case 2: /* to and fro */
		for (int i = 0; i < 4; i++) {
			if (lseek(fd, random_below(5000), SEEK_SET) < 0 || read(fd, text, 1 + random_below(300)) < 0)
				fail("seek and read %s", file->path);
		}
		if (lseek(fd, 0, SEEK_SET))
			fail("seek to the start of %s", file->path);
		break;
	}
	error = read_text(fd, text, piece);
	if (error)
		fail("read %s: errno %d", file->path, error);
	close(fd);
	if (!*text || text[strlen(text) - 1] != '\n' || strncmp(text, file->begins, strlen(file->begins)))
		fail("container %u: %s: %.100s", id, file->path, text);
	if (file->check)
		file->check(text, id);
}

void check_inside(unsigned id, unsigned long rounds)
{
	struct sysinfo info;
	cpu_set_t cpus;

	while (rounds--) {
		const size_t count = sizeof(files) / sizeof(*files);

		for (size_t i = 0; i < count; i++)
			read_somehow(&files[random_below(count)], id);
		if (sysinfo(&info) || !info.totalram || info.uptime > 3600)
			fail("container %u: sysinfo", id);
		if (sched_getaffinity(0, sizeof(cpus), &cpus) || CPU_COUNT(&cpus) < 1)
			fail("container %u: sched_getaffinity", id);
	}
}

/* Nobody in a container makes containers, leaves one, or looks at the host's list. */
static void try_forbidden(unsigned id, int host_proc)
{
	char path[128], other[32];
	struct stat host_root;
	int fd, error;

	/* Root of users of its own owns no file of the host, so that he does not get as far. */
	if (stat(CGROUPS, &host_root))
		fail("stat " CGROUPS);
	error = host_root.st_uid ? EACCES : EPERM;
	cgroup_path(path, sizeof(path), id, "ve.id");
	must_put(error, path, "5");
	must_put(error, CGROUPS "/cgroup.procs", "0");
	cgroup_path(path, sizeof(path), id, "inner");
	if (error == EPERM) {
		if (mkdir(path, 0755))
			fail("mkdir %s", path);
		cgroup_path(path, sizeof(path), id, "inner/ve.id");
		must_put(EPERM, path, "6");
		cgroup_path(path, sizeof(path), id, "inner");
		if (rmdir(path))
			fail("rmdir %s", path);
	} else if (!mkdir(path, 0755)) {
		fail("mkdir %s", path);
	}
	must_open("/proc/bc", O_RDONLY, ENOENT);
	snprintf(other, sizeof(other), "/proc/bc/%u/resources", id);
	must_open(other, O_RDONLY, ENOENT);
	/* The host's procfs, which nobody should have shown to us. */
	fd = openat(host_proc, other + strlen("/proc/"), O_RDONLY);
	if (fd >= 0 || errno != EACCES)
		fail("container %u opens %s of the host's procfs", id, other);
	fd = openat(host_proc, "bc/0/resources", O_RDONLY);
	if (fd >= 0 || errno != EACCES)
		fail("container %u opens bc/0/resources of the host's procfs", id);
	/* Who looks counts, not where: even there he finds himself alone, if he may look. */
	fd = openat(host_proc, "vz/veinfo", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		static char text[TEXT_MAX];

		if (read_text(fd, text, 0))
			fail("read veinfo of the host's procfs");
		check_veinfo(text, id);
		close(fd);
	} else if (error == EPERM || errno != EACCES) {
		fail("container %u: veinfo of the host's procfs", id);
	}
}

static void unprivileged(void)
{
	if (setgid(65534) || setuid(65534))
		fail("setuid");
	/* Nor as the root of a user namespace that he makes for it. */
	for (int turn = 0; turn < 2; turn++) {
		must_open("/proc/vz/veinfo", O_RDONLY, EACCES);
		must_open("/proc/vz/vestat", O_RDONLY, EACCES);
		must_open("/proc/user_beancounters", O_RDONLY, EACCES);
		if (!turn && unshare(CLONE_NEWUSER))
			fail("unshare users");
	}
	close(must_open("/proc/vz/version", O_RDONLY, 0));
}

int container_init(unsigned id)
{
	int host_proc = must_open("/proc", O_RDONLY | O_DIRECTORY, 0);

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("proc", "/proc", "proc", 0, NULL))
		fail("mount /proc in container %u", id);
	seed_random(id * 31 + random_below(1UL << 30));
	for (int i = 0; i < 3; i++) {
		unsigned long seed = random_below(1UL << 30);
		pid_t pid = fork();

		if (pid < 0)
			fail("fork in container %u", id);
		if (pid)
			continue;
		seed_random(seed);
		if (i == 0)
			try_forbidden(id, host_proc);
		check_inside(id, 1);
		if (i == 2) {
			unprivileged();
			_exit(0);
		}
		/* Until it is killed, in the middle of whatever it reads. */
		while (!run->failed)
			check_inside(id, 1);
		_exit(1);
	}
	while (!run->failed)
		check_inside(id, 1);
	return 1;
}
