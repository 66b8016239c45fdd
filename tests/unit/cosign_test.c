/* Cosignatures, and what a witness signs and refuses, against real logs. */
#include "log_fixture.h"

#include "pv/io.h"
#include "pv/own.h"
#include "pv/published.h"
#include "pv/witness.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOW = 1700000000 };
static struct log_fixture f;
static struct pv_cosigner_key witness_key;
static int witness_fd = -1;
static struct pv_err err;

static int setup(void **state)
{
    (void)state;
    struct pv_cosigner c;
    err = PV_ERR_INIT;
    fixture_init(&f);
    fixture_open(&f);
    assert_int_equal(mkdirat(f.dir_fd, "witness", 0700), 0);
    witness_fd = openat(f.dir_fd, "witness", O_RDONLY | O_DIRECTORY);
    assert_int_equal(pv_cosigner_create(&c, witness_fd, "witness.key", "example.org/w1", &err), 0);
    witness_key = c.key;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close(witness_fd);
    fixture_done(&f);
    return 0;
}

static struct pv_witness *open_witness(void)
{
    struct pv_witness *w = NULL;
    if (pv_witness_open(&w, witness_fd, pv_log_key(f.log), &err) < 0)
        fail_msg("%s", err.text);
    return w;
}

static int follow(struct pv_witness *w, uint64_t now)
{
    struct pv_log_source source = pv_log_source_dir(&f.log_fd);
    int rc = pv_witness_follow(w, &source, now, 0, &err);
    if (rc < 0)
        fail_msg("%s", err.text);
    return rc;
}

static void grow(unsigned n)
{
    fixture_append(&f, n);
    fixture_commit(&f);
}

/* The example in c2sp.org/tlog-cosignature is only for show; the layout is checked here, and the
 * signature itself by other software in integration.cosign. */
static void a_cosignature_is_found_and_bound_to_its_time_and_text(void **state)
{
    (void)state;
    static const char text[] = "example.com/log\n3\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    static const uint8_t seed[32] = {7};
    struct pv_cosigner c;
    pv_autobuf struct pv_buf note, line, printed;
    uint64_t at = 0;
    pv_buf_init(&note, PV_NOTE_MAX);
    pv_buf_init(&line, PV_NOTE_MAX);
    pv_buf_init(&printed, PV_NOTE_MAX);
    assert_int_equal(pv_cosigner_init(&c, "w", seed, &err), 0);
    assert_int_equal(pv_cosign(&c, NOW, text, sizeof text - 1, &line, &err), 0);
    pv_buf_raw(&note, text, sizeof text - 1);
    pv_buf_raw(&note, "\n", 1);
    pv_buf_raw(&note, line.data, line.len);
    assert_int_equal(pv_cosignature_check(&c.key, note.data, note.len, &at, &err), 0);
    assert_int_equal(at, NOW);
    for (size_t i = 0; i < note.len; i++) {
        note.data[i] ^= 1;
        assert_true(pv_cosignature_check(&c.key, note.data, note.len, &at, &err) < 0);
        note.data[i] ^= 1;
    }
    assert_int_equal(pv_cosignature_check(&witness_key, note.data, note.len, &at, &err), -ENOKEY);
    struct pv_cosigner_key again;
    pv_cosigner_key_print(&c.key, &printed);
    pv_buf_raw(&printed, "\n", 1);
    assert_int_equal(pv_cosigner_key_parse((const char *)printed.data, printed.len, &again, &err),
                     0);
    assert_memory_equal(&again, &c.key, sizeof again);
    struct pv_note_key log_key;
    assert_int_equal(pv_note_key_parse((const char *)printed.data, printed.len, &log_key, &err),
                     -EBADMSG);
}

