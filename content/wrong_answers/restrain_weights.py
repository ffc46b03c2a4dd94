# %% ex-restrain-silence: take the mean
X, y = sweeps[0]
silencing = np.abs(X.T @ (y - y.mean())).max()

# %% ex-restrain-silence: smallest slope
X, y = sweeps[0]
silencing = np.abs(X.T @ (y - y.mean())).min() / len(y)
