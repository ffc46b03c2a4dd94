"""What the hub adds to a participant's server: the page `my-work`; advice on memory errors."""


def _jupyter_server_extension_points():
    return [{"module": "spikes_hub"}]


def _load_jupyter_server_extension(server):
    from spikes_hub.my_work import add_pages

    add_pages(server)