/* A checkpoint of the log with cosignatures of n witnesses, from that one on. */
static void make_note(unsigned first, unsigned n, struct pv_buf *ret)
{
    const char *text;
    size_t len;
    fixture_read(&f, "checkpoint", ret);
    pv_autobuf struct pv_buf copy;
    pv_buf_init(&copy, PV_NOTE_MAX);
    pv_buf_raw(&copy, ret->data, ret->len);
    assert_int_equal(pv_note_open(pv_log_key(f.log), copy.data, copy.len, &text, &len, &err), 0);
    for (unsigned i = 0; i < n; i++) {
        struct pv_cosigner c;
        uint8_t seed[32] = {(uint8_t)(first + i)};
        assert_int_equal(pv_cosigner_init(&c, "w", seed, &err), 0);
        assert_int_equal(pv_cosign(&c, NOW, text, len, ret, &err), 0);
    }
}

static void the_most_cosigned_checkpoint_is_chosen(void **state)
{
    (void)state;
    struct pv_buf notes[4];
    struct pv_signed_checkpoint under;
    grow(10);
    make_note(1, 2, &notes[0]);
    grow(10);
    make_note(1, 1, &notes[1]);
    make_note(2, 2, &notes[2]);
    make_note(1, 1, &notes[3]);
    grow(10);
    /* 20 entries have three witnesses together, 10 have two, the newest none */
    assert_int_equal(pv_log_latest(f.log_fd, pv_log_key(f.log), &under, &err), 0);
    assert_int_equal(under.at.size, 30);
    assert_int_equal(pv_checkpoint_cosigned(pv_log_key(f.log), notes, 4, 5, &under, &err), 0);
    assert_int_equal(under.at.size, 20);
    assert_int_equal(under.cosignatures, 3);
    for (uint8_t i = 1; i <= 3; i++) {
        struct pv_cosigner c;
        uint8_t seed[32] = {i};
        uint64_t at;
        assert_int_equal(pv_cosigner_init(&c, "w", seed, &err), 0);
        assert_int_equal(pv_cosignature_check(&c.key, under.note, under.len, &at, &err), 0);
    }
    /* what does not lie under one is left to the published checkpoint */
    assert_int_equal(pv_log_latest(f.log_fd, pv_log_key(f.log), &under, &err), 0);
    assert_int_equal(pv_checkpoint_cosigned(pv_log_key(f.log), notes, 4, 20, &under, &err), 0);
    assert_int_equal(under.at.size, 30);
    assert_int_equal(under.cosignatures, 0);
    notes[0].data[3] ^= 1;
    assert_true(pv_checkpoint_cosigned(pv_log_key(f.log), notes, 4, 5, &under, &err) < 0);
    for (unsigned i = 0; i < 4; i++)
        pv_buf_done(&notes[i]);
}

/* What that witness says of another text. */
static void add_junk(const char *name, unsigned when, struct pv_buf *note)
{
    struct pv_cosigner c;
    const uint8_t seed[32] = {1};
    assert_int_equal(pv_cosigner_init(&c, name, seed, &err), 0);
    assert_int_equal(pv_cosign(&c, when, "junk\n", 5, note, &err), 0);
}

