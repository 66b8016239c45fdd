/* Runs a fuzz target over every file of a corpus directory, so that the corpus is an ordinary test
 * in builds without libFuzzer. Also feeds every prefix of each file: truncation is the commonest
 * malformation. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return -1;
    static uint8_t data[1 << 20];
    size_t size = fread(data, 1, sizeof data, f);
    fclose(f);
    size_t step = size / 512 + 1;
    for (size_t len = 0; len < size; len += step) {
        uint8_t *exact = malloc(len ? len : 1); /* exact size: a sanitizer sees each overrun */
        if (!exact)
            abort();
        for (size_t i = 0; i < len; i++)
            exact[i] = data[i];
        LLVMFuzzerTestOneInput(exact, len);
        free(exact);
    }
    LLVMFuzzerTestOneInput(data, size);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned files = 0;
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (!dir) {
            perror(argv[i]);
            return 1;
        }
        for (struct dirent *e; (e = readdir(dir));) {
            char path[4096];
            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            if (replay(path) < 0) {
                perror(path);
                closedir(dir);
                return 1;
            }
            files++;
        }
        closedir(dir);
    }
    printf("%u corpus files replayed\n", files);
    return files ? 0 : 1;
}
