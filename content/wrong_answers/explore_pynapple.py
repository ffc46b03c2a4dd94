# %% ex-explore-sweeps: counts neurons
n_spikes_per_sweep = [len(data["units"].restrict(ep)) for ep in noise_1]

# %% ex-explore-sweeps: that is one sweep
n_spikes_per_sweep = [len(spikes[0].restrict(ep)) for ep in noise_1]

# %% ex-explore-protocols: that of the whole file
rates_hz = [data["units"].rate[0] for protocol in protocols]

# %% ex-explore-protocols: counts spikes
selected = [data["units"][0].restrict(epochs[epochs.tags == p]) for p in protocols]
rates_hz = [len(t) for t in selected]

# %% ex-explore-align: exceeds the length of a sweep
aligned = [data["units"][0].restrict(ep).t - sweep.start[0] for ep in noise_1]

# %% ex-explore-align: begins with the first spike
times = [data["units"][0].restrict(ep).t for ep in noise_1]
aligned = [t - t[0] for t in times]
