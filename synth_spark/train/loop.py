"""The training loop of one rank: epochs of planned steps, averaged weights, early stopping. [torch]

An epoch is one pass over the training data; where these are plentiful (`train.epoch_events`) a part of it, and the next
epoch goes on with the windows of subjects that are not seen yet. After each there are validation and a checkpoint.
"""

from __future__ import annotations

import contextlib
import copy
import json
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from synth_spark.config_train import TrainSettings
from synth_spark.errors import TrainingError
from synth_spark.files import add_line
from synth_spark.model.checkpoint import tensors_of
from synth_spark.model.chunks import most_rows_for
from synth_spark.model.network import Past, SequenceModel
from synth_spark.model.number_format import BFLOAT16, resolve_number_format
from synth_spark.progress import track
from synth_spark.seeds import derive
from synth_spark.train.batches import SequenceReader
from synth_spark.train.optimizer import make_optimizer, part_of, rest, set_rates
from synth_spark.train.plan import Step, Window, batch_events_for, plan_steps
from synth_spark.train.ranks import RankInfo, largest, summed
from synth_spark.train.state import RESUMED_WITH, PartProgress, Progress, load_state, save_state
from synth_spark.train.tensors import Batch, company, make_batch

WARM_UP_STEPS = 50
AVERAGE_DECAY = 0.99  # of the exponential moving average of weights, per step
MAX_GRADIENT_NORM = 5.0
EVALUATION_EVENTS = 8192
SAMPLED_STEPS = 16  # of the first window, where some validation events stand for all


@dataclass(frozen=True)
class Trained:
    """The weights of the best epochs (see PartProgress), and how they came about."""

    best: dict[str, Tensor]
    progress: Progress
    history: list[dict[str, Any]]


@dataclass(frozen=True)
class Costs:
    """What some subjects cost under some weights, in nats."""

    by_column: NDArray[np.float64]  # (S+E,), of all subjects of all ranks
    num_subjects: float  # of all ranks
    by_part: dict[str, NDArray[np.float64]]  # part of the network -> (subjects of this rank,), in the reader's order

    @property
    def mean(self) -> float:
        """Per subject."""
        return float(self.by_column.sum() / max(self.num_subjects, 1))

    def means(self, num_static: int) -> dict[str, float]:
        """Per subject, of each part of the network."""
        static, event = np.split(self.by_column / max(self.num_subjects, 1), [num_static])
        return {"static": float(static.sum()), "event": float(event.sum())}


class Pass:
    """One pass over this rank's training data, window by window in step with the other ranks."""

    def __init__(self, reader: SequenceReader, seed: int, *, skip: int) -> None:
        """skip: windows that were trained on before a restart; they are read and left out."""
        self._windows = islice(reader.windows(seed=seed), skip, None)
        self._ahead: Window | None = None
        self._waited = 0.0

    def is_over(self) -> bool:
        """Whether no rank has a window left. All ranks must ask together."""
        if self._ahead is None:
            started = time.perf_counter()
            self._ahead = next(self._windows, None)
            self._waited += time.perf_counter() - started
        return largest(int(self._ahead is not None)) == 0

    def take(self) -> Window | None:
        """The next window; None if only other ranks have one left."""
        window, self._ahead = self._ahead, None
        return window

    def waited(self) -> float:
        """Seconds spent waiting for the reader since this was asked last."""
        waited, self._waited = self._waited, 0.0
        return waited


