/* A deployment's specification: what a function version is and may do. Its canonical bytes are
 * measured; the measurement is what evidence names. Encoded with pv/buf.h, version byte first. */
#pragma once
#include "pv/buf.h"
#include "pv/limits.h"

#include <stdbool.h>
#include <stdint.h>

enum pv_prepare { PV_PREPARE_AUTO, PV_PREPARE_FIRST_READ, PV_PREPARE_EXEC, PV_PREPARE_ZYGOTE };
enum pv_audit_mode { PV_AUDIT_BOUNDED, PV_AUDIT_SYNC };
/* When the outside witness's ring is full: the function waits, or records are lost, counted. */
/* What an instance is: a process, or a micro-VM (auto: where the machine and the program allow it).
 */
enum pv_class { PV_CLASS_AUTO, PV_CLASS_PROCESS, PV_CLASS_MICROVM };
/* When a micro-VM's response is complete: at exit, or already when its output ends in a newline, or
 * when it is as long as its Content-Length says. */
enum pv_finish { PV_FINISH_EXIT, PV_FINISH_NEWLINE, PV_FINISH_LENGTH };
enum pv_loss { PV_LOSS_FREEZE, PV_LOSS_DROP };

/* What the values above are called, by value; NULL behind the last. */
extern const char *const pv_prepare_names[], *const pv_audit_names[], *const pv_loss_names[],
    *const pv_class_names[], *const pv_finish_names[];

struct pv_str_list {
    unsigned n;
    char **v; /* owned */
};

struct pv_spec {
    char name[PV_NAME_MAX + 1];
    uint64_t version;           /* 1, 2, … per name */
    uint8_t package[32];        /* Merkle measurement of the package tree */
    char root_dir[PV_PATH_MAX]; /* a given root, or "": the host's runtime directories */
    struct pv_str_list argv;    /* argv[0] absolute inside the sandbox; never empty */
    struct pv_str_list env;     /* "K=V" */
    struct pv_str_list secrets; /* names; mounted at /var/openfaas/secrets/NAME */
    struct pv_str_list calls;   /* functions it may call */
    struct pv_str_list egress;  /* "HOST:PORT" it may reach through the proxy */
    struct pv_str_list labels;  /* "K=V", OpenFaaS labels, no meaning of their own */
    uint64_t memory_bytes;      /* per instance */
    uint64_t tmp_bytes;         /* size of /tmp */
    uint64_t output_bytes;      /* response limit */
    uint64_t timeout_ms;        /* per request */
    uint32_t processes;         /* per instance, threads included */
    uint32_t cpu_millis;        /* 1000 = one CPU; 0: no limit */
    uint32_t concurrency;       /* instances at once */
    uint32_t prepared;          /* instances kept waiting */
    bool cgi;                   /* honour a CGI header block in the response */
    enum pv_prepare prepare;
    enum pv_audit_mode audit;
    enum pv_loss loss;
    enum pv_class class;
    enum pv_finish finish;
};

/* Fills in the defaults (64 MiB … see spec.c); name, argv and package stay empty. */
void pv_spec_init(struct pv_spec *s);
void pv_spec_done(struct pv_spec *s);
PV_MUST_CHECK int pv_str_list_add(struct pv_str_list *l, const char *s, unsigned max,
                                  struct pv_err *err);
bool pv_str_list_has(const struct pv_str_list *l, const char *s);
/* Function and secret names: [a-z0-9]([-a-z0-9]*[a-z0-9])?, at most PV_NAME_MAX. */
bool pv_name_ok(const char *name);
/* Checks every bound and name; the error names the option at fault. */
PV_MUST_CHECK int pv_spec_check(const struct pv_spec *s, struct pv_err *err);
/* Canonical bytes appended to b. */
PV_MUST_CHECK int pv_spec_encode(const struct pv_spec *s, struct pv_buf *b, struct pv_err *err);
/* Decodes exactly len bytes and checks them; ret is untouched on failure. */
PV_MUST_CHECK int pv_spec_decode(const void *p, size_t len, struct pv_spec *ret,
                                 struct pv_err *err);
