/* ptysink SOCKET: listens on a Unix socket for the terminals that `crun --console-socket SOCKET` sends, takes each and keeps it open, as its close would
 * hang up the container. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener, stream;

	if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path)) {
		fprintf(stderr, "usage: ptysink SOCKET\n");
		return 2;
	}
	strcpy(address.sun_path, argv[1]);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 8)) {
		perror(argv[1]);
		return 1;
	}
	while ((stream = accept(listener, NULL, NULL)) >= 0) {
		char text[256], control[CMSG_SPACE(sizeof(int))];
		struct iovec part = {text, sizeof(text)};
		struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};

		/* The terminal is a descriptor of ours from here on. */
		if (recvmsg(stream, &message, 0) < 0)
			perror("recvmsg");
		close(stream);
	}
	perror("accept");
	return 1;
}