/* Lines that anybody can add take neither the place nor the worth of good ones. */
static void junk_lines_displace_no_cosignature(void **state)
{
    (void)state;
    struct pv_buf notes[2];
    struct pv_signed_checkpoint under;
    struct pv_cosigner c;
    uint64_t at = 0;
    const uint8_t seed[32] = {1};
    grow(10);
    fixture_read(&f, "checkpoint", &notes[0]);
    assert_int_equal(pv_cosigner_init(&c, "w", seed, &err), 0);
    add_junk("w", 1, &notes[0]);
    for (unsigned i = 1; i < 15; i++) {
        char name[8];
        snprintf(name, sizeof name, "x%u", i);
        add_junk(name, i, &notes[0]);
    }
    make_note(1, 1, &notes[1]);
    assert_int_equal(pv_log_latest(f.log_fd, pv_log_key(f.log), &under, &err), 0);
    assert_int_equal(pv_checkpoint_cosigned(pv_log_key(f.log), notes, 2, 5, &under, &err), 0);
    if (pv_cosignature_check(&c.key, under.note, under.len, &at, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(at, NOW);
    assert_int_equal(pv_cosignature_check(&c.key, notes[0].data, notes[0].len, &at, &err),
                     -EKEYREJECTED);
    pv_buf_done(&notes[0]);
    pv_buf_done(&notes[1]);
}

/* Many lines of one key in a note count once. */
static void a_note_counts_a_key_once(void **state)
{
    (void)state;
    pv_autobuf struct pv_buf note;
    struct pv_signed_checkpoint under;
    grow(10);
    make_note(1, 1, &note);
    for (unsigned i = 0; i < 3; i++)
        add_junk("w", i, &note);
    assert_int_equal(pv_log_latest(f.log_fd, pv_log_key(f.log), &under, &err), 0);
    assert_int_equal(pv_checkpoint_cosigned(pv_log_key(f.log), &note, 1, 5, &under, &err), 0);
    assert_int_equal(under.cosignatures, 1);
}

static void a_growing_log_is_cosigned(void **state)
{
    (void)state;
    pv_auto_witness struct pv_witness *w = open_witness();
    struct pv_checkpoint c;
    uint64_t at;
    size_t len;
    for (unsigned i = 1; i < 40; i++) {
        grow(i * 7 % 61 + 1);
        assert_int_equal(follow(w, NOW + i), PV_WITNESS_COSIGNED);
        assert_int_equal(pv_witness_size(w), pv_log_size(f.log));
        const uint8_t *note = pv_witness_note(w, &len);
        assert_int_equal(pv_cosignature_check(&witness_key, note, len, &at, &err), 0);
        assert_int_equal(at, NOW + i);
        assert_int_equal(pv_checkpoint_open(pv_log_key(f.log), note, len, &c, &err), 0);
    }
    struct pv_log_source source = pv_log_source_dir(&f.log_fd);
    assert_int_equal(pv_witness_follow(w, &source, NOW + 50, 60, &err), PV_WITNESS_UNCHANGED);
    assert_int_equal(follow(w, NOW + 100), PV_WITNESS_COSIGNED); /* the same, renewed */
}

static void what_was_signed_is_remembered(void **state)
{
    (void)state;
    struct pv_witness *w = open_witness(), *second = NULL;
    grow(20);
    assert_int_equal(follow(w, NOW), PV_WITNESS_COSIGNED);
    assert_int_equal(pv_witness_open(&second, witness_fd, pv_log_key(f.log), &err), -EBUSY);
    pv_witness_free(w);
    w = open_witness();
    assert_int_equal(pv_witness_size(w), 20);
    pv_witness_free(w);
    /* a memory that was changed is none: such a witness would sign anything */
    int fd = openat(witness_fd, "checkpoint", O_WRONLY);
    assert_int_equal(pwrite(fd, "9", 1, 25), 1);
    close(fd);
    assert_true(pv_witness_open(&w, witness_fd, pv_log_key(f.log), &err) < 0);
}

/* A second history of the same log, by the same key. */
static void replace_log(unsigned entries)
{
    char command[160];
    fixture_close(&f);
    snprintf(command, sizeof command, "rm -rf %s/log/*", f.dir);
    assert_int_equal(system(command), 0);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t k0[32] = {(uint8_t)(i + 100)};
        pv_ratchet_init(&f.domain[i].ratchet, k0);
        f.domain[i].dseq = 0;
    }
    fixture_open(&f);
    grow(entries);
}

static void a_fork_is_refused_and_kept(void **state)
{
    (void)state;
    pv_auto_witness struct pv_witness *w = open_witness();
    grow(300);
    assert_int_equal(follow(w, NOW), PV_WITNESS_COSIGNED);
    replace_log(400); /* longer: only the proof can tell */
    assert_int_equal(follow(w, NOW), PV_WITNESS_FORK);
    assert_int_equal(pv_witness_size(w), 300);
    assert_int_equal(faccessat(witness_fd, "conflict", R_OK, 0), 0);
    assert_int_equal(faccessat(witness_fd, "conflict.seen", R_OK, 0), 0);
    replace_log(300); /* of the same size */
    assert_int_equal(follow(w, NOW), PV_WITNESS_FORK);
}

/* Anybody may bring a checkpoint that the log signed and has not published yet. */
static void behind_is_a_rollback_only_when_it_lasts(void **state)
{
    (void)state;
    pv_auto_witness struct pv_witness *w = open_witness();
    pv_autobuf struct pv_buf published;
    grow(300);
    fixture_read(&f, "checkpoint", &published);
    grow(100);
    assert_int_equal(follow(w, NOW), PV_WITNESS_COSIGNED);
    fixture_write(&f, "checkpoint", published.data, published.len);
    assert_int_equal(follow(w, NOW), PV_WITNESS_UNCHANGED); /* the tiles have it all */
    assert_int_equal(follow(w, NOW + 100), PV_WITNESS_UNCHANGED);
    assert_int_equal(renameat(f.log_fd, "tile", f.log_fd, "away"), 0);
    assert_int_equal(follow(w, NOW + 200), PV_WITNESS_BEHIND);
    assert_int_equal(follow(w, NOW + 202), PV_WITNESS_BEHIND);
    assert_int_equal(faccessat(witness_fd, "rollback", R_OK, 0), -1);
    assert_int_equal(follow(w, NOW + 203), PV_WITNESS_ROLLBACK);
    assert_int_equal(faccessat(witness_fd, "rollback", R_OK, 0), 0);
    assert_int_equal(faccessat(witness_fd, "rollback.seen", R_OK, 0), 0);
    assert_int_equal(renameat(f.log_fd, "away", f.log_fd, "tile"), 0);
    assert_int_equal(follow(w, NOW + 204), PV_WITNESS_UNCHANGED);
    replace_log(299);
    assert_int_equal(follow(w, NOW + 300), PV_WITNESS_BEHIND);
    assert_int_equal(follow(w, NOW + 303), PV_WITNESS_ROLLBACK);
    /* the fork's evidence has its own place */
    assert_int_equal(faccessat(witness_fd, "conflict", R_OK, 0), -1);
    grow(300);
    assert_int_equal(follow(w, NOW + 304), PV_WITNESS_FORK);
    assert_int_equal(faccessat(witness_fd, "conflict", R_OK, 0), 0);
}

static void broken_tiles_are_no_fork(void **state)
{
    (void)state;
    pv_auto_witness struct pv_witness *w = open_witness();
    grow(600);
    assert_int_equal(follow(w, NOW), PV_WITNESS_COSIGNED);
    grow(5);
    int fd = openat(f.log_fd, "tile/1/000.p/2", O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "x", 1, 40), 1);
    assert_int_equal(follow(w, NOW), PV_WITNESS_BAD_TILE);
    assert_int_equal(ftruncate(fd, 0), 0);
    close(fd);
    assert_int_equal(follow(w, NOW), PV_WITNESS_BAD_TILE);
    assert_int_equal(faccessat(witness_fd, "conflict", R_OK, 0), -1);
}

