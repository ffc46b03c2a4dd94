# %% ex-goodness-bins: leaves out spikes
clock = np.cumsum(mean_counts)[coarse > 0]
literal = -np.expm1(-np.diff(clock))
corrected = ...

# %% ex-goodness-bins: counts per bin are asked for
literal = ...
hz = np.full(5000, 10.0)
corrected = rescale_intervals(hz, coarse, np.random.default_rng(2))

# %% ex-goodness-power: is it `no memory` that you test
own_rng = np.random.default_rng(3)
runs = [draw_spikes(drive[:n], own_rng) for n in (1500, 6000, 24_000)]
us = [rescale_intervals(mu, seen, own_rng) for seen, mu in runs]
shares = [np.mean(distance(u) > 1.36 / np.sqrt(len(u))) for u in us]
mean_spikes = [seen.sum() for seen, mu in runs]

# %% ex-goodness-power: is the model scaled to their number
own_rng = np.random.default_rng(3)
runs = [draw_spikes(drive[:n], own_rng)[0] for n in (1500, 6000, 24_000)]
us = [rescale_intervals(drive[: len(s)], s, own_rng) for s in runs]
shares = [np.mean(distance(u) > 1.36 / np.sqrt(len(u))) for u in us]
mean_spikes = [60 * seen.sum() for seen in runs]

# %% ex-goodness-kind: has a mean of 1
draws = np.random.default_rng(3).exponential(1.0, (300, 100))
us = [-np.expm1(-draw * draw.mean()) for draw in draws]
share_true = ...
share_fitted = np.mean([distance(u) > 0.136 for u in us])

# %% ex-goodness-kind: a number of tests, not a share
draws = np.random.default_rng(3).exponential(1.0, (300, 100))
us = [-np.expm1(-draw) for draw in draws]
share_true = np.sum([distance(u) > 0.136 for u in us])
share_fitted = ...
