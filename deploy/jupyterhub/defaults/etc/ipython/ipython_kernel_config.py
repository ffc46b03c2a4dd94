"""Every kernel on the hub."""

import sys

# The debugger lets everybody in who is on this computer, and so all other participants.
sys.modules["debugpy"] = None

get_config().InteractiveShellApp.extensions = ["spikes_hub.memory"]  # noqa: F821
