# Without probe.c: a record's translation needs neither libbpf nor privileges.
pv_fuzzer(probe
    SOURCES probe_fuzz.c
            ../../audit/auditor/probe_monitor.c
            ../../audit/auditor/probe_translate.c
            ../../audit/auditor/probe_text.c
    LINKS pv_base pv_event pv_bpf_format
    CORPUS corpus/probe)
target_include_directories(probe_fuzz PRIVATE ${CMAKE_SOURCE_DIR}/audit/auditor)
