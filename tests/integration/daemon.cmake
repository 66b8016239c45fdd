pv_script_test(integration.daemon LABELS integration priv SCRIPT integration/daemon_test.sh TIMEOUT 180)
