# %% ex-spikes-basis: counts bins within reach
narrow = np.nan_to_num(current_basis.compute_features(counts).d)
narrow_hits = (narrow[known] > 0).sum(axis=0)
changes = ...

# %% ex-spikes-basis: lacks the - 1
narrow = np.nan_to_num(current_basis.compute_features(counts).d)[known]
narrow_hits = ...
f, mu_history = narrow[:, 0], predicted["current history"].d
weigh = lambda w: w * (f @ y.d) - mu_history @ np.exp(w * f)
changes = [weigh(w) for w in steps_down]

# %% ex-spikes-present: should have 5 weights
short_model = models["present current"]
short_bits = bits["present current"]

# %% ex-spikes-present: is not at its optimum
short_model = nmo.glm.GLM(solver_kwargs={"maxiter": 3})
short_model.fit(np.column_stack([present, X[:, 8:]]), y.d)
short_bits = ...

# %% ex-spikes-softplus: where is s?
softplus = lambda z, s: jnp.logaddexp(0.0, z)
final_hz = {0.005: ..., 0.02: ...}

# %% ex-spikes-softplus: is per bin
softplus = lambda z, s: s * jnp.logaddexp(0.0, z)
final_hz = {0.005: 0.007, 0.02: 0.99}
