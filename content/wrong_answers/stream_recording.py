# %% ex-stream-duration: is in seconds
recorded_min = data["epochs"].tot_length()

# %% ex-stream-duration: counts the pauses in
sweeps = data["epochs"]
recorded_min = (sweeps.end[-1] - sweeps.start[0]) / 60

# %% ex-stream-noise2: it was not read from `remote`
before = remote.received_bytes
noise_2 = data["stimulus"].restrict(epochs[epochs.tags == "Noise 2"][0])
added = remote.received_bytes - before

# %% ex-stream-noise2: another sweep than the first
before = remote.received_bytes
noise_2 = remote["stimulus"].restrict(epochs[epochs.tags == "Noise 2"][1])
added = remote.received_bytes - before

# %% ex-stream-checksum: is no text
original = hashlib.sha256(b"spikes")
changed = hashlib.sha256(b"spiked")

# %% ex-stream-checksum: equals `original`
original = hashlib.sha256(b"spikes").hexdigest()
changed = hashlib.sha256(b"spikes").hexdigest()