static int add(struct pv_witness *w, uint64_t old, const struct pv_proof *p,
               const struct pv_buf *note)
{
    pv_autobuf struct pv_buf line;
    pv_buf_init(&line, PV_NOTE_MAX);
    int rc = pv_witness_add(w, old, p, note->data, note->len, NOW, &line, &err);
    assert_int_equal(line.len > 0, rc == PV_WITNESS_COSIGNED);
    return rc;
}

/* A note may carry sixteen signature lines, of anybody: the witness must not store what it could
 * not read again with its own line. */
static void lines_of_others_do_not_stay(void **state)
{
    (void)state;
    struct pv_witness *w = open_witness();
    pv_autobuf struct pv_buf note;
    const struct pv_proof none = {.n = 0};
    grow(10);
    fixture_read(&f, "checkpoint", &note);
    size_t start = note.len;
    while (note.data[start - 2] != '\n')
        start--;
    start--;
    size_t own = note.len - start;
    uint8_t line[512];
    assert_true(own < sizeof line);
    memcpy(line, note.data + start, own);
    for (unsigned i = 0; i < 10; i++)
        pv_buf_printf(&note, "\xe2\x80\x94 %s AAAA%064u\n", pv_log_key(f.log)->name, i);
    for (unsigned i = 0; i < 5; i++)
        pv_buf_raw(&note, line, own); /* the right one, again and again */
    assert_int_equal(add(w, 0, &none, &note), PV_WITNESS_COSIGNED);
    pv_witness_free(w);
    w = open_witness();
    assert_int_equal(pv_witness_size(w), 10);
    pv_witness_free(w);
}

