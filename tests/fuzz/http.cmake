pv_fuzzer(http SOURCES http_fuzz.c LINKS pv_http CORPUS corpus/http)
pv_fuzzer(cgi SOURCES cgi_fuzz.c LINKS pv_http pv_gateway_parts CORPUS corpus/cgi)
