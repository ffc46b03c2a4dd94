"""The stand-in: drop-in for the recording, within its ranges, honest about itself."""

import h5py
import jax
import nemos as nmo
import numpy as np
import pynapple as nap
import pytest
from nwbinspector import Importance, inspect_nwbfile
from pynwb import NWBHDF5IO
from scipy import stats

from workshop_utils import provenance
from workshop_utils.data import stand_in as simulate
from workshop_utils.data.stand_in import Neuron, injected_current, protocol, simulate_sweep

jax.config.update("jax_enable_x64", True)
nap.nap_config.suppress_conversion_warnings = True

ONSETS_S = np.array([2.02, 10.02, 18.02])


@pytest.fixture(scope="module")
def data(stand_in):
    return nap.load_file(str(stand_in))


@pytest.fixture(scope="module", params=[0, 1, 2])
def noise_1(request, data):
    """One Noise 1 sweep: its interval, spikes and current (pA)."""
    epochs = data["epochs"]
    sweep = epochs[epochs.tags == "Noise 1"][request.param]
    return sweep, data["units"].restrict(sweep), data["stimulus"].restrict(sweep) * 1e12


def test_says_that_it_is_simulated(stand_in):
    assert provenance(stand_in).kind == "simulated"
    assert "simulated" in stand_in.name
    with h5py.File(stand_in) as file:
        assert "SIMULATED" in file["session_description"].asstr()[()]


def test_size(stand_in):
    assert stand_in.stat().st_size < 60e6


def test_published_rows_of_the_epoch_table(data):
    epochs = data["epochs"]
    assert len(epochs) == 67
    rows = list(zip(epochs.start, epochs.end, epochs.tags, strict=True))
    first = [(0.0, 34.02), (39.02, 73.04), (78.04, 112.06)]
    assert rows[:3] == [(a, b, "Ramp") for a, b in first]
    short = [(117.06 + 7.023 * i, 119.083 + 7.023 * i) for i in range(4)]
    np.testing.assert_allclose([row[:2] for row in rows[3:7]], short, atol=1e-9)
    assert {row[2] for row in rows[3:7]} == {"Short Square"}
    triple = [(841.387 + 8.669 * i, 845.056 + 8.669 * i) for i in range(6)]
    np.testing.assert_allclose([row[:2] for row in rows[60:66]], triple, atol=1e-9)
    assert {row[2] for row in rows[60:66]} == {"Short Square - Triple"}
    assert rows[66][2] == "Test"
    np.testing.assert_allclose(rows[66][:2], (893.401, 897.421), atol=1e-9)
    np.testing.assert_allclose(epochs.start[1:] - epochs.end[:-1], 5.0, atol=1e-9)
    noise_1 = epochs[epochs.tags == "Noise 1"]
    expected = [(460.768, 488.788), (526.808, 554.828), (592.848, 620.868)]
    np.testing.assert_allclose(noise_1.values, expected, atol=1e-9)
    assert set(epochs.tags) == {
        "Ramp", "Short Square", "Long Square", "Noise 1", "Noise 2", "Test",
        "Square - 2s Suprathreshold", "Square - 0.5ms Subthreshold", "Short Square - Triple",
    }  # fmt: skip


def test_samples(data):
    stimulus, response = data["stimulus"], data["response"]
    assert len(stimulus) == len(response) == 11_348_420
    assert stimulus.t[0] == 0.0
    assert stimulus.t[-1] == pytest.approx(897.42095, abs=1e-6)
    sweep = data["epochs"][0]
    np.testing.assert_allclose(np.diff(stimulus.restrict(sweep).t), 1 / 20_000, atol=1e-9)


def test_keys_and_units_of_the_recording(data, stand_in):
    assert {"units", "epochs", "stimulus", "response"} <= set(data.keys())
    assert list(data["units"].metadata_columns) == ["rate", "location", "group"]
    assert data["units"].location[0] == "v1"
    with NWBHDF5IO(stand_in, "r") as io:  # and with plain pynwb
        nwb = io.read()
        assert nwb.stimulus["stimulus"].unit == "A"
        assert nwb.acquisition["response"].unit == "V"
        table = nwb.epochs.to_dataframe()
        assert (table.tags == "Noise 1").sum() == 3
        assert len(nwb.units["spike_times"][0]) == len(data["units"][0])


def test_nwb_file_is_valid(stand_in):
    serious = (
        Importance.CRITICAL,
        Importance.ERROR,
        Importance.PYNWB_VALIDATION,
        Importance.BEST_PRACTICE_VIOLATION,
    )
    found = [m for m in inspect_nwbfile(nwbfile_path=stand_in) if m.importance in serious]
    assert [f"{m.check_function_name}: {m.message}" for m in found] == []


