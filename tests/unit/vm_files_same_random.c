/* Random sequences of calls on names and content. */
#include "vm_files_same.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *random_path(void)
{
    static const char *const parts[] = {"a", "b", "c", "d", ".", "..", "s"};
    static char buf[2][128];
    static int turn;
    size_t len = 0;
    int n = rand() % 3 + 1;

    turn = !turn;
    len = (size_t)snprintf(buf[turn], 128, "%s", rand() % 3 ? "/tmp/" : "");
    for (int i = 0; i < n; i++)
        len += (size_t)snprintf(buf[turn] + len, 128 - len, "%s%s", parts[rand() % 7],
                                i < n - 1 || rand() % 10 == 0 ? "/" : "");
    return buf[turn];
}

static void random_names(int i)
{
    switch (rand() % 16) {
    case 0:
    case 1:
        t_mkdir(AT_FDCWD, random_path(), (unsigned)rand() & 01777);
        break;
    case 2:
        t_unlink(AT_FDCWD, random_path(), 0);
        break;
    case 3:
        t_unlink(AT_FDCWD, random_path(), AT_REMOVEDIR);
        break;
    case 4:
    case 5:
        t_rename(random_path(), random_path(), rand() % 3 ? 0 : (unsigned)(rand() % 3));
        break;
    case 6:
        t_link(random_path(), random_path(), rand() % 2 ? AT_SYMLINK_FOLLOW : 0);
        break;
    case 7:
        t_symlink(random_path(), random_path());
        break;
    case 8:
        t_stat(AT_FDCWD, random_path(), rand() % 2 ? AT_SYMLINK_NOFOLLOW : 0);
        break;
    case 9:
        t_chmod(random_path(), (unsigned)rand() & 07777);
        break;
    case 10:
        t_truncate(random_path(), rand() % 20000);
        break;
    case 11:
        t_readlink(random_path(), (size_t)(rand() % 20));
        break;
    case 12:
        if (rand() % 4 == 0)
            t_chdir(random_path());
        break;
    case 13:
        t_access(random_path(), rand() % 8, 0);
        break;
    case 14:
        if (i % 10 == 0)
            t_list(random_path(), (size_t)(rand() % 400 + 280));
        break;
    default:
        t_chown(random_path(), (uint32_t)(rand() % 2 ? rand() % 3 : -1), UINT32_MAX);
        break;
    }
}

/* Where directories end and have holes is the file system's own affair. */
static bool is_directory(int fd)
{
    struct stat st;

    return pv_files_fstat(f, fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static void random_data(void)
{
    static const int flags[] = {O_RDONLY,
                                O_WRONLY,
                                O_RDWR,
                                O_CREAT | O_RDWR,
                                O_CREAT | O_EXCL | O_WRONLY,
                                O_RDWR | O_TRUNC,
                                O_WRONLY | O_APPEND,
                                O_PATH,
                                O_RDONLY | O_DIRECTORY,
                                O_CREAT | O_RDWR | O_NOFOLLOW};
    int fd = rand() % 24 + 3;

    switch (rand() % 8) {
    case 0:
        if (pv_files_fcntl(f, 20, F_GETFD, 0) < 0)
            t_open(AT_FDCWD, random_path(), flags[rand() % 10], (unsigned)rand() & 0777);
        break;
    case 1:
        t_close(fd);
        break;
    case 2:
        t_read(fd, (size_t)(rand() % 9000), rand() % 2 ? INT64_MIN : rand() % 20000);
        break;
    case 3:
    case 4:
        t_write(fd, (size_t)(rand() % 9000), rand() % 2 ? INT64_MIN : rand() % 20000,
                (unsigned)rand());
        break;
    case 5:
        t_seek(fd, rand() % 20000 - 100, rand() % (is_directory(fd) ? 2 : 5));
        break;
    case 6:
        t_ftruncate(fd, rand() % 20000);
        break;
    default:
        t_fstat(fd);
        t_fallocate(fd, rand() % 4, rand() % 9000, rand() % 9000);
        break;
    }
}

#ifdef PV_SANITIZED
enum { SEEDS = 8 };
#else
enum { SEEDS = 30 };
#endif

void random_calls(void)
{
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        srand(seed);
        t_chdir("/tmp");
        for (int i = 0; i < 1500; i++) {
            if (rand() % 2)
                random_names(i);
            else
                random_data();
        }
    }
    t_chdir("/tmp");
}
