pv_unit_test(spec SOURCES spec_test.c LINKS pv_spec pv_lib::cmocka)
pv_unit_test(enclave_parts SOURCES enclave_parts_test.c ../../enclave/host/logfile.c
             LINKS pv_enclave pv_base pv_lib::cmocka)
target_include_directories(enclave_parts_test PRIVATE
    ${CMAKE_SOURCE_DIR}/enclave/process ${CMAKE_SOURCE_DIR}/enclave/host)
