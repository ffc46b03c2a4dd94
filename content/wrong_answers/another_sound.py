# %% ex-sound-silent: are not the sums
early_bins = np.unique(np.flatnonzero(y)[:, np.newaxis] + np.arange(2))
early_bins = early_bins[early_bins < len(y)]
expected_early = {n: mu[1][early_bins].sum() for n, mu in predicted.items()}

# %% ex-sound-silent: should be a dictionary
early_bins = np.flatnonzero(y)[:, np.newaxis] + np.arange(1, 3)
early_bins = np.unique(early_bins[early_bins < len(y)])
expected_early = predicted["level"][1][early_bins].sum()

# %% ex-sound-reverse: holds scores on sound 2
reverse_bits = {
    name: bits_per_spike(predicted[name][2], y_2, y_2.mean())
    for name in ("level + spikes", "amplitude + spikes")
}

# %% ex-sound-reverse: Fit to sound 2
reverse_bits = {
    name: bits_per_spike(predicted[name][1], y, y.mean())
    for name in ("level + spikes", "amplitude + spikes")
}
