/* Names in the log directory; docs/formats/log.md. */
#pragma once
#define PV_LOG_JOURNAL_DIR "journal"
#define PV_LOG_SEGMENT_FORMAT PV_LOG_JOURNAL_DIR "/%06ju"
#define PV_LOG_LEAVES_FORMAT PV_LOG_SEGMENT_FORMAT ".leaves"
enum { PV_LOG_SEGMENT_NAME_MAX = 40 };
#define PV_LOG_CHECKPOINTS "checkpoints"
#define PV_LOG_LATEST "checkpoint"
#define PV_LOG_DETACHED "detached"
#define PV_LOG_ARCHIVE_DIR "archive"
#define PV_LOG_ROTATIONS "rotations"
#define PV_LOG_PUBLIC_KEY "log.pub"
#define PV_LOG_SECRET_KEY "log.key"
#define PV_LOG_NEXT_KEY "log.key.next"
#define PV_LOG_DETACH_REQUEST "detach"
