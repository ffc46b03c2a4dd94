# %% ex-protocols-clip: is limited in pA
clipped = np.minimum(np.nan_to_num(binned.d), 140)
asked = ask[ask.tags == "Short Square"]
expected_clipped = expected_everywhere.restrict(asked).sum()

# %% ex-protocols-clip: without the limit
clipped = np.minimum(np.nan_to_num(binned.d), peaks_pa[tags == "Noise 1"].max() / 100)
asked = ask[ask.tags == "Short Square"]
expected_clipped = expected_everywhere.restrict(asked).sum()

# %% ex-protocols-strength: is the same for all
worst = {s: scores[-1].min() for s in (1e-5, 1e-4, 1e-3)}

# %% ex-protocols-strength: take the lowest score
worst = {s: scores[-1].mean() + s for s in (1e-5, 1e-4, 1e-3)}

# %% ex-protocols-pair: is the score with the penalty
teacher, pupil = "Noise 2", "Noise 1"
ratio, pair_bits = 1.0, scores[names.index(teacher), names.index(pupil)]

# %% ex-protocols-pair: not converged
teacher, pupil = "Noise 2", "Noise 1"
early = nmo.glm.GLM(solver_name="LBFGS", solver_kwargs={"maxiter": 3})
early.fit(X.restrict(pairs[teacher][0]), y.restrict(pairs[teacher][0]))
mu = early.predict(X.restrict(pairs[teacher][0]))
ratio = mu.mean() / y.restrict(pairs[teacher][0]).mean()
pair_bits = score(early.predict(X), pairs[pupil][1])
