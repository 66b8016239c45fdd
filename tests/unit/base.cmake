pv_unit_test(base SOURCES base_test.c LINKS pv_base pv_lib::cmocka)
pv_unit_test(msg SOURCES msg_test.c LINKS pv_base pv_lib::cmocka)
