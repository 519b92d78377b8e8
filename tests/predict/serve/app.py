"""The server as a user starts it, with videos that nobody looks at; notes its calls.

python -m tests.predict.serve.app CALLS [flags of the server]
"""

import sys

from infusenet_jax.predict.serve import command, look
from tests.predict.serve.workers import pretend


def main() -> int:
  calls, *flags = sys.argv[1:]
  # Kept open: it is written to whenever a program is asked to call another computer.
  with open(calls, "w", buffering=1) as file:

    def note(event: str, arguments: tuple) -> None:
      if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        print(event, arguments[1:] if "get" not in event else arguments, file=file)

    sys.addaudithook(note)
    look.work = pretend
    return command.main(flags)


if __name__ == "__main__":
  sys.exit(main())
