pv_unit_test(stitch SOURCES stitch_test.c graph_fixture.c graph_story.c log_fixture.c LINKS pv_graph pv_audit pv_lib::sqlite pv_lib::cmocka)
pv_unit_test(trace SOURCES trace_test.c graph_fixture.c graph_story.c LINKS pv_graph pv_lib::cmocka)
pv_unit_test(export SOURCES export_test.c graph_fixture.c graph_story.c LINKS pv_graph pv_lib::cmocka)
pv_unit_test(reconcile SOURCES reconcile_test.c LINKS pv_graph pv_lib::cmocka)