def test_spike_counts(noise_1):
    sweep, spikes, _ = noise_1
    times = spikes[0].t - sweep.start[0]
    counts = [np.sum((times >= onset) & (times < onset + 3)) for onset in ONSETS_S]
    assert 0 <= counts[0] <= 1
    assert 10 <= counts[1] <= 18
    assert 22 <= counts[2] <= 32
    assert 33 <= len(times) <= 47


def test_adaptation(noise_1):
    sweep, spikes, _ = noise_1
    times = spikes[0].t - sweep.start[0]
    for onset in ONSETS_S[1:]:
        early = np.sum((times >= onset) & (times < onset + 0.5)) / 0.5
        late = np.sum((times >= onset + 0.5) & (times < onset + 3)) / 2.5
        assert early >= 1.5 * late


def test_spikes_differ_between_sweeps(data):
    epochs = data["epochs"]
    times = [data["units"][0].restrict(e).t - e.start[0] for e in epochs[epochs.tags == "Noise 1"]]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        nearest = np.abs(times[a][:, np.newaxis] - times[b]).min(axis=1)
        assert 0.001 < np.median(nearest) < 0.1


def test_current(noise_1):
    _, _, current = noise_1
    assert current.max() == pytest.approx(139, abs=1)
    assert np.sum(current.d == 0) == 380_400
    for onset, mean_pa in zip(ONSETS_S, (30, 60, 90), strict=True):
        pulse = current.d[round(onset * 20_000) : round((onset + 3) * 20_000)]
        assert pulse.mean() == pytest.approx(mean_pa, rel=0.01)
        assert pulse.std() / pulse.mean() == pytest.approx(0.2, abs=0.01)
        np.testing.assert_array_equal(pulse[:20_000], pulse[20_000:40_000])


def test_tuning(noise_1):
    _, spikes, current = noise_1
    tuning = nap.compute_tuning_curves(spikes, current, bins=15)[0]
    upper_edge = (np.arange(15) + 1) * current.max() / 15
    assert np.all(tuning.values[upper_edge < 50] == 0)
    assert tuning.values[-3:].mean() > 25


def test_pseudo_r2(noise_1):
    sweep, spikes, current = noise_1
    counts = spikes[0].count(0.001, ep=sweep)
    binned = current.bin_average(0.001, ep=sweep)
    history = nmo.basis.RaisedCosineLogConv(8, window_size=200).compute_features(binned).d
    r2 = []
    for X in (binned.d[:, np.newaxis] / 100, history / np.nanstd(history, axis=0)):
        kwargs = {"tol": 1e-12, "maxiter": 2000}
        model = nmo.glm.GLM(solver_name="LBFGS", solver_kwargs=kwargs).fit(X, counts.d)
        r2.append(float(model.score(X, counts.d, score_type="pseudo-r2-Cohen")))
    assert 0.24 <= r2[0] <= 0.36
    assert r2[1] >= r2[0] + 0.02


def rescaled_intervals(data, intensity_of):
    """Return the integrated intensity between spikes, over all noise sweeps."""
    intervals = []
    for sweep in data["epochs"][np.isin(data["epochs"].tags, ["Noise 1", "Noise 2"])]:
        intensity = intensity_of(data["conditional_intensity"].restrict(sweep))
        integral = np.concatenate([[0], np.cumsum(intensity.d) / 20_000])
        position = (data["units"][0].restrict(sweep).t - intensity.t[0]) * 20_000
        at_spikes = np.interp(position, np.arange(len(integral)), integral)
        intervals.append(np.diff(at_spikes, prepend=0))
    return np.concatenate(intervals)


def test_spikes_were_drawn_from_the_intensity_in_the_file(data):
    true = rescaled_intervals(data, lambda intensity: intensity)
    assert stats.kstest(true, "expon").pvalue > 0.01
    wrong = rescaled_intervals(data, lambda intensity: intensity.smooth(0.02))
    assert stats.kstest(wrong, "expon").pvalue < 1e-4


def test_spikes_are_drawn_into_the_potential(data):
    sweep = data["epochs"][0]
    voltage = data["response"].restrict(sweep) * 1e3
    for time in data["units"][0].restrict(sweep).t:
        around = voltage.restrict(nap.IntervalSet(time, time + 0.002))
        assert around.max() > 0


def test_deterministic():
    epoch = next(e for e in protocol() if e.tag == "Noise 1")
    current = injected_current(epoch)
    one, same, other = (
        simulate_sweep(current, Neuron(), np.random.default_rng(seed)) for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(one.voltage_mv, same.voltage_mv)
    np.testing.assert_array_equal(one.spikes, same.spikes)
    assert not np.array_equal(one.spikes, other.spikes)


def test_interrupted_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "recording.nwb"
    path.write_text("complete")

    def full_disk(temporary, *args, **kwargs):
        with open(temporary, "w") as file:
            file.write("half a fi")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(simulate, "_write", full_disk)
    with pytest.raises(OSError, match="No space left"):
        simulate.simulate_recording(path)
    assert [p.name for p in tmp_path.iterdir()] == ["recording.nwb"]
    assert path.read_text() == "complete"
