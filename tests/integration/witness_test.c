/* The outside witness against real programs: what it says about them is compared with what they
 * were seen to do. Needs root, bpffs and kernel BTF. */
#include "witness_harness.h"

#include "pv/clock.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static void test_process_tree(void **state)
{
    (void)state;
    pid_t pid = run("/bin/sh", "-c", "/bin/cat secret | /bin/cat > out; exit 3", NULL);

    collect(true);
    long fork_at = with_number(PV_K_PROC_FORK, "host_pid", (uint64_t)pid);
    assert_true(fork_at >= 0);
    assert_int_equal(number_of((size_t)fork_at, "parent"), 0);
    assert_int_equal(number_of((size_t)fork_at, "pid"), (uint64_t)pid);
    assert_int_equal(number_of((size_t)fork_at, "start_ticks"), last_start_ticks);
    uint64_t shell = number_of((size_t)fork_at, "proc");
    assert_int_equal(count_of(PV_K_PROC_FORK, "parent", shell), 2);
    long exec_at = with_number(PV_K_PROC_EXEC, "proc", shell);
    assert_true(exec_at >= 0);
    char real[PATH_MAX] = ""; /* what realpath demands */
    assert_non_null(realpath("/bin/sh", real));
    assert_true(text_is((size_t)exec_at, "path", real));
    const struct pv_value *argv = pv_event_field(&log_of.e[exec_at], "argv");
    assert_memory_equal(argv->bytes, "/bin/sh\0-c\0/bin/cat secret", 26);
    long exit_at = with_number(PV_K_PROC_EXIT, "proc", shell);
    assert_true(exit_at > exec_at);
    assert_int_equal(number_of((size_t)exit_at, "code"), 3);
    assert_int_equal(number_of((size_t)exit_at, "signal"), 0);
    /* silent before the first exec */
    assert_int_equal(with_text(PV_K_OBJECT, "path", "/etc/hostname"), -1);
    assert_int_equal(next_of(0, PV_K_GAP), -1);
}

/* secret → cat → pipe → cat → out, each edge after the one it depends on. */
static void test_pipe_carries_dependency(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        forget();
        (void)run("/bin/sh", "-c", "/bin/cat secret | /bin/cat > out", NULL);
        collect(true);
        uint64_t secret = object_at(at("secret"));
        uint64_t out = object_at(at("out"));
        long first = edge(PV_K_READ, 0, secret, 0);

        assert_true(first >= 0);
        uint64_t reader = number_of((size_t)first, "proc");
        long into = -1;
        long from = -1;
        for (long i = next_of((size_t)first, PV_K_WRITE); i >= 0 && from < 0;
             i = next_of((size_t)i + 1, PV_K_WRITE))
            if (number_of((size_t)i, "proc") == reader) {
                into = i;
                from = edge(PV_K_READ, 0, number_of((size_t)i, "object"), (size_t)i);
            }
        assert_true(into > first);
        assert_true(from > into);
        long last = edge(PV_K_WRITE, number_of((size_t)from, "proc"), out, (size_t)from);
        assert_true(last > from);
        pv_probe_release(probe);
        /* a fresh announcement of each object for the next round */
        pv_probe_close(probe, true);
        probe = NULL;
        open_probe(0, NULL);
    }
}

static void test_names(void **state)
{
    (void)state;
    needs(PV_BPF_HAS_NAMES);
    (void)run("/bin/sh", "-c",
              "/bin/mv secret2 moved; /bin/chmod 600 moved; /bin/ln -s moved link; /bin/rm link;"
              "/bin/mkdir d; /bin/rmdir d; /bin/ln moved hard",
              NULL);
    collect(true);
    long i = with_text(PV_K_NAME_OP, "op", "rename");
    assert_true(i >= 0);
    assert_true(text_is((size_t)i, "path", at("secret2")));
    assert_true(text_is((size_t)i, "new_path", at("moved")));
    i = with_text(PV_K_NAME_OP, "op", "chmod");
    assert_true(i >= 0 && text_is((size_t)i, "path", at("moved")));
    i = with_text(PV_K_NAME_OP, "op", "symlink");
    assert_true(i >= 0 && text_is((size_t)i, "path", at("link")));
    i = with_text(PV_K_NAME_OP, "op", "unlink");
    assert_true(i >= 0 && text_is((size_t)i, "path", at("link")));
    i = with_text(PV_K_NAME_OP, "op", "mkdir");
    assert_true(i >= 0 && text_is((size_t)i, "path", at("d")));
    i = with_text(PV_K_NAME_OP, "op", "link");
    assert_true(i >= 0 && text_is((size_t)i, "new_path", at("hard")));
}

