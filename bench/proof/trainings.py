"""What a draw's photos come to: transfer learning and fine-tunings, tried after every epoch on all held-out photos."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.proof import samples
from components.finetune.step import FinetuneConfig
from components.finetune.step import schedule as finetune_schedule
from components.transfer.step import TransferConfig
from components.transfer.step import schedule as transfer_schedule
from switchpoint.command import parameters
from switchpoint.data.manifest import read_manifest
from switchpoint.training import loop, network
from switchpoint.training.backbones.blocks import freeze, unfreeze
from switchpoint.training.backbones.build import build
from switchpoint.training.backbones.table import LITE0, named
from switchpoint.training.batches import feed, plain_batches
from switchpoint.training.features import Views, on_features
from switchpoint.training.forward import fill, function
from switchpoint.training.resume import Resume
from switchpoint.training.state import assign, values
from switchpoint.training.streams import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from switchpoint.documents.lineage import Parameters
    from switchpoint.documents.records import Manifest
    from switchpoint.training.state import Training, Values

STARTS = (1, 4, 14)
SETTINGS: dict[str, Any] = {
    "backbone": LITE0,
    "image_size": 48,
    "transfer_epochs": 14,
    "finetune_epochs": 4,
    "mixed_precision": "off",
}
SPLITS = ("validation", "test")


class Network(NamedTuple):
    """A network that is built and traced once for all trainings of a kind of draw.

    Attributes:
        backbone: With the weights that it was trained with on ImageNet.
        head: Of so many classes.
        model: Both, compiled for fine-tuning.
        compute: The model as a function of a batch.
        pretrained: The backbone's and the head's trainable variables as they began.
    """

    backbone: Any
    head: Any
    model: Any
    compute: Callable[..., Any]
    pretrained: Values


def built(manifest: Manifest, given: Parameters) -> Network:
    """The network for a kind of draw; its schedule goes by how many photos train."""
    config = parameters.config(FinetuneConfig, "finetune", parameters.candidate(given, 1))
    backbone = build(LITE0, "imagenet", given["image_size"])
    head = network.head(backbone, len(manifest["classes"]), given["dropout"])
    unfreeze(backbone, named(LITE0).block_pattern, last_blocks=0)
    model = network.join(backbone, head)
    loop.compile_model(model, finetune_schedule(config, manifest["splits"]["train"]["photos"]), config.label_smoothing)
    compute = function(model, given["batch_size"])
    return Network(backbone, head, model, compute, values(model.trainable_variables))


def train(draw: int, seed: int, photos: Path, directory: Path, networks: dict[tuple[int, int], Network]) -> None:
    """Train on one draw with one seed, and write what came of it, if it is not there.

    Args:
        draw: Its number, from 1.
        seed: Of the trainings.
        photos: Folder of the datasets.
        directory: Where outcomes, and the records that are shared, lie.
        networks: Those that were built before, by classes and training photos; this one is added.
    """
    outcome = directory / f"draw-{draw:03d}-{seed}.npz"
    if outcome.exists():
        return
    began = time.process_time()
    kind = samples.kind_of(draw)
    given = parameters.resolve("better", SETTINGS | {"seed": seed, "switch_epochs": list(STARTS)})
    whole = samples.pool(photos, kind.dataset, directory, given["image_size"])
    with tempfile.TemporaryDirectory() as temporary:
        records = samples.write(draw, whole, Path(temporary, "records"))
        manifest = read_manifest(records)
        loop.deterministic(stream(seed, "finetune"))
        shape = len(manifest["classes"]), manifest["splits"]["train"]["photos"]
        if shape not in networks:
            networks[shape] = built(manifest, given)
        found = trained(networks[shape], records, given, Path(temporary, "logs"))
    seconds = time.process_time() - began
    described = json.dumps({**kind._asdict(), "draw": draw, "seed": seed, "seconds": seconds, "settings": SETTINGS})
    partial = outcome.with_suffix(".part.npz")
    arrays: dict[str, Any] = {"described": np.array(described), **found}
    np.savez_compressed(partial, **arrays)
    partial.replace(outcome)


def trained(net: Network, records: Path, given: Parameters, logs: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Train from every start, and try the model of every epoch.

    Returns:
        For transfer learning, `0`, and each start, and for validation and test: whether each photo was named right,
        `validation-0-right` bool (epochs, photos), and its loss in nats, `validation-0-loss` float16, the same shape.
    """
    assign(net.model.trainable_variables, net.pretrained)
    every, features = transfer(net, records, given, logs)
    found: dict[str, np.ndarray[Any, Any]] = {}
    for split in SPLITS:
        pooled, labels = features[split]
        found |= named_answers(split, 0, [answers(softmax(pooled, *head), labels) for head in every])
    for start in STARTS:
        weights = tuned(net, records, given, every[start - 1], logs, keep_every=True).every
        rows: dict[str, list[Any]] = {split: [] for split in SPLITS}
        for epoch in weights:
            assign(net.model.trainable_variables, epoch)
            for split in SPLITS:
                rows[split].append(answered(net, records, split, given["batch_size"]))
        for split in SPLITS:
            found |= named_answers(split, start, rows[split])
    return found


