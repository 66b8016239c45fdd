# The system call layer of micro-VMs with guest memory as plain memory: no KVM.
pv_fuzzer(vm_calls SOURCES vm_calls_fuzz.c LINKS pv_vm pv_vm_files CORPUS corpus/vm_calls)
target_include_directories(vm_calls_fuzz PRIVATE ${CMAKE_SOURCE_DIR}/enclave/vm)
pv_fuzzer(vm_elf SOURCES vm_elf_fuzz.c LINKS pv_vm pv_vm_files CORPUS corpus/vm_elf)
target_include_directories(vm_elf_fuzz PRIVATE ${CMAKE_SOURCE_DIR}/enclave/vm)
