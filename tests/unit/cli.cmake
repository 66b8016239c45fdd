pv_unit_test(cli SOURCES cli_test.c LINKS pv_cli_text pv_lib::cmocka)
