#include "log_fixture.h"

#include "pv/bundle.h"
#include "pv/io.h"
#include "pv/verify.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ENTRIES = 30, PER_CHECKPOINT = 10 };
static struct log_fixture f;
static struct pv_note_key key;

static int setup(void **state)
{
    (void)state;
    fixture_init(&f);
    fixture_open(&f);
    key = *pv_log_key(f.log);
    for (unsigned i = 0; i < ENTRIES; i += PER_CHECKPOINT) {
        fixture_append(&f, PER_CHECKPOINT);
        fixture_commit(&f);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_done(&f);
    return 0;
}

static struct pv_verify_result verify_with(const struct pv_verify_options *opt)
{
    struct pv_verify_result res, again;
    struct pv_verify_options several = *opt;
    struct pv_err err = PV_ERR_INIT;
    if (pv_verify_log(f.log_fd, opt, &res, &err) < 0)
        fail_msg("%s", err.text);
    /* several threads come to the same */
    several.jobs = 3;
    if (pv_verify_log(f.log_fd, &several, &again, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(again.verdict, res.verdict);
    assert_int_equal(again.first_bad_seq, res.first_bad_seq);
    assert_string_equal(again.text, res.text);
    return res;
}

static struct pv_verify_result verify(void)
{
    struct pv_verify_options opt = {.key = &key};
    return verify_with(&opt);
}

static void expect(enum pv_verdict verdict, uint64_t seq)
{
    struct pv_verify_result res = verify();
    if (res.verdict != verdict)
        fail_msg("verdict %s, not %s: %s", pv_verdict_name(res.verdict), pv_verdict_name(verdict),
                 res.text);
    assert_true(res.has_seq);
    assert_int_equal(res.first_bad_seq, seq);
}

static void a_good_log_is_ok(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    uint8_t root[32];
    pv_log_root(f.log, root);
    fixture_append(&f, 3);
    assert_int_equal(pv_log_write(f.log, &err), 0);
    struct pv_verify_result res = verify();
    assert_int_equal(res.verdict, PV_VERDICT_OK);
    assert_int_equal(res.signed_entries, ENTRIES);
    assert_int_equal(res.entries, ENTRIES + 3);
    assert_int_equal(res.checkpoints, 3);
    assert_int_equal(res.domains, 2);
    assert_int_equal(res.open_domains, 2);
    assert_memory_equal(res.root, root, 32);
}

/* Any single byte of any entry. */
static void every_edited_byte_is_found_and_named(void **state)
{
    (void)state;
    pv_autobuf struct pv_buf whole;
    fixture_read(&f, "journal/000000", &whole);
    for (uint64_t seq = 0; seq < ENTRIES; seq += 7) {
        long start;
        size_t len;
        fixture_write(&f, "journal/000000", whole.data, whole.len);
        fixture_place(&f, seq, &start, &len);
        for (size_t i = 2; i < len; i += 5) {
            whole.data[(size_t)start + i] ^= 0x10;
            fixture_write(&f, "journal/000000", whole.data, whole.len);
            expect(PV_VERDICT_EDITED, seq);
            whole.data[(size_t)start + i] ^= 0x10;
        }
    }
}

static void an_impossible_length_is_named(void **state)
{
    (void)state;
    pv_autobuf struct pv_buf whole;
    long start;
    size_t len;
    fixture_read(&f, "journal/000000", &whole);
    fixture_place(&f, 12, &start, &len);
    memset(whole.data + start, 0xff, 2);
    fixture_write(&f, "journal/000000", whole.data, whole.len);
    expect(PV_VERDICT_EDITED, 12);
}

static void edits_with_the_cache_edited_too_are_found(void **state)
{
    (void)state;
    pv_autobuf struct pv_buf whole, leaves;
    long start;
    size_t len;
    fixture_read(&f, "journal/000000", &whole);
    fixture_read(&f, "journal/000000.leaves", &leaves);
    fixture_place(&f, 15, &start, &len);
    whole.data[start + (long)len - 40] ^= 1;
    pv_leaf_hash(whole.data + start + 2, len - 2, leaves.data + 15 * 32);
    fixture_write(&f, "journal/000000", whole.data, whole.len);
    fixture_write(&f, "journal/000000.leaves", leaves.data, leaves.len);
    struct pv_verify_result res = verify();
    assert_int_equal(res.verdict, PV_VERDICT_EDITED);
    assert_int_equal(res.first_bad_seq, 10); /* "between 10 and 19" */
    assert_non_null(strstr(res.text, "between 10 and 19"));
}

/* Rewrites segment 0 from the entries listed; order ends with UINT64_MAX. */
static void rewrite(const uint64_t *order)
{
    pv_autobuf struct pv_buf whole, out;
    fixture_read(&f, "journal/000000", &whole);
    pv_buf_init(&out, 1 << 24);
    for (; *order != UINT64_MAX; order++) {
        long start;
        size_t len;
        fixture_place(&f, *order, &start, &len);
        pv_buf_raw(&out, whole.data + start, len);
    }
    fixture_write(&f, "journal/000000", out.data, out.len);
}

static void listed(uint64_t *order)
{
    for (uint64_t i = 0; i < ENTRIES; i++)
        order[i] = i;
    order[ENTRIES] = UINT64_MAX;
}

static void a_swap_is_a_reordering(void **state)
{
    (void)state;
    uint64_t order[ENTRIES + 1];
    listed(order);
    order[13] = 16;
    order[16] = 13;
    rewrite(order);
    expect(PV_VERDICT_REORDERED, 13);
}

static void a_missing_entry_is_a_deletion(void **state)
{
    (void)state;
    uint64_t order[ENTRIES + 1];
    listed(order);
    memmove(order + 14, order + 15, (ENTRIES - 14) * sizeof *order);
    rewrite(order);
    expect(PV_VERDICT_DELETED, 14);
}

static void a_doubled_entry_is_an_insertion(void **state)
{
    (void)state;
    uint64_t order[ENTRIES + 2];
    listed(order);
    memmove(order + 15, order + 14, (ENTRIES + 1 - 14) * sizeof *order);
    order[14] = 2;
    rewrite(order);
    expect(PV_VERDICT_INSERTED, 14);
}

static void a_cut_log_is_truncated(void **state)
{
    (void)state;
    for (uint64_t n = ENTRIES - 1; n > 0; n -= 6) {
        uint64_t order[ENTRIES + 1];
        listed(order);
        order[n] = UINT64_MAX;
        rewrite(order);
        expect(PV_VERDICT_TRUNCATED, n);
        if (n < 6)
            break;
    }
}

static void cut_checkpoints_are_truncation(void **state)
{
    (void)state;
    pv_autobuf struct pv_buf notes;
    fixture_read(&f, "checkpoints", &notes);
    size_t first = 2 + ((size_t)notes.data[0] << 8 | notes.data[1]);
    struct pv_err err = PV_ERR_INIT;
    assert_int_equal(pv_log_publish(f.log, true, &err), 0);
    fixture_write(&f, "checkpoints", notes.data, first);
    expect(PV_VERDICT_TRUNCATED, PER_CHECKPOINT);
}

/* Without any checkpoint left everything could be changed; a few unsigned entries are a crash,
 * thousands are not. */
static void removed_checkpoints_are_truncation(void **state)
{
    (void)state;
    fixture_append(&f, 9000);
    fixture_commit(&f);
    assert_int_equal(verify().verdict, PV_VERDICT_OK);
    fixture_write(&f, "checkpoints", "", 0);
    (void)unlinkat(f.log_fd, "checkpoint", 0);
    expect(PV_VERDICT_TRUNCATED, 0);
    /* without the file it is no better; without anything it is no log */
    assert_int_equal(unlinkat(f.log_fd, "checkpoints", 0), 0);
    expect(PV_VERDICT_TRUNCATED, 0);
    struct pv_verify_options opt = {.key = &key};
    struct pv_verify_result res;
    struct pv_err err = PV_ERR_INIT;
    assert_int_equal(pv_verify_log(f.key_fd, &opt, &res, &err), -ENOENT);
}

/* The journal makes up for them, for this reader alone. */
static void missing_static_files_are_said(void **state)
{
    (void)state;
    fixture_append(&f, 600);
    fixture_commit(&f);
    assert_false(verify().tiles_missing);
    assert_int_equal(renameat(f.log_fd, "tile/0/001", f.dir_fd, "away"), 0);
    struct pv_verify_result res = verify();
    assert_int_equal(res.verdict, PV_VERDICT_OK);
    assert_true(res.tiles_missing);
    assert_int_equal(renameat(f.dir_fd, "away", f.log_fd, "tile/0/001"), 0);
    assert_false(verify().tiles_missing);
    assert_int_equal(renameat(f.log_fd, "tile", f.dir_fd, "away"), 0);
    assert_int_equal(verify().verdict, PV_VERDICT_OK);
    assert_true(verify().tiles_missing);
}

static void checkpoint_faults_have_their_names(void **state)
{
    (void)state;
    pv_autobuf struct pv_buf notes;
    struct pv_note_signer other;
    struct pv_err err = PV_ERR_INIT;
    uint8_t seed[32] = {9};
    fixture_read(&f, "checkpoints", &notes);
    assert_int_equal(pv_note_signer_init(&other, key.name, seed, &err), 0);
    struct pv_verify_options opt = {.key = &other.key};
    assert_int_equal(verify_with(&opt).verdict, PV_VERDICT_UNKNOWN_KEY);
    assert_true(verify_with(&opt).has_seq);
    char *size = memmem(notes.data, notes.len, "\n20\n", 4);
    assert_non_null(size);
    size[1] = '1';
    fixture_write(&f, "checkpoints", notes.data, notes.len);
    struct pv_verify_result res = verify();
    assert_int_equal(res.verdict, PV_VERDICT_BAD_SIGNATURE);
    assert_int_equal(res.checkpoints, 1);
    expect(PV_VERDICT_BAD_SIGNATURE, PER_CHECKPOINT);
    notes.data[0] = 0xff;
    fixture_write(&f, "checkpoints", notes.data, notes.len);
    expect(PV_VERDICT_BAD_CHECKPOINT, 0);
}

/* Appends a checkpoint that the log's own key signs. */
static void forge(uint64_t size, const uint8_t root[32])
{
    pv_autobuf struct pv_buf notes, note, secret;
    struct pv_note_signer signer;
    struct pv_err err = PV_ERR_INIT;
    uint8_t seed[33];
    size_t n;
    fixture_read(&f, "checkpoints", &notes);
    pv_buf_init(&secret, 512);
    pv_buf_init(&note, PV_NOTE_MAX);
    assert_int_equal(pv_read_file_at(f.key_fd, "log.key", &secret, &err), 0);
    /* PRIVATE+KEY+NAME+HASH+BASE64; the last part may hold a '+' of its own */
    const char *text = (const char *)secret.data, *last = text - 1;
    for (unsigned i = 0; i < 4; i++)
        assert_non_null(last = memchr(last + 1, '+', secret.len - (size_t)(last + 1 - text)));
    size_t len = secret.len - (size_t)(last + 1 - text);
    assert_int_equal(sodium_base642bin(seed, sizeof seed, last + 1, len, "\n", &n, NULL,
                                       sodium_base64_VARIANT_ORIGINAL),
                     0);
    assert_int_equal(pv_note_signer_init(&signer, key.name, seed + 1, &err), 0);
    assert_int_equal(pv_checkpoint_sign(&signer, NULL, size, root, &note, &err), 0);
    pv_buf_u16(&notes, (uint16_t)note.len);
    pv_buf_raw(&notes, note.data, note.len);
    fixture_write(&f, "checkpoints", notes.data, notes.len);
    pv_note_signer_done(&signer);
}

static void one_size_with_two_roots_is_a_fork(void **state)
{
    (void)state;
    uint8_t root[32] = {1};
    forge(ENTRIES, root);
    expect(PV_VERDICT_FORK, 0);
}

static void checkpoints_must_not_run_backwards(void **state)
{
    (void)state;
    uint8_t root[32] = {1};
    forge(20, root);
    expect(PV_VERDICT_BAD_CHECKPOINT, 20);
}

static void pins_show_rollback_and_fork(void **state)
{
    (void)state;
    struct pv_checkpoint pin = {.size = ENTRIES};
    struct pv_verify_options opt = {.key = &key, .pinned = &pin};
    pv_log_root(f.log, pin.root);
    assert_int_equal(verify_with(&opt).verdict, PV_VERDICT_OK);
    pin.root[5] ^= 1;
    struct pv_verify_result res = verify_with(&opt);
    assert_int_equal(res.verdict, PV_VERDICT_FORK);
    assert_true(res.has_seq && strstr(res.text, "between e0 and e29"));
    pin.root[5] ^= 1;
    pin.size = ENTRIES + 1;
    res = verify_with(&opt);
    assert_int_equal(res.verdict, PV_VERDICT_ROLLBACK);
    assert_true(res.has_seq);
    assert_int_equal(res.first_bad_seq, ENTRIES);
}

static void flip_entry(uint64_t seq)
{
    pv_autobuf struct pv_buf whole;
    long start;
    size_t len;
    fixture_read(&f, "journal/000000", &whole);
    fixture_place(&f, seq, &start, &len);
    whole.data[start + 30] ^= 1;
    fixture_write(&f, "journal/000000", whole.data, whole.len);
}

/* What was verified up to a checkpoint need not be read again. */
static void checking_goes_on_from_a_checkpoint(void **state)
{
    (void)state;
    struct pv_checkpoint since;
    struct pv_verify_options opt = {.key = &key, .since = &since};
    fixture_append(&f, 500);
    fixture_commit(&f);
    since.size = pv_log_size(f.log);
    pv_log_root(f.log, since.root);
    fixture_append(&f, 600);
    fixture_commit(&f);
    struct pv_verify_result res = verify_with(&opt);
    assert_string_equal(pv_verdict_name(res.verdict), "ok");
    assert_int_equal(res.checkpoints, 1);
    assert_int_equal(res.signed_entries, since.size + 600);
    flip_entry(3);
    assert_int_equal(verify_with(&opt).verdict, PV_VERDICT_OK); /* known to be good, not read */
    flip_entry(since.size + 5);
    res = verify_with(&opt);
    assert_int_equal(res.verdict, PV_VERDICT_EDITED);
    assert_int_equal(res.first_bad_seq, since.size + 5);
    since.root[3] ^= 1;
    assert_int_equal(verify_with(&opt).verdict, PV_VERDICT_FORK);
    since.size += 10000;
    assert_int_equal(verify_with(&opt).verdict, PV_VERDICT_ROLLBACK);
}

static void a_hole_in_a_domain_is_a_gap(void **state)
{
    (void)state;
    f.domain[0].dseq += 2;
    fixture_append(&f, 4);
    fixture_commit(&f);
    expect(PV_VERDICT_GAP, ENTRIES);
    assert_non_null(strstr(verify().text, "15 to 16"));
}

static void a_domain_must_begin_with_its_commitment(void **state)
{
    (void)state;
    f.domain[1].id = pv_domain_id_new();
    f.domain[1].dseq = 0;
    fixture_append(&f, 2);
    fixture_commit(&f);
    assert_int_equal(verify().verdict, PV_VERDICT_OK);
    f.domain[1].dseq = 0; /* opened a second time */
    fixture_append(&f, 2);
    fixture_commit(&f);
    expect(PV_VERDICT_BAD_EVENT, ENTRIES + 3);
}

static void put_limit(unsigned i, uint8_t tag_flip)
{
    struct pv_event e;
    pv_event_init(&e, PV_K_LIMIT, NULL);
    pv_event_u64(&e, 1);
    pv_event_text(&e, "memory");
    pv_event_u64(&e, 2);
    fixture_put(&f, i, &e, tag_flip);
}

/* Ends domain 0's epoch as its producer would. */
static void end_epoch(void)
{
    struct pv_event e;
    uint8_t next[32];
    pv_ratchet_next_commitment(&f.domain[0].ratchet, next);
    pv_event_init(&e, PV_K_EPOCH_END, NULL);
    pv_event_bytes(&e, next, sizeof next);
    fixture_put(&f, 0, &e, 0);
    pv_ratchet_next_epoch(&f.domain[0].ratchet);
}

/* Domain 1 discloses what domain 0's epoch began with. */
static void disclose(uint64_t epoch, uint64_t first, const uint8_t key_of_epoch[32])
{
    struct pv_event e;
    pv_event_init(&e, PV_K_KEY_DISCLOSED, NULL);
    pv_event_bytes(&e, f.domain[0].id.bytes, PV_DOMAIN_ID_BYTES);
    pv_event_u64(&e, epoch);
    pv_event_u64(&e, first);
    pv_event_u64(&e, 1);
    pv_event_bytes(&e, key_of_epoch, 32);
    fixture_put(&f, 1, &e, 0);
}

/* The key with which domain 0 began; the fixture's seed is known. */
static void first_key(uint8_t out[32])
{
    const uint8_t seed[32] = {1};
    struct pv_ratchet r;
    pv_ratchet_init(&r, seed);
    memcpy(out, r.key, 32);
}

static void disclosed_keys_show_right_tags(void **state)
{
    (void)state;
    uint8_t first[32], second[32];
    first_key(first);
    end_epoch();
    memcpy(second, f.domain[0].ratchet.key, 32);
    put_limit(0, 0);
    fixture_commit(&f);
    disclose(0, 0, first);
    end_epoch();
    fixture_commit(&f);
    disclose(1, 16, second);
    fixture_commit(&f);
    struct pv_verify_result res = verify();
    assert_string_equal(pv_verdict_name(res.verdict), "ok");
    assert_int_equal(res.rechecked_tags, ENTRIES / 2 + 1 + 2);
}

/* A bundle under a checkpoint from before the disclosure cannot have it. */
static void a_bundle_reaches_to_the_keys_disclosed(void **state)
{
    (void)state;
    const uint64_t seqs[] = {2, 4};
    uint8_t first[32];
    uint64_t last;
    struct pv_err err = PV_ERR_INIT;
    first_key(first);
    end_epoch();
    fixture_commit(&f);
    assert_int_equal(pv_bundle_reach(f.log_fd, ENTRIES + 1, seqs, 2, &last, &err), 0);
    assert_int_equal(last, 4);
    disclose(0, 0, first);
    fixture_commit(&f);
    assert_int_equal(pv_bundle_reach(f.log_fd, ENTRIES + 2, seqs, 2, &last, &err), 0);
    assert_int_equal(last, ENTRIES + 1);
    assert_int_equal(pv_bundle_reach(f.log_fd, ENTRIES + 1, seqs, 2, &last, &err), 0);
    assert_int_equal(last, 4);
}

/* One of another history: nobody could verify it. */
static void a_bundle_is_made_under_a_checkpoint_of_its_log(void **state)
{
    (void)state;
    const uint64_t seqs[] = {2, 4};
    struct pv_signed_checkpoint under;
    struct pv_err err = PV_ERR_INIT;
    pv_autobuf struct pv_buf out;
    pv_buf_init(&out, 1 << 16);
    assert_int_equal(pv_log_latest(f.log_fd, &key, &under, &err), 0);
    assert_int_equal(pv_bundle_make(f.log_fd, &under, NULL, 0, seqs, 2, &out, &err), 0);
    under.at.root[0] ^= 1;
    assert_int_equal(pv_bundle_make(f.log_fd, &under, NULL, 0, seqs, 2, &out, &err), -EBADMSG);
}

static void a_wrong_tag_is_named(void **state)
{
    (void)state;
    uint8_t first[32];
    first_key(first);
    put_limit(0, 1);
    end_epoch();
    fixture_commit(&f);
    assert_int_equal(verify().verdict, PV_VERDICT_OK); /* nobody can know yet */
    disclose(0, 0, first);
    fixture_commit(&f);
    expect(PV_VERDICT_WRONG_TAG, ENTRIES);
}

/* Old events sealed anew with a key of the forger's. */
/* Tags are checked behind the reader: of two that are wrong, far apart, and of other faults, the
 * first event is named, whatever the threads do. */
static void the_first_fault_is_named_whatever_runs_beside(void **state)
{
    (void)state;
    uint8_t first[32];
    enum { FAR = 6000 };
    first_key(first);
    put_limit(0, 0);
    for (unsigned i = 0; i < FAR; i++) {
        put_limit(0, i == 2500 || i == 5000);
        if (i % 500 == 0)
            fixture_commit(&f);
    }
    end_epoch();
    fixture_commit(&f);
    disclose(0, 0, first);
    fixture_commit(&f);
    for (unsigned i = 0; i < 5; i++)
        expect(PV_VERDICT_WRONG_TAG, ENTRIES + 1 + 2500);
    /* a fault that comes later, and one that comes before */
    pv_autobuf struct pv_buf whole;
    long start;
    size_t len;
    fixture_read(&f, "journal/000000", &whole);
    static const uint64_t places[] = {ENTRIES + 4000, ENTRIES + 1300};
    for (unsigned i = 0; i < 2; i++) {
        uint64_t seq = places[i];
        fixture_place(&f, seq, &start, &len);
        whole.data[start + (long)len - 40] ^= 1;
        fixture_write(&f, "journal/000000", whole.data, whole.len);
        bool before = seq < ENTRIES + 2500;
        expect(before ? PV_VERDICT_EDITED : PV_VERDICT_WRONG_TAG,
               before ? seq : ENTRIES + 1 + 2500);
        whole.data[start + (long)len - 40] ^= 1;
    }
}

static void another_key_than_promised_is_noticed(void **state)
{
    (void)state;
    const uint8_t other[32] = {99};
    end_epoch();
    fixture_commit(&f);
    disclose(0, 0, other);
    fixture_commit(&f);
    expect(PV_VERDICT_WRONG_TAG, 0);
}

static void keys_are_not_disclosed_too_soon(void **state)
{
    (void)state;
    uint8_t first[32];
    first_key(first);
    end_epoch();
    disclose(0, 0, first); /* in one batch with the end of the epoch */
    fixture_commit(&f);
    expect(PV_VERDICT_BAD_EVENT, ENTRIES + 1);
}

static void an_epoch_at_hand_is_not_disclosed(void **state)
{
    (void)state;
    uint8_t first[32];
    first_key(first);
    disclose(0, 0, first);
    fixture_commit(&f);
    expect(PV_VERDICT_BAD_EVENT, ENTRIES);
}

static void epochs_do_not_jump(void **state)
{
    (void)state;
    pv_ratchet_next_epoch(&f.domain[0].ratchet); /* without a word */
    put_limit(0, 0);
    fixture_commit(&f);
    expect(PV_VERDICT_BAD_EVENT, ENTRIES);
}

static void an_unfinished_tail_is_said(void **state)
{
    (void)state;
    pv_autobuf struct pv_buf whole;
    fixture_close(&f); /* beside a writer it would be waited for */
    fixture_read(&f, "journal/000000", &whole);
    pv_buf_raw(&whole, "\x00\x80zzz", 5);
    fixture_write(&f, "journal/000000", whole.data, whole.len);
    struct pv_verify_result res = verify();
    assert_int_equal(res.verdict, PV_VERDICT_UNFINISHED_TAIL);
    assert_int_equal(res.torn_bytes, 5);
    expect(PV_VERDICT_UNFINISHED_TAIL, ENTRIES);
    assert_int_equal(res.signed_entries, ENTRIES);
}

/* Whoever stole a key before it was given up signs on with it. */
static void a_key_that_was_given_up_signs_nothing_more(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    pv_autobuf struct pv_buf old, text;
    struct pv_note_key all;
    fixture_rotate(&f, &old);
    struct pv_checkpoint since = {.size = ENTRIES + 1};
    pv_log_root(f.log, since.root);
    fixture_read(&f, "log.pub", &text);
    assert_int_equal(pv_note_key_parse((const char *)text.data, text.len, &all, &err), 0);
    struct pv_verify_options first = {.key = &key}, both = {.key = &all};
    struct pv_verify_options late = {.key = &all, .since = &since};
    const struct pv_verify_options *const ways[] = {&first, &both, &late};
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(verify_with(ways[i]).verdict, PV_VERDICT_OK);
    fixture_steal(&f, &old);
    fixture_append(&f, 5);
    fixture_commit(&f);
    for (unsigned i = 0; i < 3; i++) {
        struct pv_verify_result res = verify_with(ways[i]);
        assert_int_equal(res.verdict, PV_VERDICT_UNKNOWN_KEY);
        assert_int_equal(res.first_bad_seq, ENTRIES + 1);
        assert_non_null(strstr(res.text, "given up"));
    }
}

/* The verifier reports every 16384 entries; by then it has read on to the end, when there is but
 * little more. What its log is given at that moment comes behind its back, and always there. */
enum { REPORTED = 16384, READ_LATER = 7500 /* more than it reads ahead */ };

static void grow(void *ctx, uint64_t entries)
{
    const unsigned *batches = ctx;
    if (entries != REPORTED)
        return;
    for (; *batches; batches++) {
        fixture_append(&f, *batches);
        fixture_commit(&f);
    }
}

static void start_again(void)
{
    fixture_done(&f);
    fixture_init(&f);
    fixture_open(&f);
    key = *pv_log_key(f.log);
}

static void expect_ok_while(void (*meanwhile)(void *ctx, uint64_t entries), const void *ctx,
                            unsigned jobs)
{
    struct pv_verify_result res;
    struct pv_err err = PV_ERR_INIT;
    struct pv_verify_options opt = {
        .key = &key, .jobs = jobs, .progress = meanwhile, .ctx = (void *)(uintptr_t)ctx};
    if (pv_verify_log(f.log_fd, &opt, &res, &err) < 0)
        fail_msg("with %u threads: %s", jobs, err.text);
    if (res.verdict != PV_VERDICT_OK)
        fail_msg("with %u threads: %s: %s", jobs, pv_verdict_name(res.verdict), res.text);
    assert_int_equal(res.signed_entries, pv_log_size(f.log));
}

static void a_log_may_grow_beyond_the_end_that_was_met(void **state)
{
    (void)state;
    static const unsigned once[] = {5, 0}, often[] = {5, 3, 300, 1, 0};
    for (unsigned jobs = 1; jobs <= 3; jobs += 2) {
        start_again();
        fixture_append(&f, REPORTED + 3);
        fixture_commit(&f);
        expect_ok_while(grow, once, jobs);
        start_again();
        fixture_append(&f, REPORTED + 3);
        fixture_commit(&f);
        expect_ok_while(grow, often, jobs);
    }
}

static void commit_and_disclose(void *ctx, uint64_t entries)
{
    if (entries != REPORTED)
        return;
    fixture_commit(&f);
    disclose(0, 0, ctx);
    fixture_commit(&f);
}

/* The checkpoint that lets a key be disclosed was written after the verifier had seen the last. */
static void a_checkpoint_counts_as_soon_as_it_is_there(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    for (unsigned jobs = 1; jobs <= 3; jobs += 2) {
        uint8_t first[32];
        start_again();
        first_key(first);
        fixture_append(&f, REPORTED - 1);
        fixture_commit(&f);
        end_epoch();
        fixture_append(&f, READ_LATER);
        assert_int_equal(pv_log_write(f.log, &err), 0);
        expect_ok_while(commit_and_disclose, first, jobs);
    }
}

/* Appends and signs until stop closes; a thousand times at most. */
static void write_on(int stop)
{
    struct pollfd p = {.fd = stop, .events = POLLIN};
    for (unsigned i = 0; i < 1000 && poll(&p, 1, 1) == 0; i++) {
        fixture_append(&f, 1 + i % 40);
        fixture_commit(&f);
    }
    _exit(0);
}

enum { VERIFIED = 24 };

static void a_log_is_ok_while_it_is_written(void **state)
{
    (void)state;
    int stop[2], status;
    assert_int_equal(pipe(stop), 0);
    pid_t writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) {
        close(stop[1]);
        write_on(stop[0]);
    }
    close(stop[0]);
    unsigned odd = 0;
    char what[600] = "";
    for (unsigned i = 0; i < VERIFIED; i++) {
        struct pv_verify_options opt = {.key = &key, .jobs = 1 + i % 3};
        struct pv_verify_result res = {.verdict = PV_VERDICT_OK};
        struct pv_err err = PV_ERR_INIT;
        int rc = pv_verify_log(f.log_fd, &opt, &res, &err);
        if ((rc < 0 || res.verdict != PV_VERDICT_OK) && odd++ == 0)
            snprintf(what, sizeof what, "%s: %s", rc < 0 ? "error" : pv_verdict_name(res.verdict),
                     rc < 0 ? err.text : res.text);
    }
    close(stop[1]);
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_int_equal(status, 0);
    if (odd)
        fail_msg("%u of %u times, the first one: %s", odd, (unsigned)VERIFIED, what);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_good_log_is_ok),
        CASE(every_edited_byte_is_found_and_named),
        CASE(an_impossible_length_is_named),
        CASE(edits_with_the_cache_edited_too_are_found),
        CASE(a_swap_is_a_reordering),
        CASE(a_missing_entry_is_a_deletion),
        CASE(a_doubled_entry_is_an_insertion),
        CASE(a_cut_log_is_truncated),
        CASE(cut_checkpoints_are_truncation),
        CASE(removed_checkpoints_are_truncation),
        CASE(missing_static_files_are_said),
        CASE(checkpoint_faults_have_their_names),
        CASE(one_size_with_two_roots_is_a_fork),
        CASE(checkpoints_must_not_run_backwards),
        CASE(pins_show_rollback_and_fork),
        CASE(checking_goes_on_from_a_checkpoint),
        CASE(a_hole_in_a_domain_is_a_gap),
        CASE(a_domain_must_begin_with_its_commitment),
        CASE(disclosed_keys_show_right_tags),
        CASE(a_wrong_tag_is_named),
        CASE(a_bundle_reaches_to_the_keys_disclosed),
        CASE(a_bundle_is_made_under_a_checkpoint_of_its_log),
        CASE(the_first_fault_is_named_whatever_runs_beside),
        CASE(another_key_than_promised_is_noticed),
        CASE(keys_are_not_disclosed_too_soon),
        CASE(an_epoch_at_hand_is_not_disclosed),
        CASE(epochs_do_not_jump),
        CASE(an_unfinished_tail_is_said),
        CASE(a_key_that_was_given_up_signs_nothing_more),
        CASE(a_log_may_grow_beyond_the_end_that_was_met),
        CASE(a_checkpoint_counts_as_soon_as_it_is_there),
        CASE(a_log_is_ok_while_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
