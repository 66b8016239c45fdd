pv_unit_test(vm_state SOURCES vm_state_test.c LINKS pv_vm pv_vm_files pv_lib::cmocka)
target_include_directories(vm_state_test PRIVATE ${CMAKE_SOURCE_DIR}/enclave/vm)
pv_unit_test(vm_pagemap SOURCES vm_pagemap_test.c LINKS pv_vm pv_lib::cmocka)
target_include_directories(vm_pagemap_test PRIVATE ${CMAKE_SOURCE_DIR}/enclave/vm)
