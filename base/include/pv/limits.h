/* Every ceiling of Provost stands in this one list. Sizes are in bytes unless the name says else.
 */
#pragma once

/* events and evidence */
#define PV_EVENT_MAX 8192        /* canonical bytes of one event, without its tag */
#define PV_EVENT_FIELDS_MAX 16   /* fields of one event */
#define PV_RING_BYTES (4u << 20) /* data area of one producer's ring, a power of two */
#define PV_RING_FILE_BYTES (PV_RING_BYTES + 4096) /* with the page before it */
#define PV_LOG_BATCH_MAX 1024    /* events under one checkpoint at most */
#define PV_STATE_NEW_BYTES (4u << 20) /* log, keys and graph of a daemon that has just begun */
#define PV_LOG_DELAY_MS 15       /* time until a checkpoint at most */
#define PV_EPOCH_EVENTS 4096     /* of one ratchet epoch; the next begins with the event after */
#define PV_EPOCH_MS 60000        /* or when that time has passed */
#define PV_NOTE_MAX 4096         /* one signed note */
#define PV_ARCHIVE_HEAD_MAX (16u << 10) /* what stands before the entries of an archive */
#define PV_BUNDLE_MAX (64u << 20)       /* evidence of some calls in one file */
#define PV_BUNDLE_ENTRIES_MAX 50000
#define PV_BUNDLE_CALLS_MAX 256

/* messages between roles */
#define PV_MSG_MAX (128u << 10)       /* one SEQPACKET message */
#define PV_MSG_FDS_MAX 8              /* descriptors in one message */
#define PV_MSG_INLINE_MAX (64u << 10) /* larger payloads travel in a sealed memfd */

/* names */
#define PV_NAME_MAX 63 /* function and secret names: [a-z0-9]([-a-z0-9]*[a-z0-9])? */
#define PV_PATH_MAX 4096

/* deployment */
#define PV_ARGV_MAX 64
#define PV_ENV_MAX 64
#define PV_GRANTS_MAX 32        /* callable functions, egress targets, secrets: each */
#define PV_SPEC_MAX (64u << 10) /* encoded deployment specification */
#define PV_SECRET_MAX (64u << 10)
#define PV_PACKAGE_FILES_MAX 20000
#define PV_PACKAGE_BYTES_MAX (2ull << 30)
#define PV_FUNCTIONS_MAX 1000
#define PV_CONCURRENCY_MAX 1024 /* requests of one function at once */

/* HTTP */
#define PV_HTTP_HEAD_MAX (32u << 10) /* request line and header fields */
#define PV_HTTP_HEADERS_MAX 100
#define PV_HTTP_TARGET_MAX 8192
#define PV_HTTP_BODY_MAX (16u << 20)
#define PV_HTTP_CHUNK_LINE_MAX 256
#define PV_HTTP_CONNECTIONS_MAX 4096
#define PV_HTTP_HELD_MAX (512u << 20)   /* request bodies in the gateway's memory, all together */
#define PV_HTTP_PENDING_MAX (64u << 10) /* pipelined input kept while a request is answered */
#define PV_HTTP_REPLY_MAX (16u << 20)   /* a reply that the gateway itself writes */
#define PV_HTTP_HEAD_TIMEOUT_MS 10000   /* first byte of a request to the end of its head */
#define PV_HTTP_IDLE_TIMEOUT_MS 60000   /* between requests, or without progress while writing */
#define PV_HTTP_BODY_TIMEOUT_MS 30000   /* a body: this, and a second more for each 64 KiB */
#define PV_HTTP_LINGER_MS 2000          /* reading on after a refusal, so that it arrives */

/* invocations */
#define PV_REQUEST_ENV_MAX (48u << 10)      /* request variables handed to a function */
#define PV_RESPONSE_MAX (64u << 20)         /* hard ceiling; a deployment's own limit is lower */
#define PV_QUEUE_MAX 1024                   /* requests waiting for one function */
#define PV_RING_RESERVE (PV_RING_BYTES / 2) /* the gateway admits nothing new below this room */
#define PV_RING_WAIT_MS 1000                /* a request waits for room this long, then 503 */
#define PV_SIGN_WAIT_MS 10000               /* an answer (audit: sync) waits for its checkpoint */
#define PV_HOST_READY_MS 15000              /* start of a host to its first prepared instance */
#define PV_RESULT_GRACE_MS 2000             /* past the deadline, for the host to report it */
#define PV_BROKERED_MAX 64                  /* open connections of one invocation */
#define PV_LOG_FILE_MAX (8u << 20)          /* a function's stderr log */
