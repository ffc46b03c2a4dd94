# %% ex-fit-double: 100 times too small
doubling_pa = np.log(2) / model.coef_[0]

# %% ex-fit-double: needs the natural logarithm
doubling_pa = 100 * np.log10(2) / model.coef_[0]

# %% ex-fit-scipy: is a sum over bins
from scipy.optimize import minimize


def negative_log_likelihood(p):
    z = p[1] + p[0] * x
    return np.sum(np.exp(z) - y * z)


best = minimize(negative_log_likelihood, [0, np.log(y.mean())], tol=1e-10)

# %% ex-fit-scipy: is `tol` small enough
from scipy.optimize import minimize


def negative_log_likelihood(p):
    z = p[1] + p[0] * x
    return np.mean(np.exp(z) - y * z)


best = minimize(negative_log_likelihood, [0, np.log(y.mean())])

# %% ex-fit-bins: holds means: counts add up
coarse_counts = counts.bin_average(0.005, ep=sweep)
coarse_X = current.bin_average(0.005, ep=sweep)[:, np.newaxis] / 100
coarse = ...

# %% ex-fit-bins: is not fitted
coarse_counts = spikes[0].count(0.005, ep=sweep)
coarse_X = X[::5]
coarse = nmo.glm.GLM(**settings)
