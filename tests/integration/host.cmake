# The enclave host, spoken to as supervisor and gateway do. Needs root and namespaces.
set(host_programs echo env early_env spin fork_bomb memory_hog flood crash escape connect show linger before tell late_fork
    slow_start)
foreach(program IN LISTS host_programs)
    add_executable(program_${program} ${CMAKE_CURRENT_LIST_DIR}/../programs/${program}.c)
    set_target_properties(program_${program} PROPERTIES
        OUTPUT_NAME ${program} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/programs)
endforeach()
target_link_options(program_show PRIVATE -static)
add_executable(host_test ${CMAKE_CURRENT_LIST_DIR}/host_test.c
                         ${CMAKE_CURRENT_LIST_DIR}/host_life_test.c
                         ${CMAKE_CURRENT_LIST_DIR}/host_zygote_test.c
                         ${CMAKE_CURRENT_LIST_DIR}/host_microvm_test.c
                         ${CMAKE_CURRENT_LIST_DIR}/host_driver.c)
target_link_libraries(host_test PRIVATE pv_flags pv_event pv_spec pv_measure pv_base pv_lib::cmocka)
add_test(NAME integration.host
         COMMAND host_test $<TARGET_FILE:provost-host> ${CMAKE_BINARY_DIR}/programs)
set_tests_properties(integration.host PROPERTIES
    LABELS "integration;priv" TIMEOUT 180 SKIP_RETURN_CODE 77 RUN_SERIAL ON)
