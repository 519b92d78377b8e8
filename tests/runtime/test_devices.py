import platform
import subprocess
import sys

import pytest
from jax.errors import JaxRuntimeError

from infusenet_jax.runtime.devices import lost_process
from infusenet_jax.runtime.errors import UserError

GLOO = "external/gloo/gloo/transport/tcp/pair.cc"
SERVICE = "/xla.coordination.CoordinationService"
TENSORFLOW = "type.googleapis.com/tensorflow.CoordinationServiceError=''"

# What jaxlib 0.10.2 raised in one of two processes when the other was killed.
RAISED = [
  ValueError(
    f"UNKNOWN: Gloo all-reduce failed: [{GLOO}:547] Connection closed by peer "
    "[127.0.0.1]:32396"
  ),
  ValueError(
    f"UNKNOWN: Gloo AllGather failed: [{GLOO}:538] Read error [127.0.0.1]:54175: "
    "Connection reset by peer"
  ),
  JaxRuntimeError(
    "INTERNAL: Barrier failed because: task is set to ERROR: UNAVAILABLE: Task 1 "
    "heartbeat timeout. This indicates that the remote task has failed, got preempted, "
    f"or crashed unexpectedly. [{TENSORFLOW}]. Barrier Id: b3::0, Task: 1\n\n"
    f"RPC: {SERVICE}/Barrier [{TENSORFLOW}]"
  ),
  JaxRuntimeError(
    "UNAVAILABLE: Socket closed\nAdditional GRPC error information from remote target "
    f"coordination_service while calling {SERVICE}/GetKeyValue:\n:UNKNOWN:Error "
    'received from peer  {grpc_status:14, grpc_message:"Socket closed"}'
  ),
]
# NCCL's, as users of JAX reported it; not seen here.
REPORTED = [
  JaxRuntimeError(
    "INTERNAL: external/xla/xla/service/gpu/nccl_utils.cc:216: NCCL operation "
    "async_err failed: remote process exited or there was a network error"
  ),
]


@pytest.mark.parametrize("error", [*RAISED, *REPORTED])
def test_an_ended_process_is_known_by_what_jaxlib_says(error):
  line = lost_process(error)
  assert line.startswith("another process of this run has ended")
  assert str(error).splitlines()[0] in line and "\n" not in line


@pytest.mark.parametrize(
  "error",
  [
    UserError("--peer=torch: PyTorch, the peer, is not installed"),
    UserError(str(RAISED[0])),
    ValueError("no peer of this clip"),
    ValueError(f"{GLOO}: no such file"),
    ValueError("The heartbeat of the coordination service"),
    KeyError("gloo"),
    # Errors of our own programs and of the machine, told by the same speakers.
    ValueError(
      f"UNKNOWN: Gloo all-reduce failed: [enforce fail at {GLOO}:446] "
      "op.preamble.length <= op.nbytes. 1046204 vs 1040256"
    ),
    JaxRuntimeError(
      "INTERNAL: NCCL operation ncclAllReduce(send, recv, count, type, op, comm) "
      "failed: unhandled cuda error. Last NCCL warning(error) log entry (may be "
      "unrelated) 'remote process exited'."
    ),
    JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while peer access was set up"),
    JaxRuntimeError(f"ALREADY_EXISTS: key\n\nRPC: {SERVICE}/InsertKeyValue"),
    SystemExit(1),
  ],
)
def test_an_error_of_ones_own_is_no_lost_process(error):
  assert lost_process(error) is None


FAULTS_OF_MEMORY_ASKED_FOR_AGAIN = """
import resource, sys
from infusenet_jax.runtime.devices import keep_freed_memory

if sys.argv[1] == "kept":
  keep_freed_memory()
for _ in range(3):  # 100 MB, all pages of it written to.
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  b"1" * 100_000_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc only")
def test_freed_memory_is_kept_for_what_is_asked_for_next():
  faults = {}
  for case in ("given back", "kept"):
    command = [sys.executable, "-c", FAULTS_OF_MEMORY_ASKED_FOR_AGAIN, case]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    faults[case] = int(done.stdout)
  assert faults["kept"] < 10 < faults["given back"]
