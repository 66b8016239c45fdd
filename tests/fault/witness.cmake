pv_script_test(fault.witness_crash SCRIPT fault/witness_crash_test.py LABELS fault priv TIMEOUT 240)
