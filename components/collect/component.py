"""KFP's wrapper of the collect step."""

from typing import List

from kfp import dsl

from switchpoint.provenance.digests import image


@dsl.component(base_image=image("collect"), install_kfp_package=False)
def collect(
    seed: int,
    pretrained: dsl.Input[dsl.Artifact],
    transfer_history: dsl.Input[dsl.Artifact],
    transfer_model: dsl.Input[dsl.Model],
    transfer_evaluation: dsl.Input[dsl.Metrics],
    finetune_histories: dsl.Input[List[dsl.Artifact]],
    finetune_models: dsl.Input[List[dsl.Model]],
    finetune_evaluations: dsl.Input[List[dsl.Metrics]],
    trainings: dsl.Output[dsl.Artifact],
) -> None:
    """Check the trainings of one seed and put them side by side, for the report.

    Args:
        pretrained: Where the pretrained weights came from.
        transfer_history: A row an epoch of transfer learning.
        transfer_model: The model of transfer learning alone.
        transfer_evaluation: What that model does on the test photos.
        finetune_histories: A history a switch epoch.
        finetune_models: A model a switch epoch.
        finetune_evaluations: An evaluation a switch epoch.
        trainings: All of these.
    """
    given = locals()
    import json
    from pathlib import Path

    from components.collect.step import CollectConfig, Trained, collect
    from switchpoint.provenance.metadata import MODEL, describe
    from switchpoint.training.collected import Files

    config = CollectConfig.given(given)
    histories = [transfer_history, *finetune_histories]
    models = [transfer_model, *finetune_models]
    evaluations = [transfer_evaluation, *finetune_evaluations]
    trained = [
        Trained(
            Files(Path(history.path), Path(evaluation.path), Path(model.path, MODEL)),
            (history.metadata["digest"], model.metadata["digest"]),
            evaluation.metadata,
        )
        for history, model, evaluation in zip(histories, models, evaluations, strict=True)
    ]
    digest = collect(trained, Path(pretrained.path), Path(trainings.path), config)
    inputs = {"pretrained": pretrained.metadata["digest"]}
    for number, each in enumerate(trained):
        inputs[f"history.{number}"], inputs[f"model.{number}"] = each.digests
        inputs[f"evaluation.{number}"] = json.loads(each.files.evaluation.read_text(encoding="utf-8"))["digest"]
    trainings.metadata.update(describe(f"Trainings of seed {config.seed}", "collect", config, inputs, digest))
