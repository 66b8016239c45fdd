pv_fuzzer(vm_files SOURCES vm_files_fuzz.c ../unit/vm_files_fixture.c LINKS pv_vm_files CORPUS corpus/vm_files)
target_include_directories(vm_files_fuzz PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/unit)
