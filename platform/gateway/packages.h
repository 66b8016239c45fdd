/* Packages that no version uses any more are removed from the supervisor's store. */
#pragma once
#include "gateway.h"

/* Tells the supervisor what is in use, when something may have become unused (gw->packages_due) and
 * nothing is being imported. */
void gw_packages_tick(struct gateway *gw);
