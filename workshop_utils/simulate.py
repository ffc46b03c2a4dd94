"""Simulate the recording: a model neuron in place of the patch-clamped one.

The file that `simulate_recording` writes has the layout of ``allen_478498617.nwb``: the same
sweeps, keys, units and sampling. The neuron in it is a model, and the file says so wherever
a reader can look. In return it holds what no recording can: the conditional intensity that
each spike was drawn from.
"""

from __future__ import annotations

import functools
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

__all__ = [
    "SAMPLING_RATE_HZ",
    "Epoch",
    "Neuron",
    "Sweep",
    "frozen_noise",
    "injected_current",
    "protocol",
    "simulate_recording",
    "simulate_sweep",
]

SAMPLING_RATE_HZ = 20_000
DT_MS = 1000 / SAMPLING_RATE_HZ
GAP_SAMPLES = 5 * SAMPLING_RATE_HZ

# Samples of one sweep. Published: Ramp, Short Square, Noise, Triple, Test. The others
# follow from the rule 1.02 s + pulse + 1 s, which "Short Square" (3 ms) obeys.
SWEEP_SAMPLES = {
    "Ramp": 680_400,  # 34.02 s
    "Short Square": 40_460,  # 2.023 s
    "Square - 0.5ms Subthreshold": 40_410,  # 2.0205 s
    "Long Square": 60_400,  # 3.02 s
    "Square - 2s Suprathreshold": 80_400,  # 4.02 s
    "Noise 1": 560_400,  # 28.02 s
    "Noise 2": 560_400,
    "Short Square - Triple": 73_380,  # 3.669 s
    "Test": 80_400,  # 4.02 s
}

# The 67 sweeps in their order: (name, one level per sweep). The level is the amplitude in
# pA, for triples the time between two pulses in ms, for the noise the mean of the middle
# pulse in pA, for the ramp the slope in pA/s.
SCHEDULE = (
    ("Ramp", (80, 80, 80)),
    ("Short Square", (300, 400, 500, 600)),  # published up to here
    ("Short Square", (550, 650, 700, 750, 800, 700, 700, 700, 800, 800, 800)),
    ("Square - 0.5ms Subthreshold", (600, 600, 600, -600, -600, -600)),
    ("Long Square", (-50, 30)),
    ("Square - 2s Suprathreshold", (70, 80, 90, 100, 110, 90, 90)),
    ("Ramp", (80, 80, 80)),
    ("Noise 1", (60,)),  # published from here
    ("Noise 2", (60,)),
    ("Noise 1", (60,)),
    ("Noise 2", (60,)),
    ("Noise 1", (60,)),
    ("Noise 2", (60,)),  # to here
    ("Long Square", (-90, 50, 70, 90, 110, 150)),
    ("Ramp", (80,)),
    ("Short Square - Triple", (63, 58, 53, 48, 43, 38, 33, 28, 23, 18, 13)),
    ("Short Square - Triple", (38, 33, 28, 23, 13, 8)),  # published from here
    ("Test", (-20,)),
)


@dataclass(frozen=True)
class Epoch:
    """One sweep of the protocol: when it runs, and which current it injects.

    Attributes
    ----------
    index : int
        Row in the table of epochs, from 0.
    tag : str
        Name of the stimulus.
    first_sample : int
        Start of the sweep, in samples since the start of the recording.
    n_samples : int
        Length of the sweep.
    level : float
        Strength of the stimulus, see `injected_current`.
    """

    index: int
    tag: str
    first_sample: int
    n_samples: int
    level: float

    @property
    def start_s(self) -> float:
        """Time of the first sample (s)."""
        return self.first_sample / SAMPLING_RATE_HZ

    @property
    def stop_s(self) -> float:
        """End of the sweep (s): one sample interval after the last sample."""
        return (self.first_sample + self.n_samples) / SAMPLING_RATE_HZ


