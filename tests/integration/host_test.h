/* What the files of host_test share. */
#pragma once
#include "host_driver.h"

extern const char *host_path, *programs;

/* A specification for /function/PROGRAM, small in everything. */
void spec_of(struct pv_spec *s, const char *program);
/* The same for any command with one argument. */
void spec_of_command(struct pv_spec *s, const char *command, const char *argument);
void start(struct host_driver *d, struct pv_spec *s);
/* Drains the host and checks that every beginning has its end; frees s. */
void stop(struct host_driver *d, struct pv_spec *s);

/* host_life_test.c */
void probes_decide_early(void **state);
void calls_are_cancelled(void **state);
void hosts_stop_while_making(void **state);
void connections_end_with_their_call(void **state);
void hosts_scale(void **state);
void cpu_is_limited(void **state);
void given_roots_are_used(void **state);
void a_full_ring_holds_requests_back(void **state);

/* host_zygote_test.c */
void unforkable_programs_are_found_out(void **state);
void zygotes_carry_no_state(void **state);
void zygotes_are_replaced(void **state);
void zygotes_leave_the_process_limit_as_it_is(void **state);
void zygotes_outlive_large_requests(void **state);

/* host_microvm_test.c */
void microvms_answer(void **state);
void microvms_get_their_variables(void **state);
void microvms_compute_and_go_deep(void **state);
void microvms_are_cancelled(void **state);
void microvms_carry_no_state(void **state);
void microvms_have_limits(void **state);
void microvms_are_replaced(void **state);
void misfits_run_as_processes(void **state);
void microvms_connect_through_brokers(void **state);
