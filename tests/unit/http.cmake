pv_unit_test(http SOURCES http_test.c LINKS pv_http pv_gateway_parts pv_lib::cmocka)
