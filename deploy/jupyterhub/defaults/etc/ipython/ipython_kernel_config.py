"""Every kernel on the hub."""

get_config().InteractiveShellApp.extensions = ["spikes_hub.memory"]  # noqa: F821
