# %% ex-setup-data: is only a name
path = "allen_478498617.nwb"

# %% ex-setup-data: is the function
from workshop_utils import fetch_data

path = fetch_data
