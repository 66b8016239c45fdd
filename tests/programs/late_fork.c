/* Reads its request, then starts a process, by calls that no table of symbols gives away. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

int main(void)
{
    char line[64] = "";
    ssize_t n = read(0, line, sizeof line - 1);
    long child = n < 0 ? -1 : syscall(SYS_fork);

    if (child < 0) {
        printf("no child: %s\n", strerror(errno));
        return 1;
    }
    if (child == 0) {
        (void)!write(1, "from a child\n", 13);
        _exit(0);
    }
    return syscall(SYS_wait4, child, NULL, 0, NULL) == child ? 0 : 2;
}
