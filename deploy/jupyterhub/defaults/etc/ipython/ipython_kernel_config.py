"""Settings of every kernel on the hub."""

import sys

# The debugger's port is open to every user of this computer, so to all other participants.
sys.modules["debugpy"] = None

get_config().InteractiveShellApp.extensions = ["spikes_hub.memory"]  # noqa: F821
