"""The DAG, and nothing else. Before it, on a cluster, the digests of dataset and weights are taken: docs/adr/0013.

A candidate is a switch epoch with a learning rate of fine-tuning: docs/adr/0018.

dataset ─► prepare ─ records ─┬────────────────┬───────────────────────┐
                              ▼                ▼                       ▼
weights ─────────────────► transfer ─ checkpoints ─► finetune(k) ─ model ─► evaluate(k) ─► collect ─► report
                           └ for each seed ────────┤ for each candidate k ├────────────────────┘    + best model

`--search halving` says which candidates these are (docs/adr/0023); two rungs before, with the first of the seeds:

transfer ─ checkpoints ─► finetune(k, until 30 %) ─ history ─► halve ─► finetune(k, until 40 %) ─ history ─► halve
                          └ for each candidate k ┘              └ for each survivor k ┘

`--promote NAME` ends it with a step that registers the best model in MLflow, and promotes it: docs/tracking.md.
`--drift ADDRESS` has one that compares new photos with those that transfer learning held out: docs/drift.md.
"""

from contextvars import ContextVar
from typing import Any, List

from kfp import dsl

from components.collect.component import collect
from components.digest.component import digest
from components.drift.component import drift as comparison
from components.evaluate.component import evaluate
from components.finetune.component import finetune
from components.halve.component import halve
from components.prepare.component import prepare
from components.promote.component import promote as promotion
from components.report.component import report
from components.transfer.component import transfer
from switchpoint.command.parameters import meanings
from switchpoint.command.profiles import place
from switchpoint.training.rungs import TENTHS

# KFP calls the function before a parameter has a value, and some decide which steps there are: `digest.step.shape`.
SWEEP = "sweep"
SHAPE = ContextVar("SHAPE", default=SWEEP)


