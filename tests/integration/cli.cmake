pv_script_test(integration.cli LABELS integration priv SCRIPT integration/cli_test.sh TIMEOUT 120)
