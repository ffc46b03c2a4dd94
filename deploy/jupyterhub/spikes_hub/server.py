"""Start a participant's server: ``python -m spikes_hub.server``."""

import os
import sys

#: What every kernel starts with, on one server and on Kubernetes.
KERNEL_ENVIRONMENT = {
    # Nobody may write to the shared cache, and JAX warns in the notebook about each entry that
    # it cannot write. So nothing takes long enough to compile to be written.
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1000000",
    "MALLOC_ARENA_MAX": "2",  # fewer malloc arenas: less memory that is free but not returned
    "OPENBLAS_NUM_THREADS": "1",  # else everybody's threads wait for everybody's
}

if __name__ == "__main__":
    for name, value in KERNEL_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # jsonschema would spend a second on a parser of international URLs, which nothing here needs.
    sys.modules["rfc3987_syntax"] = None

    from jupyterhub.singleuser import main

    main()
