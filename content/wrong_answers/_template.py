# %% ex-ask-something-halves: late is too large
early, late = rate_hz[:28].sum(), rate_hz[28:].sum()

# %% ex-ask-something-halves: expected a number
early, late = rate_hz[:28] * bin_size_s, rate_hz[28:] * bin_size_s