/* A secret leaves through a mapping: no read() of the file ever happens. */
static void test_mapped_read(void **state)
{
    (void)state;
    (void)run("/usr/bin/python3", "-S", "-E", "-c",
              "import mmap,os\n"
              "f=os.open('secret',os.O_RDONLY)\n"
              "m=mmap.mmap(f,0,prot=mmap.PROT_READ,flags=mmap.MAP_PRIVATE)\n"
              "o=os.open('leak',os.O_WRONLY|os.O_CREAT)\n"
              "os.write(o,m[:])\n",
              NULL);
    collect(true);
    long read_at = edge(PV_K_READ, 0, object_at(at("secret")), 0);
    assert_true(read_at >= 0);
    assert_true(edge(PV_K_WRITE, number_of((size_t)read_at, "proc"), object_at(at("leak")),
                     (size_t)read_at) > read_at);
    assert_true(next_of(0, PV_K_MAP_EXEC) >= 0);
}

/* What is put into a shared mapping after a read depends on it, though no call says so. */
static void test_shared_mapping(void **state)
{
    (void)state;
    (void)run("/usr/bin/python3", "-S", "-E", "-c",
              "import mmap,os\n"
              "o=os.open('shm',os.O_RDWR|os.O_CREAT); os.ftruncate(o,4096)\n"
              "m=mmap.mmap(o,4096)\n"
              "f=os.open('secret',os.O_RDONLY); s=os.read(f,100)\n"
              "m[:len(s)]=s\n",
              NULL);
    collect(true);
    long read_at = edge(PV_K_READ, 0, object_at(at("secret")), 0);
    assert_true(read_at >= 0);
    assert_true(edge(PV_K_WRITE, number_of((size_t)read_at, "proc"), object_at(at("shm")),
                     (size_t)read_at) > read_at);
}

static void test_network(void **state)
{
    char code[1024];

    (void)state;
    snprintf(code, sizeof code, "%s",
             "import socket\n"
             "s=socket.socket(); s.bind(('127.0.0.1',0)); s.listen(1)\n"
             "c=socket.socket(); c.connect(s.getsockname())\n"
             "a,p=s.accept(); c.sendall(b'hello'); a.recv(9)\n"
             "open('ports','w').write('%d %d'%(s.getsockname()[1],c.getsockname()[1]))\n"
             "a.close(); c.close(); s.close()\n"
             "r=socket.socket()\n"
             "try: r.connect(('127.0.0.9',9))\n"
             "except OSError: pass\n"
             "u=socket.socket(socket.AF_UNIX)\n"
             "try: u.connect('/nowhere/sock')\n"
             "except OSError: pass\n");
    (void)run("/usr/bin/python3", "-S", "-E", "-c", code, NULL);
    collect(true);
    unsigned server = 0;
    unsigned client = 0;
    FILE *f = fopen(at("ports"), "re");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%u %u", &server, &client), 2);
    (void)fclose(f);
    long i = with_number(PV_K_CONNECT, "port", server);
    assert_true(i >= 0 && text_is((size_t)i, "addr", "127.0.0.1"));
    assert_int_equal(number_of((size_t)i, "result"), 0);
    uint64_t from = number_of((size_t)i, "object");
    i = with_number(PV_K_ACCEPT, "port", client);
    assert_true(i >= 0 && text_is((size_t)i, "addr", "127.0.0.1"));
    long write_at = edge(PV_K_WRITE, 0, from, 0);
    long read_at = edge(PV_K_READ, 0, number_of((size_t)i, "object"), 0);
    assert_true(write_at >= 0 && read_at > write_at);
    /* both ends say the same four numbers */
    i = with_number(PV_K_SOCKET, "remote_port", client);
    assert_true(i >= 0 && number_of((size_t)i, "local_port") == server);
    i = with_text(PV_K_CONNECT, "addr", "127.0.0.9");
    assert_true(i >= 0);
    assert_int_equal(number_of((size_t)i, "result"), ECONNREFUSED);
    i = with_text(PV_K_CONNECT, "addr", "/nowhere/sock");
    assert_true(i >= 0);
    assert_int_equal(number_of((size_t)i, "result"), ENOENT);
}

