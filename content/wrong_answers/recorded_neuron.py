# %% ex-recorded-isi: 1000 times too large
intervals_s = 1000 * np.diff(spikes[0].t)
expected = 1 - np.exp(-spikes.rate[0] * 0.003)

# %% ex-recorded-isi: multiply by the number of intervals
intervals_s = np.diff(spikes[0].t)
expected = 1 - np.exp(-spikes.rate[0] * 0.003)

# %% ex-recorded-log: one value for each of 30 lags
log_model, log_filter = history_model, history_model.coef_

# %% ex-recorded-log: not per dB
log_basis = nmo.basis.RaisedCosineLogConv(8, window_size=30)
log_X = log_basis.compute_features(binned - binned.restrict(train).mean())
log_X = log_X / np.nanstd(log_X.restrict(train).d, axis=0)
log_model = nmo.glm.GLM(**solver)
log_model.fit(log_X.restrict(train), counts.restrict(train))
log_filter = log_basis.evaluate_on_grid(30)[1] @ log_model.coef_
