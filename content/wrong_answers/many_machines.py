# %% ex-many-sent: is that of one copy
each_mb, scattered_mb = 60, 240

# %% ex-many-sent: scatter does not
each_mb, scattered_mb = 36 * 60, 36 * 60

# %% ex-many-seeds: depends on who asked before
shared = np.random.default_rng(0)
draw = lambda seed, task: shared.standard_normal(5)

# %% ex-many-seeds: gives all tasks the same
draw = lambda seed, task: np.random.default_rng(seed).standard_normal(5)

# %% ex-many-seeds: mixes seed and task up
draw = lambda seed, task: np.random.default_rng(seed + task).standard_normal(5)

# %% ex-many-hours: trains on all bins
study_hours = each_ns[-1] * 1e-9 * 500 * 1_800_000 * 12 * 4 * 10 / 3600

# %% ex-many-hours: is in seconds
study_hours = each_ns[-1] * 1e-9 * 500 * 1_620_000 * 12 * 4 * 10
