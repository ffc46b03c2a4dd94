"""In each kernel of the hub: explain what to do when it runs out of memory."""

import os
from pathlib import Path

ADVICE = """
This kernel has reached the limit of {limit}memory for each participant.
Nothing was stopped: your other notebooks keep running, and this one still has its variables.
What to do: delete what is large (`del name`), or restart the kernel (menu Kernel) and work
on less at a time. Shut down the kernels of notebooks that you do not need any more."""


def load_ipython_extension(shell):
    """Explain memory errors; let the system kill this kernel before its server."""
    Path("/proc/self/oom_score_adj").write_text("500")
    limit = int(os.environ.get("MEM_LIMIT", 0))
    advice = ADVICE.format(limit=f"{limit / 2**30:.1f} GB of " if limit else "")

    def explain(shell, kind, error, traceback, tb_offset=None):
        shown = shell.InteractiveTB.structured_traceback(kind, error, traceback, tb_offset)
        # JAX raises an error of another class.
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
            shown += [advice]
        shell._showtraceback(kind, error, shown)
        return shown

    shell.set_custom_exc((MemoryError, RuntimeError, ValueError), explain)
