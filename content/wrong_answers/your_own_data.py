# %% ex-own-units: times too small
in_ms, too_small = spike_times / 1000, spike_times / 1000

# %% ex-own-units: One is missing
in_ms, too_small = 1000 * np.diff(spike_times), spike_times / 1000

# %% ex-own-shift: is not shifted
shifted, shifted_gain = z.d, 0.89

# %% ex-own-shift: more than a tenth
shifted, shifted_gain = np.roll(z.d, 5000), 0.5
