# %% ex-history-step: the last lag alone
long_run = np.exp(10 * history_filter[-1])
without_history = ...

# %% ex-history-step: for 1 pA more, not for 10
long_run = np.exp(history_filter.sum())
without_history = ...

# %% ex-history-random: 8 columns
rng = np.random.default_rng(0)
X_random = rng.standard_normal((len(binned), 7))
r2_random = ...

# %% ex-history-random: columns that are alike
rng = np.random.default_rng(0)
column = rng.standard_normal(len(binned))
X_random = np.column_stack([X_present.d] + 7 * [column])
r2_random = ...

# %% ex-history-more: not at its optimum on the three sweeps
more_present = present_model
more_history = history_model
more_gain = gain[tags == "Noise 2"]

# %% ex-history-more: one number for each sweep
more_present, more_history = ..., ...
more_gain = gain[tags == "Noise 2"].mean()
