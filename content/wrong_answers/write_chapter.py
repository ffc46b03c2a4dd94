# %% ex-write-chapter-busiest: is too small
rate_hz = counts.max()

# %% ex-write-chapter-busiest: expected a number
rate_hz = counts / bin_size_s
