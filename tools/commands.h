/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of the smelt tool. Each gets its own argv and returns the exit code: 0 done, 1 failed, 2 wrong
 * use. */
#ifndef SMELT_TOOLS_COMMANDS_H
#define SMELT_TOOLS_COMMANDS_H

#include <smelt/smelt.h>

int command_info(int argc, char **argv);
int command_check(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_run(int argc, char **argv);
int command_demo(int argc, char **argv);

#endif