def protocol() -> list[Epoch]:
    """Return the 67 sweeps of the recording, in order, with 5 s between them.

    Returns
    -------
    list of Epoch
        11 348 420 samples in all.

    Notes
    -----
    Published for the recording, and met here to the sample: the number of rows, the number
    of samples, the gaps, rows 0 to 6, rows 60 to 66, and the times of the Noise 1 sweeps
    and of the Noise 2 sweeps between them. Not published: the other rows, and all levels.
    """
    epochs: list[Epoch] = []
    first = 0
    for tag, levels in SCHEDULE:
        for level in levels:
            epochs.append(Epoch(len(epochs), tag, first, SWEEP_SAMPLES[tag], level))
            first += SWEEP_SAMPLES[tag] + GAP_SAMPLES
    return epochs


NOISE_SEEDS = {"Noise 1": 1, "Noise 2": 2}
NOISE_SD = 0.2
CURRENT_STEP_PA = 1 / 16


@functools.cache
def frozen_noise(tag: str) -> np.ndarray:
    """Return one second of the frozen noise of a stimulus, relative to its mean current."""
    frequency = np.arange(1, 101)
    phase = np.random.default_rng(NOISE_SEEDS[tag]).uniform(0, 2 * np.pi, frequency.size)
    spectrum = np.zeros(SAMPLING_RATE_HZ // 2 + 1, dtype=complex)
    spectrum[frequency] = np.exp(1j * phase) / np.sqrt(frequency)
    noise = np.fft.irfft(spectrum)
    noise *= NOISE_SD / noise.std()
    noise.setflags(write=False)
    return noise


def injected_current(epoch: Epoch) -> np.ndarray:
    """Return the current of a sweep (pA), shape ``(n_samples,)``."""
    current = np.zeros(epoch.n_samples)

    def put(start_ms: float, values) -> None:
        first = round(start_ms / DT_MS)
        current[first : first + values.size] = values

    def square(start_ms: float, length_ms: float, amplitude: float) -> None:
        put(start_ms, np.full(round(length_ms / DT_MS), float(amplitude)))

    if epoch.tag.startswith("Noise"):
        noise = np.tile(1 + frozen_noise(epoch.tag), 3)
        for start_ms, factor in ((2020, 0.5), (10020, 1.0), (18020, 1.5)):
            put(start_ms, factor * epoch.level * noise)
    elif epoch.tag == "Ramp":
        put(1020, epoch.level * np.arange(2 * SAMPLING_RATE_HZ) / SAMPLING_RATE_HZ)
    elif epoch.tag == "Short Square - Triple":
        for i in range(3):
            square(2020 + i * epoch.level, 3, 800)
    else:
        length_ms = {"Short Square": 3, "Square - 0.5ms Subthreshold": 0.5,
                     "Long Square": 1000, "Square - 2s Suprathreshold": 2000,
                     "Test": 1000}[epoch.tag]
        square(1020, length_ms, epoch.level)
    return np.round(current / CURRENT_STEP_PA) * CURRENT_STEP_PA


class Neuron(NamedTuple):
    """Parameters of the model neuron: mV, pA, pF, GOhm and ms. Voltages relative to rest."""

    rest_mv: float = -67.5764185587565
    capacitance_pf: float = 79.59528075503927
    resistance_gohm: float = 0.3156903947588778
    threshold_mv: float = 22.22170837282999 * 1.0316619462719951
    cut_samples: int = 110
    reset_slope: float = 0.24876464973396845
    reset_offset_mv: float = 7.843807312435861
    jump_mv: float = 2.858113943366935
    jump_per_ms: float = 0.25820168982951924
    asc_slow_pa: float = -4.9620878083600485
    asc_slow_ms: float = 1000 / 3
    asc_fast_pa: float = -773.8444329386878
    asc_fast_ms: float = 10 / 3
    # ours
    threshold_factor: float = 0.8
    softness_mv: float = 0.45
    intensity_hz: float = 1000.0
    noise_mv: float = 0.6
    adaptation_pa: float = -3.0
    adaptation_ms: float = 1500.0
    fatigue_mv: float = 0.3
    fatigue_ms: float = 500.0


class Sweep(NamedTuple):
    """What one simulated sweep gives.

    Attributes
    ----------
    voltage_mv : ndarray, shape (n_samples,)
        Membrane potential.
    intensity_hz : ndarray of float32, shape (n_samples,)
        Conditional intensity.
    spikes : ndarray, shape (n_spikes,)
        Spike times in samples since the start of the sweep, with a fraction.
    """

    voltage_mv: np.ndarray
    intensity_hz: np.ndarray
    spikes: np.ndarray


DRIVE_STEPS = 32
INTENSITY_FLOOR_HZ = 1e-6


def _integrate(current, white, waiting, shape, neuron):
    """Integrate one sweep (compiled by `_compiled`)."""
    n = current.size
    voltage = np.empty(n)
    intensity = np.zeros(n, dtype=np.float32)
    spikes = np.empty(n // neuron.cut_samples + 1)
    n_spikes = 0

    tau = neuron.resistance_gohm * neuron.capacitance_pf
    kick = neuron.noise_mv * np.sqrt(2 * DT_MS / tau)
    keep_slow = np.exp(-DT_MS / neuron.asc_slow_ms)
    keep_fast = np.exp(-DT_MS / neuron.asc_fast_ms)
    keep_adaptation = np.exp(-DT_MS / neuron.adaptation_ms)
    keep_jump = np.exp(-DT_MS * neuron.jump_per_ms)
    keep_fatigue = np.exp(-DT_MS / neuron.fatigue_ms)
    threshold = neuron.threshold_mv * neuron.threshold_factor

    v = neuron.noise_mv * white[0]
    slow = fast = adaptation = jump = fatigue = 0.0
    held = 0
    v_spike = 0.0
    for k in range(n):
        slow *= keep_slow
        fast *= keep_fast
        adaptation *= keep_adaptation
        jump *= keep_jump
        fatigue *= keep_fatigue
        if held > 0:
            reset = neuron.reset_slope * v_spike + neuron.reset_offset_mv
            s = shape[neuron.cut_samples - held]
            base = v_spike if held > neuron.cut_samples - 6 else reset
            voltage[k] = base + s * (100.0 - base)
            held -= 1
            if held == 0:
                v = reset
                slow += neuron.asc_slow_pa
                fast += neuron.asc_fast_pa
                adaptation += neuron.adaptation_pa
                jump += neuron.jump_mv
                fatigue += neuron.fatigue_mv
            continue
        total = current[k] + slow + fast + adaptation
        v += DT_MS / neuron.capacitance_pf * (total - v / neuron.resistance_gohm)
        v += kick * white[k]
        voltage[k] = v
        drive = (v - threshold - jump - fatigue) / neuron.softness_mv
        drive = np.round(drive * DRIVE_STEPS) / DRIVE_STEPS
        rate = np.float32(neuron.intensity_hz * np.exp(min(drive, 10.0)))
        if rate < INTENSITY_FLOOR_HZ:
            continue
        intensity[k] = rate
        wait = 1000 * waiting[k] / rate
        if wait < DT_MS:
            spikes[n_spikes] = k + wait / DT_MS
            n_spikes += 1
            v_spike = v
            held = neuron.cut_samples
    return voltage, intensity, spikes[:n_spikes]


@functools.cache
def _compiled():
    """Return `_integrate`, compiled."""
    from numba import njit

    return njit(_integrate)


def _spike_shape(n: int) -> np.ndarray:
    ms = np.arange(n) * DT_MS
    return np.where(ms < 0.3, ms / 0.3, np.exp(-((ms - 0.3) / 0.5)))


def simulate_sweep(
    current_pa: np.ndarray, neuron: Neuron, rng: np.random.Generator
) -> Sweep:
    """Simulate one sweep from rest."""
    white = rng.standard_normal(current_pa.size)
    waiting = rng.standard_exponential(current_pa.size)
    shape = _spike_shape(neuron.cut_samples)
    voltage, intensity, spikes = _compiled()(current_pa, white, waiting, shape, neuron)
    voltage = voltage + neuron.rest_mv
    return Sweep(voltage, intensity, spikes)


DEFAULT_SEED = 478498617
RECORDING_NOISE_MV = 0.06
VOLTAGE_STEP_V = 2.0**-15


def simulate_recording(path: str | os.PathLike, *, seed: int = DEFAULT_SEED) -> Path:
    """Simulate the whole recording and write it as an NWB file.

    Parameters
    ----------
    path : str or path-like
        The file to write.
    seed : int
        Seed of all noise of the neuron.

    Returns
    -------
    pathlib.Path
        `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    epochs = protocol()
    total = sum(e.n_samples for e in epochs)
    clock = np.empty(total)
    stimulus = np.empty(total)
    response = np.empty(total, dtype=np.float32)
    intensity = np.empty(total, dtype=np.float32)
    spikes = []
    at = 0
    for e in epochs:
        rng = np.random.default_rng([seed, e.index])
        current = injected_current(e)
        sweep = simulate_sweep(current, Neuron(), rng)
        part = slice(at, at + e.n_samples)
        clock[part] = np.arange(e.first_sample, e.first_sample + e.n_samples) / SAMPLING_RATE_HZ
        stimulus[part] = current * 1e-12
        volts = (sweep.voltage_mv + RECORDING_NOISE_MV * rng.standard_normal(e.n_samples)) * 1e-3
        response[part] = np.round(volts / VOLTAGE_STEP_V) * VOLTAGE_STEP_V
        intensity[part] = sweep.intensity_hz
        spikes.append((e.first_sample + sweep.spikes) / SAMPLING_RATE_HZ)
        at += e.n_samples
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=".nwb")
    os.close(handle)
    try:
        _write(temporary, epochs, clock, stimulus, response, intensity, np.concatenate(spikes))
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path


def _write(path, epochs, clock, stimulus, response, intensity, spikes) -> None:
    from datetime import datetime, timezone

    from hdmf.common import VectorData
    from pynwb import NWBHDF5IO, H5DataIO, NWBFile, TimeSeries
    from pynwb.epoch import TimeIntervals
    from pynwb.file import Subject

    def packed(data, chunk=2**18):
        return H5DataIO(data, compression="gzip", compression_opts=4, shuffle=True, chunks=(chunk,))

    nwb = NWBFile(
        session_description="SIMULATED data, not a recording: generalized leaky "
        "integrate-and-fire model of Allen Cell Types specimen 478498617.",
        identifier="SIMULATED-allen_478498617",
        session_start_time=datetime(2000, 1, 1, tzinfo=timezone.utc),
        subject=Subject(subject_id="SIMULATED", species="Mus musculus", sex="U", age="P90D",
                        description="SIMULATED neuron, no animal."),
    )
    stim = TimeSeries(name="stimulus", data=packed(stimulus), unit="A", timestamps=packed(clock),
                      description="Current given to the SIMULATED neuron")
    nwb.add_stimulus(stim)
    nwb.add_acquisition(TimeSeries(name="response", data=packed(response), unit="V",
                                   timestamps=stim, description="SIMULATED membrane potential"))
    module = nwb.create_processing_module("simulation", "Known only because data are SIMULATED")
    module.add(TimeSeries(name="conditional_intensity", data=packed(intensity), unit="Hz",
                          timestamps=stim, description="SIMULATED intensity"))
    nwb.add_unit_column("location", "area")
    nwb.add_unit_column("group", "group")
    nwb.add_unit(spike_times=spikes, location="v1", group=0)
    nwb.epochs = table = TimeIntervals(
        name="epochs", description="Sweeps of the SIMULATED protocol",
        columns=[VectorData(name="start_time", description="start (s)", data=[e.start_s for e in epochs]),
                 VectorData(name="stop_time", description="stop (s)", data=[e.stop_s for e in epochs]),
                 VectorData(name="tags", description="stimulus", data=[e.tag for e in epochs])])
    table.tags_index = None  # pynwb asks for it; one plain string per sweep needs none
    with NWBHDF5IO(path, "w") as io:
        io.write(nwb)
