/* Which hierarchy is taken, on machines of each kind: /proc as such machines show it. */
#include "cgroup.h"
#include "pv/ratchet.h"
#include "tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char dir[64]; /* holds self/mounts, self/cgroup, and v2/ as a mount point */

static void put(const char *name, const char *text)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
    struct pv_err err = PV_ERR_INIT;
    char path[128];

    (void)state;
    snprintf(dir, sizeof dir, "/tmp/pv-cgroup-XXXXXX");
    if (pv_crypto_init(&err) < 0 || !mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/self", dir);
    if (mkdir(path, 0755) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/v2", dir);
    return mkdir(path, 0755);
}

static int tear_down(void **state)
{
    struct pv_err err = PV_ERR_INIT;

    (void)state;
    return pv_tree_remove(AT_FDCWD, dir, &err);
}

static void put_mounts(const char *v1)
{
    char text[1024];

    snprintf(text, sizeof text, "proc /proc proc rw 0 0\n%scgroup2 %s/v2 cgroup2 rw,relatime 0 0\n",
             v1, dir);
    put("self/mounts", text);
}

static const char v1_mounts[] = "cgroup /cg/pids cgroup rw,relatime,pids 0 0\n"
                                "cgroup /cg/acct cgroup rw,relatime,cpuacct 0 0\n"
                                "cgroup /cg/cpu cgroup rw,relatime,cpu 0 0\n";

static void make(const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void test_hybrid_takes_v1_beneath_the_own_group(void **state)
{
    struct pv_cgroups c;
    struct pv_err err = PV_ERR_INIT;
    char mounts[512], expected[128];

    (void)state;
    snprintf(mounts, sizeof mounts, "cgroup %s/memory cgroup rw,relatime,memory 0 0\n%s", dir,
             v1_mounts);
    snprintf(expected, sizeof expected, "%s/memory/mine/provost-", dir);
    make("memory");
    make("memory/mine");
    put_mounts(mounts);
    put("v2/cgroup.controllers", "\n");
    put("self/cgroup", "4:memory:/mine\n3:pids:/\n2:cpuacct:/wrong\n1:cpu:/\n0::/\n");
    assert_int_equal(pv_cgroup_detect(&c, dir, "/state", &err), 0);
    assert_int_equal(c.mode, PV_CGROUP_V1);
    assert_int_equal(strncmp(c.base[PV_CG_MEMORY], expected, strlen(expected)), 0);
    assert_non_null(strstr(c.base[PV_CG_PIDS], "/cg/pids/provost-"));
    assert_non_null(strstr(c.base[PV_CG_CPU], "/cg/cpu/provost-"));
}

/* As Docker without a cgroup namespace: the path is the host's, the mount shows what is below. */
static void test_an_own_group_out_of_sight_is_the_mounts_top(void **state)
{
    struct pv_cgroups c;
    struct pv_err err = PV_ERR_INIT;
    char mounts[512];

    (void)state;
    snprintf(mounts, sizeof mounts, "cgroup /cg/memory cgroup rw,relatime,memory 0 0\n%s",
             v1_mounts);
    put_mounts(mounts);
    put("v2/cgroup.controllers", "\n");
    put("self/cgroup", "4:memory:/docker/1\n3:pids:/docker/1\n1:cpu:/docker/1\n");
    assert_int_equal(pv_cgroup_detect(&c, dir, "/state", &err), 0);
    assert_non_null(strstr(c.base[PV_CG_MEMORY], "/cg/memory/provost-"));
}

/* Binds of the hierarchies for a chroot, before and after the machine's own. */
static void test_the_usual_place_is_preferred(void **state)
{
    static const char mounts[] = "cgroup /chk/sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n"
                                 "cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n"
                                 "cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0\n"
                                 "cgroup /chk/sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0\n"
                                 "cgroup /first/cpu cgroup rw,relatime,cpu 0 0\n"
                                 "cgroup /sys/fs/cgroups/cpu cgroup rw,relatime,cpu 0 0\n";
    struct pv_cgroups c;
    struct pv_err err = PV_ERR_INIT;

    (void)state;
    put_mounts(mounts);
    put("v2/cgroup.controllers", "\n");
    put("self/cgroup", "4:memory:/\n3:pids:/\n1:cpu:/\n");
    assert_int_equal(pv_cgroup_detect(&c, dir, "/state", &err), 0);
    assert_ptr_equal(strstr(c.base[PV_CG_MEMORY], "/sys/fs/cgroup/memory/provost-"),
                     c.base[PV_CG_MEMORY]);
    assert_ptr_equal(strstr(c.base[PV_CG_PIDS], "/sys/fs/cgroup/pids/provost-"),
                     c.base[PV_CG_PIDS]);
    assert_ptr_equal(strstr(c.base[PV_CG_CPU], "/first/cpu/provost-"), c.base[PV_CG_CPU]);
}

static unsigned entries(const char *path)
{
    unsigned n = 0;
    DIR *list = opendir(path);

    while (list && readdir(list))
        n++;
    if (list)
        (void)closedir(list);
    return n;
}

/* systemd mounts cpu,cpuacct together; others memory and pids too: each group is made once. */
static void test_one_mount_may_hold_several_controllers(void **state)
{
    struct pv_cgroups c;
    struct pv_err err = PV_ERR_INIT;
    char mounts[512], top[96];

    (void)state;
    snprintf(top, sizeof top, "%s/all", dir);
    snprintf(mounts, sizeof mounts,
             "cgroup %s cgroup rw,memory,pids 0 0\n"
             "cgroup %s/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n",
             top, dir);
    make("all");
    make("cpu,cpuacct");
    put_mounts(mounts);
    put("v2/cgroup.controllers", "\n");
    put("self/cgroup", "2:memory,pids:/\n1:cpu,cpuacct:/\n");
    assert_int_equal(pv_cgroup_detect(&c, dir, "/state", &err), 0);
    assert_int_equal(c.mode, PV_CGROUP_V1);
    assert_string_equal(c.base[PV_CG_MEMORY], c.base[PV_CG_PIDS]);
    assert_non_null(strstr(c.base[PV_CG_CPU], "/cpu,cpuacct/provost-"));
    assert_int_equal(pv_cgroup_prepare(&c, &err), 0);
    assert_int_equal(entries(top), 3);
    assert_int_equal(pv_cgroup_finish(&c, &err), 0);
    assert_int_equal(entries(top), 2);
}

static void test_v2_is_taken_when_it_has_the_controllers(void **state)
{
    struct pv_cgroups c, other;
    struct pv_err err = PV_ERR_INIT;
    char slot[PV_PATH_MAX];

    (void)state;
    put_mounts("");
    put("v2/cgroup.controllers", "cpuset cpu io memory pids\n");
    put("self/cgroup", "0::/system.slice/provost.service\n");
    assert_int_equal(pv_cgroup_detect(&c, dir, "/state", &err), 0);
    assert_int_equal(c.mode, PV_CGROUP_V2);
    assert_string_equal(c.base[PV_CG_MEMORY], c.base[PV_CG_CPU]);
    pv_cgroup_slot_path(&c, "f-1.0", PV_CG_PIDS, 3, slot);
    assert_non_null(strstr(slot, "/v2/provost-"));
    assert_non_null(strstr(slot, "/f-1.0/slot3"));
    /* Two state directories never share a group. */
    assert_int_equal(pv_cgroup_detect(&other, dir, "/state2", &err), 0);
    assert_string_not_equal(c.base[0], other.base[0]);
}

static void test_a_missing_controller_is_named(void **state)
{
    struct pv_cgroups c;
    struct pv_err err = PV_ERR_INIT;

    (void)state;
    put_mounts("cgroup /cg/memory cgroup rw,memory 0 0\ncgroup /cg/a cgroup rw,cpuacct,cpu 0 0\n");
    put("v2/cgroup.controllers", "memory cpu\n");
    put("self/cgroup", "0::/\n");
    assert_int_equal(pv_cgroup_detect(&c, dir, "/state", &err), -ENOTSUP);
    assert_non_null(strstr(err.text, "'pids'"));
    assert_non_null(strstr(err.text, "cgroups = off"));
    assert_int_equal(c.mode, PV_CGROUP_NONE);
}

#define WITH_PROC(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PROC(test_hybrid_takes_v1_beneath_the_own_group),
        WITH_PROC(test_an_own_group_out_of_sight_is_the_mounts_top),
        WITH_PROC(test_one_mount_may_hold_several_controllers),
        WITH_PROC(test_v2_is_taken_when_it_has_the_controllers),
        WITH_PROC(test_a_missing_controller_is_named),
        WITH_PROC(test_the_usual_place_is_preferred),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