static void test_attempts(void **state)
{
    (void)state;
    assert_int_equal(chmod(at("forbidden"), 0600), 0);
    pid_t pid = run("/usr/bin/python3", "-S", "-E", "-c",
                    "import os,ctypes\n"
                    "c=ctypes.CDLL(None,use_errno=True)\n"
                    "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
                    "try: open('forbidden')\n"
                    "except OSError: pass\n"
                    "try: os.kill(1,0)\n"
                    "except OSError: pass\n"
                    "c.ptrace(16,1,0,0)\n"
                    "os.kill(os.getpid(),9)\n",
                    NULL);
    collect(true);
    uint64_t proc =
        number_of((size_t)with_number(PV_K_PROC_FORK, "host_pid", (uint64_t)pid), "proc");
    long i = with_text(PV_K_PATH_OP, "path", at("forbidden"));
    assert_true(i >= 0 && text_is((size_t)i, "op", "open"));
    assert_int_equal(number_of((size_t)i, "result"), EACCES);
    assert_true(with_number(PV_K_ATTEMPT_DENIED, "syscall", SYS_openat) >= 0);
    i = with_number(PV_K_INTERFERENCE, "syscall", SYS_kill);
    assert_true(i >= 0);
    assert_int_equal(number_of((size_t)i, "arg0"), 1);
    assert_int_equal(number_of((size_t)i, "result"), EPERM);
    assert_true(with_number(PV_K_INTERFERENCE, "syscall", SYS_ptrace) >= 0);
    i = with_number(PV_K_CREDENTIALS, "syscall", SYS_setuid);
    assert_true(i >= 0 && number_of((size_t)i, "arg0") == 65534);
    /* a signal to itself is no interference, but how it died is known */
    assert_int_equal(count_of(PV_K_INTERFERENCE, "arg0", (uint64_t)pid), 0);
    i = with_number(PV_K_PROC_EXIT, "proc", proc);
    assert_true(i >= 0 && number_of((size_t)i, "signal") == SIGKILL);
}

/* Threads are one process: one reads, the other writes, and the write edge comes again. */
static void test_threads(void **state)
{
    (void)state;
    (void)run("/usr/bin/python3", "-S", "-E", "-c",
              "import threading,os\n"
              "o=os.open('tout',os.O_WRONLY|os.O_CREAT); os.write(o,b'a'); os.write(o,b'b')\n"
              "def g():\n"
              " f=os.open('secret',os.O_RDONLY); os.read(f,9)\n"
              "t=threading.Thread(target=g); t.start(); t.join()\n"
              "os.write(o,b'c'); os.write(o,b'd')\n",
              NULL);
    collect(true);
    uint64_t out = object_at(at("tout"));
    long read_at = edge(PV_K_READ, 0, object_at(at("secret")), 0);
    uint64_t proc = number_of((size_t)read_at, "proc");
    long after = edge(PV_K_WRITE, proc, out, (size_t)read_at);
    assert_true(edge(PV_K_WRITE, proc, out, 0) < read_at);
    assert_true(after > read_at);
    assert_int_equal(edge(PV_K_WRITE, proc, out, (size_t)after + 1), -1);
    assert_int_equal(count_of(PV_K_PROC_FORK, "parent", 0), 1);
    assert_int_equal(count_of(PV_K_PROC_FORK, "parent", proc), 0);
    assert_int_equal(count_of(PV_K_PROC_EXIT, "proc", proc), 1);
}

