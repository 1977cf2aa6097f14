# SPDX-License-Identifier: BSD-3-Clause
"""Files are read where a sandbox forbids newer system calls, as old versions of Docker do."""

import errno
import platform
import subprocess
import sys

import pytest
from support import jpegs

STATX = {"x86_64": 332, "aarch64": 291}.get(platform.machine())

# A filter of four instructions: load the call's number, compare it, fail with an errno, or allow the call.
PROGRAM = """
import ctypes, errno, os, struct, sys
import fastimg

path, statx, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
libc = ctypes.CDLL(None, use_errno=True)
instructions = (0x20, 0, 0, 0), (0x15, 0, 1, statx), (6, 0, 0, 0x50000 | number), (6, 0, 0, 0x7FFF0000)
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in instructions))
program = ctypes.create_string_buffer(struct.pack("H6xP", len(instructions), ctypes.addressof(code)))
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2
zero = ctypes.c_ulong(0)
if libc.prctl(NO_NEW_PRIVILEGES, ctypes.c_ulong(1), zero, zero, zero) or libc.prctl(
    SECCOMP, ctypes.c_ulong(FILTER), program, zero, zero
):
    sys.exit("no filter: " + os.strerror(ctypes.get_errno()))
assert libc.syscall(statx, -1, None, 0, 0, None) == -1 and ctypes.get_errno() == number

print(fastimg.decode(path).shape, fastimg.read_header(path).height, fastimg.load([path] * 3).shape)
for wrong in (os.path.dirname(path), "/dev/null"):
    try:
        fastimg.decode(wrong)
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux") or not STATX, reason="of Linux on two processors")
@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS])
def test_files_are_read_without_statx(number, tmp_path, child_env):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpegs.jpeg(96, 128))
    command = [sys.executable, "-c", PROGRAM, path, str(STATX), str(number)]
    done = subprocess.run(command, env=child_env, capture_output=True, text=True, timeout=60)
    if done.stderr.startswith("no filter"):
        pytest.skip(done.stderr.strip())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "(3, 96, 128) 96 (3, 3, 96, 128)\nEISDIR\nEINVAL\n"
