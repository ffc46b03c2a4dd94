# %% ex-tuning-bins: has 59 bins
edges = np.linspace(current.min(), current.max(), 60)
fine = nap.compute_tuning_curves(spikes, current, bins=[edges])
shortest_s = fine.attrs["occupancy"].min() / fine.attrs["fs"]

# %% ex-tuning-bins: that of the curve with 15 bins
fine = nap.compute_tuning_curves(spikes, current, bins=60)
shortest_s = occupancy_s.min()

# %% ex-tuning-halves: the whole sweep's
options = {"bins": 1, "range": [(80, 110)]}
early_hz = nap.compute_tuning_curves(spikes, current, **options).item()
late_hz = early_hz

# %% ex-tuning-halves: 0.5 s, not 500
options = {"bins": 1, "range": [(80, 110)]}
onset = pulses.start[2]
early_half = nap.IntervalSet(onset, onset + 500)
late_half = nap.IntervalSet(onset + 0.5, pulses.end[2])
early_hz = nap.compute_tuning_curves(spikes, current, epochs=early_half, **options).item()
late_hz = nap.compute_tuning_curves(spikes, current, epochs=late_half, **options).item()
