# %% ex-rate-total: is the number of bins
total_fine = len(spikes[0].count(0.001, ep=sweep))
total_coarse = len(spikes[0].count(0.5, ep=sweep))

# %% ex-rate-total: Are the bins in seconds
total_fine = spikes[0].count(1, ep=sweep).sum()
total_coarse = spikes[0].count(500, ep=sweep).sum()

# %% ex-rate-leak: is the rate after the spike
early_hz = rate.get(spikes[0].t[0] + 0.04)

# %% ex-rate-leak: 1000 times too small
early_hz = counts.smooth(std=0.05).get(spikes[0].t[0] - 0.04)

# %% ex-rate-leak: 40 ms are 0.04 s
early_hz = rate.get(spikes[0].t[0] - 40)

# %% ex-rate-more: A bin holds rate times bin size
high_rate = 10 * true_rate
many = nap.Tsd(t=time_s, d=rng.poisson(high_rate.d))
off = [many.smooth(std=w).d - high_rate.d for w in widths_s]
high_best_s = widths_s[np.mean(np.square(off), axis=1).argmin()]

# %% ex-rate-more: The errors are differences from `high_rate`
high_rate = 10 * true_rate
many = nap.Tsd(t=time_s, d=rng.poisson(high_rate.d * bin_size_s))
off = [many.smooth(std=w).d / bin_size_s - true_rate.d for w in widths_s]
high_best_s = widths_s[np.mean(np.square(off), axis=1).argmin()]
