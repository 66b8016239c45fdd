/* Every figure that is promised of micro-VMs, in one table. */
#pragma once

/* n: runs of each program. 0, or 1 when a goal was missed. */
int vm_table(int n);