static void test_reduction_keeps_totals(void **state)
{
    (void)state;
    (void)run("/bin/dd", "if=zeros", "of=copy", "bs=1", "count=3000", "status=none", NULL);
    collect(true);
    uint64_t in = object_at(at("zeros"));
    uint64_t out = object_at(at("copy"));
    uint64_t read_bytes = 0;
    uint64_t write_bytes = 0;
    uint64_t write_ops = 0;

    for (long i = next_of(0, PV_K_IO_TOTAL); i >= 0; i = next_of((size_t)i + 1, PV_K_IO_TOTAL)) {
        uint64_t object = number_of((size_t)i, "object");

        read_bytes += object == in ? number_of((size_t)i, "read_bytes") : 0;
        write_bytes += object == out ? number_of((size_t)i, "write_bytes") : 0;
        write_ops += object == out ? number_of((size_t)i, "write_ops") : 0;
    }
    assert_int_equal(read_bytes, 3000);
    assert_int_equal(write_bytes, 3000);
    assert_int_equal(write_ops, 3000);
    assert_int_equal(count_of(PV_K_READ, "object", in), 1);
    assert_true(count_of(PV_K_WRITE, "object", out) <= 3);
}

/* One write() larger than the pipe: it is read from while the call still lasts. */
static void test_write_precedes_its_readers(void **state)
{
    (void)state;
    (void)run("/bin/sh", "-c",
              "/bin/dd if=/dev/zero bs=400000 count=1 status=none | /bin/cat > /dev/null", NULL);
    collect(true);
    long pipe_at = with_text(PV_K_OBJECT, "type", "pipe");
    assert_true(pipe_at >= 0);
    uint64_t pipe_object = number_of((size_t)pipe_at, "object");
    long write_at = edge(PV_K_WRITE, 0, pipe_object, 0);
    long read_at = edge(PV_K_READ, 0, pipe_object, 0);
    assert_true(write_at >= 0 && read_at > write_at);
}

/* Both numbers of a process in a pid namespace, and paths across mounts of a mount namespace. */
static void test_namespaces(void **state)
{
    (void)state;
    (void)run("/usr/bin/unshare", "--pid", "--mount", "--fork", "/bin/sh", "-c",
              "/bin/mkdir -p under && /bin/mount -t tmpfs none under && echo x > under/file", NULL);
    collect(true);
    long i = with_number(PV_K_PROC_FORK, "pid", 1);
    assert_true(i >= 0);
    assert_true(number_of((size_t)i, "host_pid") > 1);
    assert_true(number_of((size_t)i, "parent") != 0);
    assert_true(with_text(PV_K_OBJECT, "path", at("under/file")) >= 0);
    i = with_number(PV_K_INTERFERENCE, "syscall", SYS_mount);
    assert_true(i >= 0);
    assert_true(with_number(PV_K_INTERFERENCE, "syscall", SYS_unshare) >= 0);
}

/* Many reads of a stream are two edges, and the second is in time for the output: what the writer
 * learned between the first read and the last must reach it. */
static void test_stream_reads_are_merged(void **state)
{
    (void)state;
    (void)run("/bin/sh", "-c",
              "(echo first; /bin/sleep 0.1; /bin/cat secret) | /usr/bin/python3 -S -E -c '\n"
              "import os\n"
              "while os.read(0,1): pass\n"
              "o=os.open(\"merged\",os.O_WRONLY|os.O_CREAT)\n"
              "os.write(o,b\"x\")'",
              NULL);
    collect(true);
    long learned = edge(PV_K_READ, 0, object_at(at("secret")), 0);
    assert_true(learned >= 0);
    long wrote = next_of((size_t)learned, PV_K_WRITE);
    while (wrote >= 0 && number_of((size_t)wrote, "proc") != number_of((size_t)learned, "proc"))
        wrote = next_of((size_t)wrote + 1, PV_K_WRITE);
    assert_true(wrote > learned);
    uint64_t pipe_object = number_of((size_t)wrote, "object");
    long got = edge(PV_K_READ, 0, pipe_object, (size_t)wrote);
    assert_true(got > wrote);
    uint64_t reader = number_of((size_t)got, "proc");
    assert_true(edge(PV_K_WRITE, reader, object_at(at("merged")), 0) > got);
    assert_true(count_of(PV_K_READ, "object", pipe_object) <= 2);
    long total = edge(PV_K_IO_TOTAL, reader, pipe_object, 0);
    assert_true(total >= 0);
    assert_int_equal(number_of((size_t)total, "read_bytes"), 6 + 11);
    assert_int_equal(number_of((size_t)total, "read_ops"), 6 + 11);
}

