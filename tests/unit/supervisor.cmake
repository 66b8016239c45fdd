pv_unit_test(privilege SOURCES privilege_test.c LINKS pv_base pv_lib::cmocka)
pv_unit_test(config SOURCES config_test.c LINKS pv_supervisor pv_lib::cmocka)
pv_unit_test(domains SOURCES domains_test.c LINKS pv_supervisor pv_lib::cmocka)
pv_unit_test(package SOURCES package_test.c LINKS pv_supervisor pv_lib::cmocka)
pv_unit_test(requests SOURCES requests_test.c LINKS pv_supervisor pv_lib::cmocka)
pv_unit_test(supervisor_cgroup SOURCES supervisor_cgroup_test.c LINKS pv_supervisor pv_lib::cmocka)
pv_unit_test(confine SOURCES confine_test.c LINKS pv_enclave pv_event pv_audit pv_seccomp pv_lib::cmocka)
target_sources(confine_test PRIVATE ${CMAKE_SOURCE_DIR}/platform/gateway/seccomp.c
    ${CMAKE_SOURCE_DIR}/audit/auditor/seccomp.c ${CMAKE_SOURCE_DIR}/graph/stitcher/seccomp.c)
target_include_directories(confine_test PRIVATE ${CMAKE_SOURCE_DIR}/platform/gateway
    ${CMAKE_SOURCE_DIR}/audit/auditor ${CMAKE_SOURCE_DIR}/graph/stitcher
    ${CMAKE_SOURCE_DIR}/enclave)
pv_unit_test(share SOURCES share_test.c LINKS pv_base pv_lib::cmocka)
target_sources(share_test PRIVATE ${CMAKE_SOURCE_DIR}/graph/stitcher/share.c)
target_include_directories(share_test PRIVATE ${CMAKE_SOURCE_DIR}/graph/stitcher)
