# %% ex-precision-errors: take their roots
design = np.column_stack([X, np.ones(len(X))])
mu = np.exp(design @ best)
covariance = np.linalg.inv(design.T @ (mu[:, np.newaxis] * design))
standard_errors = np.diag(covariance)
in_errors = ...

# %% ex-precision-errors: not divided by the errors
standard_errors = ...
in_errors = weights_of(careful_32) - best

# %% ex-precision-counter: still grows by one
stuck_at = 2**23

# %% ex-precision-counter: is not the smallest
stuck_at = 2**53

# %% ex-precision-memory: forgets the basis functions
features_gb = 3600 * 1000 * 1000 * 8 / 1e9
seconds_per_chunk = ...

# %% ex-precision-memory: is in bins
features_gb = ...
seconds_per_chunk = 2e9 / (10 * 1000 * 8)
