/* Leaves connections behind that found the backlog full: the kernel sends them again 200 ms after
 * this process is dead. With "w" as its input it only lives for 300 ms. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEFERRED = 50, FILLING = 400 };

static int open_connection(int wait)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(8080)};
    int fd = socket(AF_INET, SOCK_STREAM | (wait ? 0 : SOCK_NONBLOCK), 0), one = 1;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    /* the handshake's last packet waits for data: the listener does not have it yet */
    if (wait && setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &one, sizeof one) < 0)
        _exit(1);
    (void)!connect(fd, (struct sockaddr *)&a, sizeof a);
    return fd;
}

int main(void)
{
    int deferred[DEFERRED];
    char c = 0;

    if (read(0, &c, 1) == 1 && c == 'w') {
        (void)usleep(300000);
        return 0;
    }
    (void)usleep(100000); /* the test stops the host meanwhile */
    for (int i = 0; i < DEFERRED; i++)
        deferred[i] = open_connection(1);
    for (int i = 0; i < FILLING; i++)
        (void)open_connection(0);
    for (int i = 0; i < DEFERRED; i++)
        (void)!write(deferred[i], "ping", 4);
    return 0;
}