/* Whoever stole a key before it was given up signs on with it. */
static void a_key_that_was_given_up_is_not_cosigned(void **state)
{
    (void)state;
    struct pv_witness *w = NULL;
    pv_autobuf struct pv_buf old, stolen;
    struct pv_proof proof;
    struct pv_note_key first = *pv_log_key(f.log);
    grow(10);
    assert_int_equal(pv_witness_open(&w, witness_fd, &first, &err), 0);
    assert_int_equal(follow(w, NOW), PV_WITNESS_COSIGNED);
    fixture_rotate(&f, &old);
    assert_int_equal(pv_log_publish(f.log, true, &err), 0);
    assert_int_equal(follow(w, NOW), PV_WITNESS_COSIGNED);
    assert_int_equal(pv_witness_size(w), 11);
    fixture_steal(&f, &old);
    grow(5);
    fixture_read(&f, "checkpoint", &stolen);
    pv_auto_tree_reader struct pv_tree_reader *r = NULL;
    assert_int_equal(pv_tree_reader_open(&r, f.log_fd, 16, &err), 0);
    assert_int_equal(pv_tree_consistency(r, 11, &proof, &err), 0);
    assert_int_equal(follow(w, NOW), PV_WITNESS_UNKNOWN_KEY);
    assert_int_equal(add(w, 11, &proof, &stolen), PV_WITNESS_UNKNOWN_KEY);
    pv_witness_free(w);
    /* nor by one that starts again with the key it was given */
    assert_int_equal(pv_witness_open(&w, witness_fd, &first, &err), 0);
    assert_int_equal(add(w, 11, &proof, &stolen), PV_WITNESS_UNKNOWN_KEY);
    assert_int_equal(pv_witness_size(w), 11);
    pv_witness_free(w);
}

/* A copy from before the change of key, by whoever knows the key before: the first is the only one
 * given, or stands beside the newer. */
static void a_rollback_beyond_a_change_of_key_is_one(void **state)
{
    (void)state;
    struct pv_witness *w = NULL;
    pv_autobuf struct pv_buf old, published, key_text;
    struct pv_note_key first = *pv_log_key(f.log), both;
    grow(10);
    fixture_read(&f, "checkpoint", &published);
    grow(10);
    fixture_rotate(&f, &old);
    assert_int_equal(pv_log_publish(f.log, true, &err), 0);
    fixture_read(&f, "log.pub", &key_text);
    assert_int_equal(pv_note_key_parse((const char *)key_text.data, key_text.len, &both, &err), 0);
    const struct pv_note_key *given[] = {&first, &both};
    assert_int_equal(pv_witness_open(&w, witness_fd, &first, &err), 0);
    assert_int_equal(follow(w, NOW), PV_WITNESS_COSIGNED);
    pv_witness_free(w);
    assert_int_equal(renameat(f.log_fd, "tile", f.log_fd, "away"), 0);
    assert_int_equal(unlinkat(f.log_fd, "rotations", 0), 0);
    fixture_write(&f, "checkpoint", published.data, published.len);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pv_witness_open(&w, witness_fd, given[i], &err), 0);
        assert_int_equal(follow(w, NOW + 100), PV_WITNESS_BEHIND);
        assert_int_equal(follow(w, NOW + 103), PV_WITNESS_ROLLBACK);
        assert_int_equal(unlinkat(witness_fd, "rollback", 0), 0);
        assert_int_equal(unlinkat(witness_fd, "rollback.seen", 0), 0);
        pv_witness_free(w);
    }
}

