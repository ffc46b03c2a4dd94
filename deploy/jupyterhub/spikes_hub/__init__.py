"""What the hub adds to a participant's server: the page `my-work`."""

from spikes_hub.my_work import add_pages as _load_jupyter_server_extension  # noqa: F401


def _jupyter_server_extension_points():
    return [{"module": "spikes_hub"}]