class Trainer:
    """One rank's share of a training run."""

    def __init__(
        self,
        model: SequenceModel,
        readers: dict[str, SequenceReader],
        settings: TrainSettings,
        ranks: RankInfo,
        *,
        seed: int,
        folder: Path,
        manifest_digest: str,
    ) -> None:
        self.model, self.readers, self.settings, self.ranks, self.device = model, readers, settings, ranks, model.device
        self.seed, self.folder = seed, folder
        # of all ranks; events are known once the reader was read for counts
        self.pass_events, self.pass_subjects = summed(readers["training"].num_events, readers["training"].num_subjects)
        # buffers are constants, which need not be sent around in every step
        self.parallel = DistributedDataParallel(model, gradient_as_bucket_view=True, broadcast_buffers=False)
        self.averaged = copy.deepcopy(model).requires_grad_(False)
        if self.averaged.events is not None:
            self.averaged.events.history.flatten_parameters()  # cuDNN wants them side by side, which no copy keeps
        self.optimizer = make_optimizer(model, settings.learning_rate)
        self.best = tensors_of(model)
        self.best_costs: dict[str, NDArray[np.float64]] = {}  # of this rank's validation subjects, as in Costs.by_part
        parts = sorted({group["part"] for group in self.optimizer.param_groups})
        self.progress = Progress(
            manifest_digest,
            ranks.num_ranks,
            {part: PartProgress(settings.learning_rate) for part in parts},
            settings={name: getattr(settings, name) for name in RESUMED_WITH},
        )
        self.history: list[dict[str, Any]] = []
        self.data: Pass | None = None  # the pass that is begun
        self.most_rows = most_rows_for(model.config.static_cardinalities, model.config.event_cardinalities)
        self.number_format = resolve_number_format(settings.number_format, self.device)

    def fit(self) -> Trained:
        """Train until validation stops improving, the epochs or the time are used up; resumes where it can."""
        self._resume()
        limits = {key: getattr(self.settings, key) for key in ("max_epochs", "patience", "max_minutes")}
        while not self._agreed(self.progress.finished(**limits)):
            started = time.perf_counter()
            figures = self._train_epoch()
            costs = self.validation_costs(self.averaged)
            figures |= self._losses(costs, self.training_costs(self.averaged))
            self._refuse_divergence(figures)
            self._note_epoch(figures, costs, time.perf_counter() - started)
        return Trained(self.best, self.progress, self.history)

    def _agreed(self, finished: bool) -> bool:
        """All ranks stop together: clocks differ, so one rank's wish to stop is everybody's."""
        return largest(int(finished)) > 0

    def _resume(self) -> None:
        found = load_state(self.folder, self.progress, self.model, self.optimizer)
        if found is None:
            return
        self.progress, weights = found
        self.model.load_state_dict(weights["current"])
        self.averaged.load_state_dict(weights["averaged"])
        self.best = weights["best"]
        self.best_costs = self.validation_costs(self._holding(self.best)).by_part
        self.history = [line for line in read_metrics(self.folder) if line["epoch"] <= self.progress.epoch]

    def _holding(self, weights: dict[str, Tensor]) -> SequenceModel:
        model = copy.deepcopy(self.averaged)
        model.load_state_dict(weights)
        return model

    def _refuse_divergence(self, figures: dict[str, float]) -> None:
        """The same figures on all ranks, so all of them stop."""
        for name in ("train.loss", "validation.loss"):
            if not math.isfinite(figures[name]):
                raise TrainingError(
                    f"{name} is {figures[name]} in epoch {self.progress.epoch + 1}: training diverged; lower "
                    f"train.learning_rate (now {self.settings.learning_rate}) or set train.number_format to float32, "
                    "in a new run (--fresh)"
                )

    def _train_epoch(self) -> dict[str, float]:
        """Train window by window, until the pass over the data ends or an epoch's events or the time are used up."""
        progress, begun = self.progress, time.perf_counter()
        torch.manual_seed(derive(self.seed, "dropout", progress.epoch, self.ranks.rank))
        self.parallel.train()
        losses = np.zeros(4)  # of all ranks: static nats, subjects, event nats, events
        data = self.data = self.data or Pass(self.readers["training"], self._seed_of_pass(), skip=progress.windows)
        with self._bar() as bar:
            while not data.is_over():
                losses += summed(*self._train_window(data.take(), bar, begun))
                progress.windows += 1
                if losses[3] >= self.settings.epoch_events or self._out_of_time(begun):
                    break
        if data.is_over():
            progress.passes, progress.windows, self.data = progress.passes + 1, 0, None
        static, subjects, event, events = losses
        progress.events += int(events)
        return {
            "train.loss": static / max(subjects, 1) + event / max(subjects, 1),
            "events": events,
            "reader_wait_seconds": data.waited(),
        }

    def _seed_of_pass(self) -> int:
        return derive(self.seed, "epoch", self.progress.passes)

    def _out_of_time(self, begun: float) -> bool:
        """All ranks must ask together."""
        limit = self.settings.max_minutes
        return limit is not None and self._agreed(self.progress.seconds + time.perf_counter() - begun >= 60 * limit)

    def _train_window(self, window: Window | None, bar: Any, begun: float) -> NDArray[np.float64]:
        """Every event of this rank's window once, in as many steps as the busiest rank: what it cost, as _step tells.
        When the time is used up the rest is left out, for training is over.

        None: the other ranks have longer data; this one keeps them company.
        """
        rng = np.random.default_rng([self._seed_of_pass(), self.ranks.rank, self.progress.windows])
        planned = [] if window is None else self._plan(window, self._batch_events(window), rng)
        told: list[tuple[Tensor, float, Tensor, float]] = []  # read at the end: it waits for a GPU's work to be done
        past: Past | None = None
        for index in range(largest(len(planned))):
            own = make_batch(window, planned[index]) if window and index < len(planned) else None
            batch = own or company(self.model.config)
            cost, past = self._step(batch, past)
            told.append(cost)
            bar.update(batch.num_trained)
            if self._out_of_time(begun):
                break
        return sum((np.array([float(part) for part in cost]) for cost in told), np.zeros(4))

    def _bar(self) -> Any:
        """Progress of one epoch, shown by the first rank where there is a terminal."""
        progress = self.progress
        best = f", best {progress.best_loss:.3f} of epoch {progress.latest.best_epoch}" if progress.epoch else ""
        share = self.settings.epoch_events // self.ranks.num_ranks
        total = min(self.readers["training"].num_events, share) if self.ranks.is_first else 0
        return track(total, description=f"train epoch {progress.epoch + 1}{best}", unit="events")

    def _step(self, batch: Batch, past: Past | None) -> tuple[tuple[Tensor, float, Tensor, float], Past | None]:
        """Train on one batch: what it cost (static nats, subjects, event nats, events), and the past it leaves."""
        progress = self.progress
        num_events = float(batch.num_trained)
        num_random = batch.random_weight * len(batch.random_static_codes)
        all_events, all_random = summed(num_events, num_random)
        warmth = min(1.0, (progress.step + 1) / WARM_UP_STEPS)
        rates = {name: part.learning_rate * warmth for name, part in progress.parts.items()}
        shares = {"static": all_random / self.pass_subjects, "event": all_events / max(self.pass_events, 1.0)}
        set_rates(self.optimizer, rates, shares, full=self.settings.learning_rate)
        static_nats, event_nats, past = self._nats(self.parallel, batch, past)
        static, event = static_nats.sum() * batch.random_weight, event_nats.sum()
        # DDP averages gradients over ranks; this makes them those of the mean over all ranks' rows
        loss = self.ranks.num_ranks * (static / max(all_random, 1.0) + event / max(all_events, 1.0))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        rest(self.optimizer, shares)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT_NORM, foreach=True)
        self.optimizer.step()
        progress.step += 1
        self._average()
        return (static.detach(), num_random, event.detach(), num_events), past

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards those that the last step moved."""
        decay = min(AVERAGE_DECAY, (1 + self.progress.step) / (10 + self.progress.step))
        both = zip(self.averaged.parameters(), self.model.parameters(), strict=True)
        moved = [(mean, own) for mean, own in both if own.grad is not None]
        if moved:  # a step may train nobody
            torch._foreach_lerp_([mean for mean, _ in moved], [own for _, own in moved], 1 - decay)

    def _nats(self, model: torch.nn.Module, batch: Batch, past: Past | None) -> tuple[Tensor, Tensor, Past | None]:
        """The model's answer to a batch, which goes on from the past where it does not begin histories."""
        going_on = past.kept(len(batch.num_events)) if past is not None and batch.first_event else None
        with self._autocast():
            return model(*batch.inputs(self.device), going_on)

    def _losses(self, validation: Costs, training: Costs) -> dict[str, float]:
        """Mean nats per validation subject, and how many fewer the training subjects cost."""
        num_static = len(self.model.config.static_cardinalities)
        losses, known = validation.means(num_static), training.means(num_static)
        figures = {"validation.loss": validation.mean, "overfit": validation.mean - training.mean}
        for part, loss in losses.items():
            figures |= {f"validation.loss.{part}": loss, f"overfit.{part}": loss - known[part]}
        return figures

    def validation_costs(self, model: SequenceModel) -> Costs:
        """What all validation subjects of all ranks cost."""
        return self._costs_of(model, self.readers["validation"].windows(seed=0, shuffle=False))

    def training_costs(self, model: SequenceModel) -> Costs:
        """What training subjects cost, about as many as there are to validate: those of a rank's first window."""
        first = islice(self.readers["training"].windows(seed=0, shuffle=False), 1)
        most = self.readers["validation"].num_subjects
        return self._costs_of(model, (window.first(most) for window in first))

    def _costs_of(self, model: SequenceModel, windows: Iterable[Window]) -> Costs:
        by_column = np.zeros(len(model.config.static_cardinalities) + len(model.config.event_cardinalities))
        by_part: dict[str, list[NDArray[np.float64]]] = {part: [np.zeros(0)] for part in ("static", "event")}
        for window in windows:
            static_of, events_of = np.zeros((2, len(window.num_events)))
            for step, static, event in self._costs(model, window):
                by_column += np.concatenate([static.sum(0), event.sum(0)])
                static_of[step.random_rows] += static.sum(1)
                events_of[step.rows] += event.sum(1)[: len(step.rows)]
            by_part["static"].append(static_of)
            by_part["event"].append(events_of)
        own_costs = {part: np.concatenate(own) for part, own in by_part.items()}
        *of_all, num_subjects = summed(*by_column, len(own_costs["static"]))
        return Costs(np.asarray(of_all), num_subjects, own_costs)

    def event_costs(self, model: SequenceModel) -> NDArray[np.float64]:
        """What a sample of the validation events of all ranks costs, always the same one: nats, shape (E,)."""
        total = np.zeros(len(model.config.event_cardinalities))
        for window in islice(self.readers["validation"].windows(seed=0, shuffle=False), 1):
            total += sum(event.sum(0) for _, _, event in islice(self._costs(model, window), SAMPLED_STEPS))
        return np.asarray(summed(*total))

    @torch.no_grad()
    def _costs(
        self, model: SequenceModel, window: Window
    ) -> Iterator[tuple[Step, NDArray[np.float64], NDArray[np.float64]]]:
        """What validation subjects cost, step by step: nats of static codes (R, S) and of the step's events (B, E)."""
        model.eval()
        past: Past | None = None
        for step in self._plan(window, min(EVALUATION_EVENTS, self.most_rows), np.random.default_rng(0)):
            static_nats, event_nats, past = self._nats(model, make_batch(window, step), past)
            yield step, static_nats.double().cpu().numpy(), event_nats.double().sum(1).cpu().numpy()

    def _note_epoch(self, figures: dict[str, float], costs: Costs, seconds: float) -> None:
        progress = self.progress
        progress.epoch += 1
        progress.seconds += seconds
        averaged = tensors_of(self.averaged)
        for name, part in progress.parts.items():
            own = costs.by_part[name]
            error = mean_error(own - self.best_costs.get(name, own), costs.num_subjects)
            if part.is_better(figures[f"validation.loss.{name}"], progress.epoch, progress.seconds, error=error):
                self.best |= {key: value for key, value in averaged.items() if part_of(key) == name}
                self.best_costs[name] = own
        line: dict[str, float] = {"epoch": progress.epoch, "passes": progress.passes, "step": progress.step}
        line |= {"seconds": progress.seconds, **figures}
        line["events_per_second"] = figures["events"] / seconds
        line |= {f"learning_rate.{name}": part.learning_rate for name, part in progress.parts.items()}
        self.history.append(line)
        if self.ranks.is_first:
            weights = {"current": tensors_of(self.model), "averaged": averaged, "best": self.best}
            # first: a crash before the state is there trains the epoch again, and then its last line counts
            add_line(self.folder / "metrics.jsonl", json.dumps(line))
            save_state(self.folder, progress, weights, self.optimizer)

    def _batch_events(self, window: Window) -> int:
        settings = self.settings
        return settings.batch_events or batch_events_for(
            window.num_events,
            settings.window_events,
            pass_events=self.pass_events,
            num_ranks=self.ranks.num_ranks,
            most_rows=self.most_rows,
        )

    def _plan(self, window: Window, batch_events: int, rng: np.random.Generator) -> list[Step]:
        return plan_steps(
            window.num_events, batch_events=batch_events, window_events=self.settings.window_events, generator=rng
        )

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.number_format == BFLOAT16)


def mean_error(values: NDArray[np.float64], count: float) -> float:
    """Standard error of the mean of `count` values of all ranks; these are this rank's. All must ask together."""
    total, squares = summed(float(values.sum()), float((values**2).sum()))
    spread = max(0.0, squares - total**2 / max(count, 1.0))
    return math.sqrt(spread / max(count - 1, 1.0) / max(count, 1.0))


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """All lines of metrics.jsonl; a resumed run may repeat an epoch, the last line of it counts."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return list({line["epoch"]: line for line in lines}.values())