/* Each answer of c2sp.org/tlog-witness. */
static void requests_are_answered_as_specified(void **state)
{
    (void)state;
    pv_auto_witness struct pv_witness *w = open_witness();
    pv_auto_tree_reader struct pv_tree_reader *r = NULL;
    pv_autobuf struct pv_buf first, second;
    struct pv_proof none = {.n = 0}, proof;
    grow(10);
    fixture_read(&f, "checkpoint", &first);
    grow(10);
    fixture_read(&f, "checkpoint", &second);
    assert_int_equal(pv_tree_reader_open(&r, f.log_fd, 20, &err), 0);
    assert_int_equal(pv_tree_consistency(r, 10, &proof, &err), 0);
    assert_int_equal(add(w, 0, &proof, &first), PV_WITNESS_BAD_PROOF); /* must be empty */
    assert_int_equal(add(w, 11, &none, &first), PV_WITNESS_MALFORMED);
    assert_int_equal(add(w, 5, &none, &first), PV_WITNESS_OTHER_SIZE);
    assert_int_equal(add(w, 0, &none, &first), PV_WITNESS_COSIGNED);
    assert_int_equal(add(w, 0, &none, &second), PV_WITNESS_OTHER_SIZE);
    assert_int_equal(add(w, 10, &none, &second), PV_WITNESS_BAD_PROOF);
    proof.hash[0][0] ^= 1;
    assert_int_equal(add(w, 10, &proof, &second), PV_WITNESS_BAD_PROOF);
    proof.hash[0][0] ^= 1;
    assert_int_equal(add(w, 10, &none, &first), PV_WITNESS_COSIGNED); /* again, renewed */
    assert_int_equal(add(w, 10, &proof, &second), PV_WITNESS_COSIGNED);
    assert_int_equal(add(w, 10, &proof, &first), PV_WITNESS_OTHER_SIZE); /* no way back */
    uint8_t *letter = second.data + second.len - 10, was = *letter;
    *letter = was == 'A' ? 'B' : 'A';
    assert_int_equal(add(w, 20, &none, &second), PV_WITNESS_BAD_SIGNATURE);
    *letter = was;
    second.data[0] ^= 1;
    assert_int_equal(add(w, 20, &none, &second), PV_WITNESS_UNKNOWN_ORIGIN);
    second.len = 5;
    assert_int_equal(add(w, 20, &none, &second), PV_WITNESS_MALFORMED);
}

static void a_body_is_taken_apart_strictly(void **state)
{
    (void)state;
    struct pv_witness_request q;
#define HASH "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    static const char *const bad[] = {"",
                                      "old\n\nx\n",
                                      "old 01\n\nx\n",
                                      "old 1\n",
                                      "old 1\n\n",
                                      "older 1\n\nx\n",
                                      "old 1\nAAAA\n\nx\n",
                                      "old 18446744073709551616\n\nx\n",
                                      "old 1 \n\nx\n"};
    static const char good[] = "old 18446744073709551615\n" HASH HASH "\nnote\n";
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (pv_witness_request_parse(bad[i], strlen(bad[i]), &q, &err) != -EBADMSG)
            fail_msg("taken: %s", bad[i]);
    assert_int_equal(pv_witness_request_parse(good, sizeof good - 1, &q, &err), 0);
    assert_int_equal(q.proof.n, 2);
    assert_true(q.old_size == UINT64_MAX);
    assert_int_equal(q.note_len, 5);
    pv_autobuf struct pv_buf many;
    pv_buf_init(&many, 1 << 16);
    pv_buf_printf(&many, "old 1\n");
    for (unsigned i = 0; i < 64; i++)
        pv_buf_printf(&many, HASH);
    pv_buf_printf(&many, "\nnote\n");
    assert_int_equal(pv_witness_request_parse(many.data, many.len, &q, &err), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_cosignature_is_found_and_bound_to_its_time_and_text,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(the_most_cosigned_checkpoint_is_chosen, setup, teardown),
        cmocka_unit_test_setup_teardown(junk_lines_displace_no_cosignature, setup, teardown),
        cmocka_unit_test_setup_teardown(a_note_counts_a_key_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rollback_beyond_a_change_of_key_is_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_growing_log_is_cosigned, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_signed_is_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fork_is_refused_and_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(behind_is_a_rollback_only_when_it_lasts, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_of_others_do_not_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_that_was_given_up_is_not_cosigned, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_tiles_are_no_fork, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_are_answered_as_specified, setup, teardown),
        cmocka_unit_test_setup_teardown(a_body_is_taken_apart_strictly, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
