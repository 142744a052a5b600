"""A guard that tidies up after this process if somebody kills it with SIGKILL, which no process can notice itself.

The guard is a shell that reads from a pipe of ours. At an ordinary end we write "done" and it leaves. When the pipe
closes without that word, we were killed: the guard then removes our directory, waits `GRACE_S` so that the client can
learn that its cameras are gone, and ends the client. Example: `kill -9` of `u3v run MODEL -- program` leaves neither a
directory below /tmp nor a program that waits for frames for ever.
"""

import subprocess
from pathlib import Path

GRACE_S = 2

_SCRIPT = """
read -r client
read -r word
[ "$word" = done ] && exit
[ -n "$1" ] && rm -rf -- "$1"
[ -n "$client" ] && sleep "$2" && kill -TERM "$client"
"""


class Keeper:
    """A context manager. `directory`: what to remove. Say `client(pid)` when there is one."""

    def __init__(self, directory: Path | None = None) -> None:
        self._told = False
        self._shell: subprocess.Popen[bytes] | None = None
        command = ["/bin/sh", "-c", _SCRIPT, "u3v-keeper", str(directory or ""), str(GRACE_S)]
        try:
            self._shell = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        except OSError:  # no shell here: what a killed run leaves, the next one sweeps up
            pass

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(self, *_: object) -> None:
        if not self._told:
            self._tell("")
        self._tell("done")
        if self._shell is not None:
            self._shell.communicate()

    def client(self, pid: int) -> None:
        """End this process, too, if we are killed."""
        self._told = True
        self._tell(str(pid))

    def _tell(self, line: str) -> None:
        if self._shell is None or self._shell.stdin is None:
            return
        try:
            self._shell.stdin.write(line.encode() + b"\n")
            self._shell.stdin.flush()
        except BrokenPipeError:  # somebody ended it
            self._shell.wait()
            self._shell = None