/* Whether this kernel lets a 64-bit program enter by int 0x80; where not, it is a fault. */
static bool has_compat_entry(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        long rc = 20;

        (void)signal(SIGSEGV, SIG_DFL);
        __asm__ volatile("int $0x80" : "+a"(rc) : : "memory", "r8", "r9", "r10", "r11");
        _exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status);
}

/* Run in a child of this program: ways around the ordinary entry, and a refusal by seccomp. */
static int act(bool compat)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof rules / sizeof rules[0], rules};
    long rc = 20; /* getpid of the 32-bit table */

    if (compat)
        __asm__ volatile("int $0x80" : "+a"(rc) : : "memory", "r8", "r9", "r10", "r11");
    (void)syscall(0x40000000 | SYS_getpid);
    int in = open("zeros", O_RDONLY | O_CLOEXEC);
    int out = open("sent", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (sendfile(out, in, NULL, 100) != 100 || copy_file_range(in, NULL, out, NULL, 50, 0) != 50)
        return 1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        return 2;
    return socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM ? 0 : 3;
}

static void test_ways_around(void **state)
{
    (void)state;
    bool compat = has_compat_entry();
    pid_t pid = run("/proc/self/exe", compat ? "act" : "act-64", NULL);

    collect(true);
    long i = with_number(PV_K_PROC_FORK, "host_pid", (uint64_t)pid);
    uint64_t proc = number_of((size_t)i, "proc");
    assert_int_equal(number_of((size_t)with_number(PV_K_PROC_EXIT, "proc", proc), "code"), 0);
    i = with_text(PV_K_FOREIGN_ENTRY, "entry", "compat");
    if (compat)
        assert_true(i >= 0 && number_of((size_t)i, "syscall") == 20);
    else
        print_message("int 0x80 is not tried: this kernel answers it with a fault\n");
    i = with_text(PV_K_FOREIGN_ENTRY, "entry", "x32");
    assert_true(i >= 0 && number_of((size_t)i, "syscall") == SYS_getpid);
    i = with_number(PV_K_ATTEMPT_DENIED, "syscall", SYS_socket);
    assert_true(i >= 0 && number_of((size_t)i, "result") == EPERM);
    assert_true(with_number(PV_K_CREDENTIALS, "arg0", PR_SET_SECCOMP) >= 0);
    uint64_t in = object_at(at("zeros"));
    uint64_t out = object_at(at("sent"));
    long read_at = edge(PV_K_READ, proc, in, 0);
    assert_true(read_at >= 0 && edge(PV_K_WRITE, proc, out, 0) > read_at);
    i = edge(PV_K_IO_TOTAL, proc, out, 0);
    assert_true(i >= 0 && number_of((size_t)i, "write_bytes") == 150);
    assert_int_equal(number_of((size_t)i, "write_ops"), 2);
    i = edge(PV_K_IO_TOTAL, proc, in, 0);
    assert_true(i >= 0 && number_of((size_t)i, "read_bytes") == 150);
    assert_int_equal(number_of((size_t)i, "read_ops"), 2);
}

/* A ring far too small: what is missing is counted exactly, and said. */
static void test_loss_is_exact(void **state)
{
    uint64_t missing = 0;
    uint64_t lost = 0;
    uint64_t emitted = 0;
    struct pv_probe_info info;
    size_t records = 0;

    (void)state;
    open_probe(4096, &info);
    for (int i = 0; i < 5; i++)
        (void)run("/bin/sh", "-c", "/bin/cat zeros | /bin/dd bs=1 of=copy status=none", NULL);
    /* once: also what the loss hid at the end of a CPU's stream shows without a later record */
    collect(true);
    for (size_t i = 0; i < log_of.n; i++) {
        if (log_of.e[i].kind == PV_K_GAP)
            missing += number_of(i, "count");
        else
            records++;
    }
    for (uint32_t cpu = 0; cpu < info.n_cpus; cpu++) {
        struct pv_probe_counters c;

        assert_int_equal(pv_probe_counters(probe, cpu, &c), 0);
        lost += c.lost;
        emitted += c.emitted;
        assert_true(c.delivered == c.emitted + c.lost);
    }
    assert_true(lost > 1000);
    assert_int_equal(emitted, records);
    assert_int_equal(missing, lost);
}

