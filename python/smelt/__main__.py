# SPDX-License-Identifier: Apache-2.0
"""``python -m smelt``: the smelt command."""

import os
import pathlib
import sys

command = pathlib.Path(__file__).parent / "bin" / "smelt"
os.execv(command, [str(command), *sys.argv[1:]])
