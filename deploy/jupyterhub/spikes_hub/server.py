"""Start a participant's server: ``python -m spikes_hub.server``."""

import sys

# jsonschema would build a parser of international addresses, which nobody asks for: a second.
sys.modules["rfc3987_syntax"] = None

from jupyterhub.singleuser import main  # noqa: E402

main()