def tuned(
    net: Network, records: Path, given: Parameters, head: Values, logs: Path, keep_every: bool = False
) -> Training:
    """Fine-tune from a head, as the step does; the network has the kept epoch's weights then."""
    config = parameters.config(FinetuneConfig, "finetune", parameters.candidate(given, 1))
    seed = stream(given["seed"], "finetune")
    loop.deterministic(seed)
    assign(net.model.trainable_variables, net.pretrained)
    assign(net.head.trainable_variables, head)
    net.model.optimizer.build(net.model.trainable_variables)
    for variable in net.model.optimizer.variables:
        if variable is not net.model.optimizer._learning_rate:
            variable.assign(np.zeros(variable.shape, variable.dtype))
    seen = feed(records, config.batch_size, config.augmentation, config.rotation, seed, config.epochs)
    phase = loop.Phase("finetune", config.epochs, config.batch_size, seed, keep_every=keep_every)
    return loop.fit(net.model, seen, phase, logs, Resume())


def answered(net: Network, records: Path, split: str, batch_size: int) -> tuple[Any, Any]:
    """Of the network as it is, on a split: see `answers`."""
    manifest = read_manifest(records)
    photos = manifest["splits"][split]["photos"]
    probabilities = np.empty((photos, len(manifest["classes"])), np.float32)
    labels = np.empty(photos, np.int64)
    fill(net.compute, plain_batches(records, split, batch_size), batch_size, probabilities, labels)
    return answers(probabilities, labels)


def transfer(net: Network, records: Path, given: Parameters, logs: Path) -> tuple[list[Values], Mapping[str, Any]]:
    """Train the head on features, as the step does; its weights after each epoch, and the held-out photos' features."""
    import keras

    config = parameters.config(TransferConfig, "transfer", given | {"weights_digest": ""})
    seed = stream(given["seed"], "transfer")
    loop.deterministic(seed)
    freeze(net.backbone)
    head = network.head(net.backbone, net.head.output.shape[-1], config.dropout)
    trainee = on_features(head)
    photos = read_manifest(records)["splits"]["train"]["photos"]
    loop.compile_model(trainee, transfer_schedule(config, photos), config.label_smoothing)
    seen = Views(
        net.backbone,
        head,
        records,
        config.feature_views,
        True,
        config.batch_size,
        config.augmentation,
        config.rotation,
        seed,
    )
    phase = loop.Phase("transfer", config.epochs, config.batch_size, seed, keep_every=True)
    every = loop.fit(trainee, seen.feed(config.epochs), phase, logs, Resume()).every
    pooled = keras.Model(net.backbone.input, net.head.get_layer("pool")(net.backbone.output))
    compute = function(pooled, config.batch_size)
    tested = read_manifest(records)["splits"]["test"]["photos"]
    features, labels = np.empty((tested, pooled.output.shape[-1]), np.float32), np.empty(tested, np.int64)
    fill(compute, plain_batches(records, "test", config.batch_size), config.batch_size, features, labels)
    unfreeze(net.backbone, named(LITE0).block_pattern, last_blocks=0)
    return every, {"validation": (seen.held_out, seen.held_out_labels), "test": (features, labels)}


def softmax(features: Any, weights: Any, bias: Any) -> np.ndarray[Any, Any]:
    """A head's probabilities, (photos, classes)."""
    logits = features @ weights + bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def answers(probabilities: Any, labels: Any) -> tuple[Any, Any]:
    """Whether each photo is named right, and its loss in nats."""
    of_label = probabilities[np.arange(len(labels)), labels]
    return probabilities.argmax(axis=1) == labels, -np.log(np.maximum(of_label, 1e-7))


def named_answers(split: str, start: int, epochs: Any) -> dict[str, np.ndarray[Any, Any]]:
    """As `trained` gives them."""
    right, loss = zip(*epochs, strict=True)
    return {f"{split}-{start}-right": np.array(right), f"{split}-{start}-loss": np.array(loss, np.float16)}
