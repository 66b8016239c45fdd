# The outside witness's user side; needs pv_bpf, pv_event and pv_base.
set(PV_PROBE_SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/probe.c
    ${CMAKE_CURRENT_LIST_DIR}/probe_hold.c
    ${CMAKE_CURRENT_LIST_DIR}/probe_monitor.c
    ${CMAKE_CURRENT_LIST_DIR}/probe_order.c
    ${CMAKE_CURRENT_LIST_DIR}/probe_pins.c
    ${CMAKE_CURRENT_LIST_DIR}/probe_ring.c
    ${CMAKE_CURRENT_LIST_DIR}/probe_text.c
    ${CMAKE_CURRENT_LIST_DIR}/probe_translate.c)
