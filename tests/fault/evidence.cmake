add_executable(auditor_test ${CMAKE_CURRENT_LIST_DIR}/auditor_test.c)
target_compile_definitions(auditor_test PRIVATE AUDITOR="$<TARGET_FILE:provost-auditor>")
target_link_libraries(auditor_test PRIVATE pv_flags pv_audit pv_event pv_base pv_lib::cmocka)
add_dependencies(auditor_test provost-auditor)
add_test(NAME fault.auditor COMMAND auditor_test)
set_tests_properties(fault.auditor PROPERTIES LABELS "fault;priv" TIMEOUT 120 SKIP_RETURN_CODE 77)
# The log's own objects are linked with the calls that the test makes fail. An option for more:
# PV_FAULT_ALL=1 strikes every call instead of every seventh.
foreach(name IN ITEMS log archive)
    add_executable(${name}_fault_test ${CMAKE_CURRENT_LIST_DIR}/${name}_fault_test.c
        ${CMAKE_CURRENT_LIST_DIR}/faults.c ${CMAKE_CURRENT_LIST_DIR}/../unit/log_fixture.c)
    target_include_directories(${name}_fault_test PRIVATE ${CMAKE_CURRENT_LIST_DIR}/../unit)
    target_link_libraries(${name}_fault_test PRIVATE pv_flags pv_audit pv_event pv_base pv_lib::cmocka)
    foreach(call IN ITEMS write fdatasync fsync syncfs pthread_create ftruncate renameat unlinkat mkdirat openat calloc realloc)
        target_link_options(${name}_fault_test PRIVATE -Wl,--wrap=${call})
    endforeach()
    add_test(NAME fault.${name} COMMAND ${name}_fault_test)
    set_tests_properties(fault.${name} PROPERTIES LABELS fault TIMEOUT 600)
endforeach()
