pv_unit_test(vm_files SOURCES vm_files_test.c vm_files_fixture.c LINKS pv_vm_files pv_lib::cmocka)
pv_unit_test(vm_files_same SOURCES vm_files_same_test.c vm_files_same_calls.c vm_files_same_random.c
                     vm_files_same_objects.c vm_files_fixture.c
             LINKS pv_vm_files)
