# SPDX-License-Identifier: Apache-2.0
"""A warm helper process: started once, forks a child of this program's per request.

Both the host of programs (``interpose/host.c``) and the warm compilers (``interpose/warm.c``) speak
this protocol: one message with descriptors in, the child's process id out. Where candidates get a
uid of their own, a helper keeps this program's and its children give it up, so that nothing a
candidate does reaches the helper.
"""

from __future__ import annotations

import array
import ctypes
import os
import select
import socket
from collections.abc import Sequence

from . import native, process

_ADDR_NO_RANDOMIZE = 0x0040000
_LIBC = ctypes.CDLL(None, use_errno=True)
_CHANNEL = 3


class HelperLostError(Exception):
    """A helper ended or does not answer."""


class Helper:
    """A warm process on the other end of a socket.

    Args:
        command: program and arguments.
        environment: its variables.
        streams: descriptors that become 0, 1 and 2; None: as they are here.
    """

    def __init__(
        self, command: Sequence[str], environment: dict[str, str], streams: Sequence[int] = ()
    ) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours

        def body() -> None:
            for number, descriptor in enumerate(streams):
                os.dup2(descriptor, number)
            os.dup2(theirs.fileno(), _CHANNEL)
            # Fixed addresses: the same program misbehaves the same way in every run, and the
            # sanitizers' shadow never collides with a randomly placed mapping.
            _LIBC.personality(_ADDR_NO_RANDOMIZE)
            os.execve(command[0], list(command), environment)  # noqa: S606

        limits = process.Limits(1e8, file_mb=256, processes=64)
        self.pid = native.spawn(body, limits, None)
        native.HELPERS.add(self.pid)
        theirs.close()

    def alive(self) -> bool:
        """Tell whether the helper was alive when processes were last reaped."""
        return self.pid in native.HELPERS

    def fork(self, data: bytes, descriptors: Sequence[int], seconds: float) -> int:
        """Have a child forked that works with these descriptors; return its process id.

        Raises:
            HelperLostError: the helper is gone or does not answer in time.
        """
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
        try:
            self._socket.sendmsg([data], [rights], socket.MSG_NOSIGNAL)
            if not select.select([self._socket], [], [], seconds)[0]:
                raise HelperLostError("no answer in time")
            pid = int.from_bytes(self._socket.recv(4), "little", signed=True)
        except OSError as error:
            raise HelperLostError(str(error)) from error
        if pid <= 0:
            raise HelperLostError("it ended" if pid == 0 else "it cannot fork")
        return pid

    def close(self) -> None:
        """End the helper."""
        self._socket.close()
        if self.alive():
            native.HELPERS.discard(self.pid)
            native.end(self.pid)