@dsl.pipeline(
    name="switchpoint",
    display_name="Switchpoint",
    description="After how many epochs of transfer learning should fine-tuning start?",
)
def switchpoint(
    dataset: str = "sample",
    dataset_digest: str = "",
    backbone: str = "efficientnet_b0",
    weights: str = "imagenet",
    weights_digest: str = "",
    switch_epochs: List[int] = [1, 2, 4, 8, 14],  # noqa: B006 (KFP reads it, nobody changes it)
    transfer_epochs: int = 14,
    finetune_epochs: int = 10,
    finetune_blocks: int = 0,
    image_size: int = 224,
    batch_size: int = 32,
    transfer_learning_rate: float = 0.001,
    first_decay_steps: int = 0,
    t_mul: float = 2.0,
    m_mul: float = 0.75,
    finetune_learning_rate: List[float] = [0.0003],  # noqa: B006
    finetune_schedule: str = "cosine",
    finetune_warmup: float = 0.2,
    finetune_patience: int = 0,
    search: str = "sweep",
    augmentation: str = "lab",
    rotation: float = 0.04,
    dropout: float = 0.2,
    label_smoothing: float = 0.0,
    class_weights: str = "none",
    mixed_precision: str = "auto",
    feature_views: int = 4,
    validation_fraction: float = 0.1,
    max_left_out: float = 0.01,
    leaks: str = "report",
    robustness: str = "sample",
    drift: str = "",
    promote: str = "",
    promote_margin: float = 1.0,
    seed: int = 1,
    seeds: List[int] = [1],  # noqa: B006
) -> None:
    """Train a new head on a frozen backbone, then fine-tune from several of its epochs and compare.

    The flags, their checks and the report's table read this: an interval such as [0, 1) is the values a number may
    have, braces are the words to choose from.

    Args:
        dataset: Photos: `sample` (drawn dishes), a folder with one sub-folder a class or with train/, val/ and test/
            of such, a CSV or Parquet file of paths and labels, Food-101's folder or .tar.gz, tfds:NAME, gs://…, s3://…,
            or pvc://CLAIM/PATH on a cluster.
        dataset_digest: SHA-256 of the dataset, which prepare checks; empty = taken when the run starts, of a volume
            from sizes and times; `contents` = of a volume from its files' contents.
        backbone: Network that sees the photos, such as efficientnet_b0 or efficientnet_lite0.
        weights: Pretrained weights of the backbone: `imagenet`, `none`, a file, gs://… or s3://…
        weights_digest: SHA-256 of the weights, which transfer checks; empty = taken when the run starts.
        switch_epochs: Epochs of transfer learning after which to start fine-tuning, each once; epochs count from 1. The
            command takes `all`, too.
        transfer_epochs: Length of transfer learning, in epochs [1, ∞).
        finetune_epochs: Length of each fine-tuning, in epochs [1, ∞).
        finetune_blocks: How many of the backbone's last blocks to fine-tune; 0 = all [0, ∞).
        image_size: Height and width of the crops that the network sees, in pixels [32, 1024].
        batch_size: Photos a training step [1, ∞).
        transfer_learning_rate: Adam's learning rate at the start of transfer learning (0, 10).
        first_decay_steps: Steps until transfer learning's cosine decay restarts for the first time; 0 = never: one
            decay over the whole phase [0, ∞).
        t_mul: Length of each decay after a restart, as a multiple of the one before [1, ∞).
        m_mul: Learning rate after each restart, as a fraction of the one before [0, 1].
        finetune_learning_rate: Adam's highest learning rates in fine-tuning: every switch epoch is tried with each, and
            compared at its best by validation (0, 10).
        finetune_schedule: How fine-tuning's learning rate goes; cosine decays to 0 over it {constant, cosine}.
        finetune_warmup: Share of fine-tuning's steps over which its learning rate first rises from 0 [0, 0.99].
        finetune_patience: Fine-tuning ends early after so many epochs in a row without a higher validation accuracy;
            its schedule stays that of its whole length; 0 = never [0, ∞).
        search: How candidates are compared: each trained to its end, or by successive halving: the better half goes
            on after 30 % of the epochs, and the better half of those after 40 % {sweep, halving}.
        augmentation: What training sees of a photo, besides flip and rotation: random places of crops; or light: crops
            of random size and shape, and mild brightness, contrast and saturation; or strong: such crops and
            RandAugment {lab, light, strong}.
        rotation: Training photos are turned by up to this fraction of a full turn, either way [0, 0.5].
        dropout: Fraction of the pooled features that training drops [0, 0.99].
        label_smoothing: Share of a label's weight that is spread over all classes [0, 0.99].
        class_weights: What a training photo counts in the loss; balanced: every class as much in all {none, balanced}.
        mixed_precision: Compute in float16 where it is safe; auto does for GPUs that gain from it (compute capability
            7.0 or more) {auto, on, off}.
        feature_views: Transfer learning runs the frozen backbone on this many augmented views of each training photo,
            once, and shows them in turns, a view an epoch; 1 = the centre crop alone; 0 = a new view every
            epoch [0, ∞).
        validation_fraction: Share of the training photos that is held out to choose models by [0.01, 0.5].
        max_left_out: Share of photos that may be unreadable before prepare refuses the dataset [0, 1].
        leaks: What to do about photos that are in more than one of train, validation and test, or in more than one
            class: report them; drop the copies in training, and all where the classes differ; or
            fail {report, drop, fail}.
        robustness: Try each model on corrupted test photos, too: noise, blur, brightness, contrast and JPEG at three
            strengths each; sample: on 500 of the photos; full: on all {off, sample, full}.
        drift: New photos to compare with those held out, in every run anew: a folder, gs://… or s3://…; empty = none.
        promote: Name of a model in MLflow's registry: the best model becomes a version of it, and its champion if
            photos show that it is not worse; empty = neither.
        promote_margin: Points that it may be worse than the champion, and than the best champion ever [0, 100].
        seed: Seed of the split into training and validation photos and of their order in the records [0, 2147483647].
        seeds: Seeds of training, each a transfer learning and fine-tunings of its own: several show how far chance
            moves the answer [0, 2147483647].
    """
    steps = SHAPE.get().split(", ")
    digests = place(
        digest(
            dataset=dataset,
            dataset_digest=dataset_digest,
            backbone=backbone,
            weights=weights,
            weights_digest=weights_digest,
            switch_epochs=switch_epochs,
            learning_rates=finetune_learning_rate,
            seeds=seeds,
            search=search,
            drift=drift,
            promote=promote,
            shape=SHAPE.get(),
        ),
        "digest",
        "Take the digests",
    )
    digests.set_caching_options(False)

    prepared = place(
        prepare(
            dataset=dataset,
            dataset_digest=digests.outputs["of_dataset"],
            image_size=image_size,
            validation_fraction=validation_fraction,
            max_left_out=max_left_out,
            leaks=leaks,
            seed=seed,
        ),
        "prepare",
        "Prepare the photos",
    )
    records = prepared.outputs["records"]

    def transferred(of_seed: Any) -> Any:
        return place(
            transfer(
                records=records,
                backbone=backbone,
                weights=weights,
                weights_digest=digests.outputs["of_weights"],
                epochs=transfer_epochs,
                image_size=image_size,
                batch_size=batch_size,
                learning_rate=transfer_learning_rate,
                first_decay_steps=first_decay_steps,
                t_mul=t_mul,
                m_mul=m_mul,
                augmentation=augmentation,
                rotation=rotation,
                dropout=dropout,
                label_smoothing=label_smoothing,
                class_weights=class_weights,
                mixed_precision=mixed_precision,
                feature_views=feature_views,
                seed=of_seed,
            ),
            "transfer",
            "Transfer learning",
        )

    def finetuned(start: Any, candidate: Any, of_seed: Any, rung: int, title: str) -> Any:
        return place(
            finetune(
                records=records,
                checkpoints=start.outputs["checkpoints"],
                switch_epoch=candidate.switch_epoch,
                epochs=finetune_epochs,
                rung=rung,
                blocks=finetune_blocks,
                batch_size=batch_size,
                learning_rate=candidate.learning_rate,
                schedule=finetune_schedule,
                warmup=finetune_warmup,
                patience=finetune_patience,
                augmentation=augmentation,
                rotation=rotation,
                dropout=dropout,
                label_smoothing=label_smoothing,
                class_weights=class_weights,
                mixed_precision=mixed_precision,
                seed=of_seed,
            ),
            "finetune",
            title,
        )

    candidates = digests.outputs["candidates"]
    searched = None
    if "halving" in steps:
        first_seed = digests.outputs["first_seed"]
        start = transferred(first_seed)
        for rung in range(1, len(TENTHS) + 1):
            with dsl.ParallelFor(candidates, name=f"rung {rung}") as candidate:
                tried = finetuned(start, candidate, first_seed, rung, f"Fine-tune, rung {rung}")
            before: dict[str, Any] = {"before": searched.outputs["search"]} if searched else {}
            searched = place(
                halve(
                    histories=dsl.Collected(tried.outputs["history"]),
                    rung=rung,
                    epochs=finetune_epochs,
                    seed=first_seed,
                    **before,
                ),
                "halve",
                f"Halve, rung {rung}",
            )
            candidates = searched.outputs["survivors"]

    with dsl.ParallelFor(seeds, name="for each seed") as training_seed:
        start = transferred(training_seed)
        baseline = place(
            evaluate(
                records=records,
                model=start.outputs["model"],
                switch_epoch=0,
                learning_rate=0.0,
                seed=training_seed,
                batch_size=batch_size,
                robustness=robustness,
            ),
            "evaluate",
            "Evaluate transfer alone",
        )

        with dsl.ParallelFor(candidates, name="for each candidate") as candidate:
            trained = finetuned(start, candidate, training_seed, 0, "Fine-tune")
            evaluated = place(
                evaluate(
                    records=records,
                    model=trained.outputs["model"],
                    switch_epoch=candidate.switch_epoch,
                    learning_rate=candidate.learning_rate,
                    seed=training_seed,
                    batch_size=batch_size,
                    robustness=robustness,
                ),
                "evaluate",
                "Evaluate",
            )

        collected = place(
            collect(
                seed=training_seed,
                pretrained=start.outputs["pretrained"],
                transfer_history=start.outputs["history"],
                transfer_model=start.outputs["model"],
                transfer_evaluation=baseline.outputs["evaluation"],
                finetune_histories=dsl.Collected(trained.outputs["history"]),
                finetune_models=dsl.Collected(trained.outputs["model"]),
                finetune_evaluations=dsl.Collected(evaluated.outputs["evaluation"]),
            ),
            "collect",
            "Collect",
        )

    search_of = {"search": searched.outputs["search"]} if searched else {}
    reported = place(
        report(
            source=prepared.outputs["source"],
            trainings=dsl.Collected(collected.outputs["trainings"]),
            meanings=meanings(),
            **search_of,
        ),
        "report",
        "Report",
    )
    ended = reported
    if "promote" in steps:
        ended = place(
            promotion(
                records=records,
                source=prepared.outputs["source"],
                results=reported.outputs["results"],
                page=reported.outputs["page"],
                model=reported.outputs["model"],
                name=promote,
                margin=promote_margin,
                weights_digest=digests.outputs["of_weights"],
            ),
            "promote",
            "Promote",
        ).set_caching_options(False)
    if "drift" in steps:  # the last: what comes of it is to keep nothing else from being there
        place(
            comparison(
                references=dsl.Collected(start.outputs["reference"]),
                models=dsl.Collected(start.outputs["model"]),
                photos=drift,
            ),
            "drift",
            "Compare new photos",
        ).set_caching_options(False).after(ended)


def shaped(shape: str) -> dsl.graph_component.GraphComponent:
    """The pipeline of a shape (`digest.step.shape`), traced anew: with the placements of the profile in use."""
    info = switchpoint.pipeline_spec.pipeline_info
    token = SHAPE.set(shape)
    try:
        return dsl.pipeline(
            switchpoint.pipeline_func,
            name=info.name,
            display_name=info.display_name,
            description=info.description,
            pipeline_config=switchpoint.pipeline_config,
        )
    finally:
        SHAPE.reset(token)
