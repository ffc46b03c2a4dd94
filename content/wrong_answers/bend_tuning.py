# %% ex-bend-nan: mean rate of all bins
kept_hz = counts.mean() / bin_size_s

# %% ex-bend-nan: bins that are left out
kept_hz = (
    counts.d[np.isnan(bends["B-spline"].compute_features(current).d[:, 0])].mean() / bin_size_s
)

# %% ex-bend-nan: look at the unit
kept_hz = counts.d[np.isfinite(bends["B-spline"].compute_features(current).d[:, 0])].mean()

# %% ex-bend-zero-sum: does not add up to zero
friends_five, friends_intercept = np.array([0.0, 1, 2, 3, 4]), -9

# %% ex-bend-zero-sum: must gain
friends_five, friends_intercept = np.array([-2.0, -1, 0, 1, 2]), -9

# %% ex-bend-zero-sum: shape (5,)
friends_five, friends_intercept = np.array([-1.5, -0.5, 0.5, 1.5]), -6.5

# %% ex-bend-softplus: what is left
percent_lower = 100 * np.log1p([0.03, 0.3, 3]) / [0.03, 0.3, 3]

# %% ex-bend-softplus: look at the unit
percent_lower = 1 - np.log1p([0.03, 0.3, 3]) / [0.03, 0.3, 3]
