# %% ex-compare-gap: counts the gaps in
n_to_train_on = 15

# %% ex-compare-gap: counts one gap
n_to_train_on = 12

# %% ex-compare-flattery: takes the best fold
folds = [rng.normal(2.9, 0.1, size=(2000, n, 3)) for n in (6, 100)]
mean_best = [f.max(axis=(1, 2)).mean() for f in folds]

# %% ex-compare-flattery: is the mean of all candidates
folds = [rng.normal(2.9, 0.1, size=(2000, n, 3)) for n in (6, 100)]
mean_best = [f.mean(axis=2).mean() for f in folds]
