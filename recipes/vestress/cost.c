/*
 * vecost: what fork, exec, open and a page fault cost, in nanoseconds for each. On a machine whose clock counts instructions (QEMU's
 * -icount) these are instructions. As process 1 of a machine it tells them on the console and powers the machine off.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 5

static const char *self;

static void die(const char *what)
{
	printf("vecost: FAILED: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	exit(1);
}

static void wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		die("a child");
}

static void do_fork(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	wait_for(pid);
}

static void do_exec(void)
{
	pid_t pid = vfork();

	if (!pid) {
		execl(self, self, "-", (char *)NULL);
		_exit(1);
	}
	wait_for(pid);
}

static void do_open(void)
{
	int fd = open("/file", O_RDONLY);

	if (fd < 0)
		die("open /file");
	close(fd);
}

#define PAGES 256

static void do_faults(void)
{
	size_t size = PAGES * 4096;
	volatile char *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		die("mmap");
	for (size_t i = 0; i < size; i += 4096)
		area[i] = 1;
	munmap((void *)area, size);
}

static void read_proc(const char *path)
{
	char text[8192];
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		die(path);
	while (read(fd, text, sizeof(text)) > 0)
		;
	close(fd);
}

static void do_stat(void)
{
	read_proc("/proc/self/stat");
}

static void do_meminfo(void)
{
	read_proc("/proc/meminfo");
}

static const struct what {
	const char *name;
	void (*once)(void);
	int times, each; /* how often it is done, and how many are in one */
} all[] = {
	{"fork", do_fork, 400, 1},   {"exec", do_exec, 200, 1},          {"open", do_open, 4000, 1},
	{"fault", do_faults, 40, PAGES}, {"proc-self-stat", do_stat, 1000, 1}, {"proc-meminfo", do_meminfo, 1000, 1},
};

static double nanoseconds(void)
{
	struct timespec time;

	if (clock_gettime(CLOCK_MONOTONIC_RAW, &time))
		die("clock_gettime");
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	return *(const double *)a < *(const double *)b ? -1 : 1;
}

/* The middle one of some rounds: timer interrupts fall into some of them. */
static void measure(const char *where)
{
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		double rounds[ROUNDS];

		for (int n = -1; n < ROUNDS; n++) {
			double begin = nanoseconds();

			for (int k = 0; k < all[i].times; k++)
				all[i].once();
			if (n >= 0)
				rounds[n] = (nanoseconds() - begin) / all[i].times / all[i].each;
		}
		qsort(rounds, ROUNDS, sizeof(*rounds), compare);
		printf("cost %s-%s %.1f ns\n", where, all[i].name, rounds[ROUNDS / 2]);
	}
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);
	int wrong = fd < 0 || write(fd, text, strlen(text)) < 0;

	close(fd);
	return wrong;
}

/* In a cgroup as vzctl makes it, with its number where the kernel has such. */
static void in_a_container(void)
{
	pid_t pid;

	if (write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory +pids +cpu +cpuset") || mkdir("/sys/fs/cgroup/1", 0755))
		die("make a cgroup");
	if (!access("/sys/fs/cgroup/1/ve.id", F_OK) && write_file("/sys/fs/cgroup/1/ve.id", "1"))
		die("write ve.id");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (write_file("/sys/fs/cgroup/1/cgroup.procs", "0"))
			die("enter the cgroup");
		measure("container");
		fflush(stdout);
		_exit(0);
	}
	wait_for(pid);
}

int main(int count, char **words)
{
	if (count > 1)
		return 0;
	self = words[0];
	if (getpid() == 1) {
		int console;

		mkdir("/proc", 0755);
		mkdir("/sys", 0755);
		mkdir("/dev", 0755);
		if (mount("proc", "/proc", "proc", 0, NULL) || mount("sysfs", "/sys", "sysfs", 0, NULL) ||
		    mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL) || mount("dev", "/dev", "devtmpfs", 0, NULL))
			return 1;
		console = open("/dev/console", O_RDWR);
		dup2(console, 1);
		self = "/proc/self/exe";
	}
	if (write_file("/file", "x"))
		die("write /file");
	measure("host");
	if (getpid() == 1)
		in_a_container();
	printf("vecost: done\n");
	fflush(stdout);
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	return 0;
}