/* The auditor dies; nothing that happened before, meanwhile or after is missing. */
static void test_survives_kill(void **state)
{
    struct pv_probe_info info;
    pid_t pids[3];
    int status = 0;

    (void)state;
    pid_t auditor = fork();
    if (auditor == 0) {
        struct pv_err err = PV_ERR_INIT;

        if (pv_probe_open(&probe, bpffs, 0, NULL, &err) < 0 ||
            pv_probe_trace(probe, getppid(), false, &err) < 0)
            _exit(1);
        (void)raise(SIGKILL);
    }
    assert_int_equal(waitpid(auditor, &status, 0), auditor);
    assert_true(WIFSIGNALED(status));
    pids[0] = run("/bin/true", NULL);
    open_probe(0, &info);
    assert_true(info.reused);
    pids[1] = run("/bin/true", NULL);
    collect(false); /* appended, but killed before release */
    size_t before = log_of.n;
    uint64_t delivered[64] = {0};
    for (uint32_t cpu = 0; cpu < info.n_cpus && cpu < 64; cpu++) {
        struct pv_probe_counters c;

        assert_int_equal(pv_probe_counters(probe, cpu, &c), 0);
        delivered[cpu] = c.delivered;
    }
    pv_probe_close(probe, false);
    pids[2] = run("/bin/true", NULL);
    open_probe(0, &info);
    assert_true(info.reused);
    forget();
    collect(false);
    assert_true(log_of.n > before); /* all of it again, and more */
    for (int i = 0; i < 3; i++)
        assert_int_equal(count_of(PV_K_PROC_FORK, "host_pid", (uint64_t)pids[i]), 1);
    assert_int_equal(next_of(0, PV_K_GAP), -1);
    pv_probe_close(probe, false);
    open_probe(0, &info);
    for (uint32_t cpu = 0; cpu < info.n_cpus && cpu < 64; cpu++)
        pv_probe_resume(probe, cpu, delivered[cpu]);
    forget();
    collect(true);
    /* the log's counters tell what it has already */
    assert_int_equal(with_number(PV_K_PROC_FORK, "host_pid", (uint64_t)pids[1]), -1);
    assert_true(with_number(PV_K_PROC_FORK, "host_pid", (uint64_t)pids[2]) >= 0);
    assert_int_equal(next_of(0, PV_K_GAP), -1);
    forget();
    collect(true);
    assert_int_equal(log_of.n, 0);
}

static void test_strangers_are_not_recorded(void **state)
{
    struct pv_err err = PV_ERR_INIT;

    (void)state;
    assert_int_equal(pv_probe_untrace(probe, getpid(), &err), 0);
    (void)run("/bin/cat", "secret", NULL);
    collect(true);
    assert_int_equal(log_of.n, 0);
}

static int write_inputs(void **state)
{
    char zeros[4001];

    (void)state;
    memset(zeros, '0', sizeof zeros);
    zeros[4000] = 0;
    put_file("secret", "the secret\n");
    put_file("secret2", "another\n");
    put_file("forbidden", "no\n");
    put_file("zeros", zeros);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strncmp(argv[1], "act", 3) == 0)
        _exit(act(strcmp(argv[1], "act") == 0)); /* no leak check: it traces */

    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_process_tree, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_pipe_carries_dependency, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_names, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_mapped_read, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_shared_mapping, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_network, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_attempts, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_threads, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_reduction_keeps_totals, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_stream_reads_are_merged, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_write_precedes_its_readers, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_namespaces, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_ways_around, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_strangers_are_not_recorded, with_probe, without_probe),
        cmocka_unit_test_teardown(test_loss_is_exact, without_probe),
        cmocka_unit_test_teardown(test_survives_kill, without_probe),
    };

    return RUN_WITNESS_TESTS("witness", tests, write_inputs);
}
