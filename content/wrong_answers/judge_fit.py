# %% ex-judge-steps: has one mean for all pulses
steps = np.where(
    np.isfinite(pulses.in_interval(binned)),
    binned.restrict(pulses).mean(),
    binned.d,
)
steps_model, steps_r2 = ..., ...

# %% ex-judge-steps: is a log-likelihood
levels = [binned.restrict(ep).mean() for ep in pulses]
within = [(binned.t >= ep.start[0]) & (binned.t <= ep.end[0]) for ep in pulses]
steps = np.select(within, levels, binned.d)
steps_model = model
steps_r2 = model.score(steps[:, np.newaxis] / 100, counts.d)

# %% ex-judge-bits: is in nats
bits_per_spike = (fitted - null) * len(counts) / counts.sum()

# %% ex-judge-bits: takes means for totals
bits_per_spike = (fitted - null) / counts.sum() / np.log(2)

# %% ex-judge-pulses: is that of the old `model`
strong, pulse_model = pulses[1:], nmo.glm.GLM()
pulse_r2 = model.score(
    X.restrict(strong),
    counts.restrict(strong),
    score_type="pseudo-r2-Cohen",
)

# %% ex-judge-pulses: is scored on the whole sweep
strong, settings = pulses[1:], {"tol": 1e-12, "maxiter": 1000}
pulse_model = nmo.glm.GLM(solver_name="LBFGS", solver_kwargs=settings)
pulse_model.fit(X.restrict(strong), counts.restrict(strong))
pulse_r2 = pulse_model.score(X, counts, score_type="pseudo-r2-Cohen")
